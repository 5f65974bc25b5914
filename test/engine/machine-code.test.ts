// Machine code in an engine: all its threads have it, those too that come late or take a dead one's place; one that cannot open it leaves
// the work to the others; and env.native switches it off. Chosen here by the test, so that it does not depend on a timing.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { env } from "../../src/api/env.ts";
import { loadModel } from "../../src/api/model/load.ts";
import { NATIVE_INT8 } from "../../src/backends/wasm/kernels/header.ts";
import type { HelperData } from "../../src/backends/wasm/threads.ts";
import { findingsOf, type HelperStart, keepFindings } from "../../src/engine/backends.ts";
import type { EngineStart } from "../../src/engine/messages.ts";
import {
  AutoModelForCausalLM,
  EngineError,
  InputError,
  MistralForCausalLM,
} from "../../src/index.ts";
import { forceMachineCode } from "../native/forced.ts";
import { onlyWith } from "../native/has.ts";
import { type SpiedModel, type SpiedOptions, spiedModel } from "./spied-model.ts";
import { temporaryFolder, writeModel } from "./written-model.ts";

const folder = temporaryFolder();
const q4 = { quantisation: { linear: "q4r", head: "q6r", skip: [] }, compute: "int8" } as const;
const prompt = Int32Array.from({ length: 90 }, (_, i) => (i * 29) % 64);

beforeAll(() =>
  writeModel(folder.dir, { hidden_size: 160, intermediate_size: 296, num_hidden_layers: 2 }),
);
afterAll(() => folder.remove());

const load = (options: SpiedOptions): Promise<SpiedModel> =>
  spiedModel(folder.dir, { threads: 2, how: q4, ...options });

/** Logits of a prompt, and the tokens that follow it. */
async function outcome({ model }: SpiedModel): Promise<{ logits: unknown; ids: unknown }> {
  const { logits } = await model({ input_ids: prompt, use_cache: false });
  const ids = await model.generate(prompt, { max_new_tokens: 8, eos_token_id: null });
  return { logits: logits.data, ids: ids.tolist() };
}

const pathOf = ({ data }: HelperStart): string | undefined => (data as HelperData).machineCode;
const pathsOf = ({ workers }: SpiedModel): (string | undefined)[] =>
  workers.filter(({ kind }) => kind === "helper").map(({ data }) => pathOf(data as HelperStart));

describe("an engine with machine code", () => {
  test(
    "computes what it computes without, also after threads have died; every thread has the same library",
    onlyWith("avx512Vnni", async () => {
      const { path } = await forceMachineCode(NATIVE_INT8);
      const without = await load({ native: false });
      const expected = await outcome(without);
      expect(pathsOf(without)).toEqual([undefined]);
      await without.model.dispose();

      const spied = await load({});
      expect(await outcome(spied)).toEqual(expected);
      for (const kind of ["helper", "worker", "helper"] as const) {
        const dying = spied.latest(kind);
        await dying.kill();
        await dying.ended;
        expect(await outcome(spied)).toEqual(expected);
      }
      const paths = pathsOf(spied);
      expect(paths.length).toBeGreaterThanOrEqual(3);
      expect(new Set(paths)).toEqual(new Set([path]));
      const { backend } = spied.latest("worker").data as EngineStart;
      expect(backend.adopted).toMatchObject({ machineCode: { path, families: NATIVE_INT8 } });
      await spied.model.dispose();
    }),
  );

  test(
    "a helper that cannot open the library ends, and the others compute without it",
    onlyWith("avx512Vnni", async () => {
      await forceMachineCode(NATIVE_INT8);
      const change: SpiedOptions["change"] = (kind, data) => {
        if (kind !== "helper") return data;
        const start = data as HelperStart;
        const broken = { ...(start.data as HelperData), machineCode: "/proc/self/fd/99999" };
        return { ...start, data: broken };
      };
      const spied = await load({ change });
      const without = await load({ native: false });
      const expected = await outcome(without);
      await without.model.dispose();
      await spied.latest("helper").ended;
      expect(await outcome(spied)).toEqual(expected);
      await spied.model.dispose();
    }),
  );

  test(
    "a helper that lacks the code fails as a kernel does that traps: an EngineError that names the op",
    onlyWith("avx512Vnni", async () => {
      await forceMachineCode(NATIVE_INT8);
      const change: SpiedOptions["change"] = (kind, data) => {
        const start = data as HelperStart;
        if (kind !== "helper") return data;
        return { ...start, data: { ...(start.data as HelperData), machineCode: undefined } };
      };
      const without = await load({ native: false });
      const input = { input_ids: prompt, use_cache: false };
      const expected = (await without.model(input)).logits.data;
      await without.model.dispose();
      const { model } = await load({ change });
      const errors: unknown[] = [];
      for (let i = 0; i < 60; i++) {
        const result = await model(input).catch((error: unknown) => error);
        if (result instanceof Error) errors.push(result);
        else expect((result as { logits: { data: unknown } }).logits.data).toEqual(expected);
      }
      expect(errors.length).toBeGreaterThan(0);
      for (const error of errors) {
        expect(error).toBeInstanceOf(EngineError);
        expect((error as Error).message).toMatch(
          /^linear: the kernel failed \(EngineError: a kernel called machine code in a thread that has none\); .*next call works/,
        );
      }
      expect((await model.memory()).pagesInUse).toBe(0);
      await model.dispose();
    }),
  );

  test(
    "what one has found out, the next one is told; what was found where it is switched off, nobody",
    onlyWith("machine code", async () => {
      keepFindings({ backend: "wasm", state: undefined, helpers: [], findings: { wide: true } });
      const before = findingsOf("wasm");
      const off = await load({ native: false });
      expect(findingsOf("wasm")).toBe(before);
      await off.model.dispose();
      const first = await load({});
      const found = findingsOf("wasm");
      expect(found).toMatchObject({ wide: false, choice: { families: expect.any(Number) } });
      const second = await load({});
      expect((second.latest("worker").data as EngineStart).backend.findings).toEqual(found);
      await Promise.all([first.model.dispose(), second.model.dispose()]);
    }),
  );
});

describe("env.native", () => {
  afterAll(() => void (env.native = "auto"));

  test("false: a model is loaded and computes", async () => {
    env.native = false;
    const model = await AutoModelForCausalLM.from_pretrained(folder.dir, { threads: 1 });
    const ids = await model.generate(prompt, { max_new_tokens: 2, eos_token_id: null });
    expect(ids.dims).toEqual([1, 92]);
    await model.dispose();
  });

  test.each([true, "on", undefined, 0])(
    "%s is refused before anything is loaded",
    async (value) => {
      env.native = value as never;
      const loading = loadModel("from_pretrained", MistralForCausalLM, folder.dir, {});
      const error = await loading.catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toMatch(/^env\.native: .+: expected "auto" or false$/);
    },
  );
});
