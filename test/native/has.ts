// What this machine has, for tests that run machine code. Where something is missing, a line says which test was not run.

import { machineCode } from "#platform";
import { askProcessor, type Processor } from "../../src/backends/native/processor.ts";

/** This machine's processor; undefined where there is no machine code. */
export const processor: Processor | undefined = await machineCode()
  .then(askProcessor)
  .catch(() => undefined);

/** The body of a test that needs machine code, and an instruction set besides. */
export function onlyWith(
  what: "machine code" | keyof Processor,
  run: () => Promise<void>,
): () => Promise<void> {
  const has = what === "machine code" ? processor !== undefined : processor?.[what] === true;
  return has ? run : async () => console.log(`not run: this machine has no ${what}`);
}
