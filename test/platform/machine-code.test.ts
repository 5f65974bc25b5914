// What `#platform` promises of machine code, on every platform file: it is there, or an EngineError says why.

import { machineCode } from "#platform";
import { expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";

const page = process.env.MISTRAL_TEST_PLATFORM !== undefined;

test("a page has none; Node has it, or says what is missing", async () => {
  const found = await machineCode().catch((error: unknown) => error);
  if (page)
    expect(found).toEqual(new EngineError("a page of a browser has no machine code of its own"));
  else if (found instanceof Error) expect(found).toBeInstanceOf(EngineError);
  else expect(found).toMatchObject({ addressOf: expect.any(Function) });
});

test("asked again, it gives the same answer", async () => {
  const ask = (): Promise<unknown> => machineCode().catch((error: Error) => error.message);
  expect(await ask()).toEqual(await ask());
});
