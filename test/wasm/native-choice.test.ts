// What machine code computes: chosen by the processor, then by the bits, then by the time; and for any reason whatever, WebAssembly.

import { machineCode, type MachineCode } from "#platform";
import { beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { checkedKernels } from "../../src/backends/wasm/checked-kernels.ts";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { NATIVE, BASE } from "../../src/backends/wasm/kernels/header.ts";
import { type NativeChoice, noNative, tryNative } from "../../src/backends/wasm/native-choice.ts";
import { type NativeFamily, nativeFamilies } from "../../src/backends/wasm/native-families.ts";
import type { Checked, NativeTrial } from "../../src/backends/wasm/native-trial.ts";
import { onlyWith } from "../native/has.ts";

let checked: Checked;
beforeAll(async () => {
  checked = await checkedKernels(detectFeatures());
});

const family = (bit: number, name: string, instructions: string | undefined): NativeFamily => ({
  ...{ bit, name, needs: "what nobody has", instructions: () => instructions },
  ...{ limit: "int8", dtypes: ["q4:int8"], timed: { dtype: "q4:int8", rows: 16 } },
});
const [one, two, four, eight] = [
  family(1, "one", "ABC"),
  family(2, "two", undefined),
  family(4, "four", "ABC"),
  family(8, "eight", "DEF"),
];

/** A trial with that outcome for each family, by its bit. */
const trialOf =
  (outcomes: Readonly<Record<number, { same: boolean; speedup: number }>>) =>
  (): Pick<NativeTrial, "givesSameBits" | "speedup"> => ({
    givesSameBits: async ({ bit }) => outcomes[bit].same,
    speedup: async ({ bit }) => outcomes[bit].speedup,
  });

const choose = (
  families: readonly NativeFamily[],
  outcomes: Parameters<typeof trialOf>[0],
): Promise<NativeChoice> => tryNative(checked, false, { families, trial: trialOf(outcomes) });

describe("each family of kernels", () => {
  test(
    "is used if the processor has it, the bits are right, and it is clearly faster; each other one has its reason",
    onlyWith("machine code", async () => {
      const choice = await choose([one, two, four, eight], {
        1: { same: true, speedup: 2 },
        4: { same: false, speedup: 2 },
        8: { same: true, speedup: 1.05 },
      });
      expect(choice).toMatchObject({ families: 1, kernels: ["one with ABC"] });
      expect(choice.path).toMatch(/^\/proc\/self\/fd\/\d+$/);
      expect(choice.reasons).toEqual([
        "two: the processor, or the system, lacks what nobody has",
        "four with ABC: the self-test found other bits than WebAssembly's; please report this",
        "eight with DEF: 1.05 × WebAssembly's speed in a probe, too little",
      ]);
    }),
  );

  test(
    "several are used together; without any there is no library",
    onlyWith("machine code", async () => {
      const fast = { same: true, speedup: 1.5 };
      const both = await choose([one, eight], { 1: fast, 8: fast });
      expect(both).toMatchObject({ families: 9, kernels: ["one with ABC", "eight with DEF"] });
      const none = await choose([one], { 1: { same: true, speedup: 1 } });
      expect(none).toMatchObject({ path: undefined, families: 0, kernels: [] });
    }),
  );
});

describe("refused", () => {
  const refusing = (part: Partial<MachineCode>) => async (): Promise<MachineCode> => ({
    ...(await machineCode()),
    ...part,
  });
  const fail = (why: string) => (): never => {
    throw new EngineError(why);
  };
  const trial = (): never => expect.unreachable("nothing was loaded that could be tried");

  test("no machine code at all", async () => {
    const machine = (): Promise<never> => Promise.reject(new EngineError("no node:ffi"));
    expect(await tryNative(checked, false, { machine, trial })).toEqual(noNative("no node:ffi"));
  });

  test(
    "no file in memory; the loader; something unexpected",
    onlyWith("machine code", async () => {
      for (const part of [{ keepLibrary: fail("no file") }, { openFunction: fail("no file") }])
        expect(await tryNative(checked, false, { machine: refusing(part), trial })).toEqual(
          noNative("no file"),
        );
      const addressOf = (): never => {
        throw new TypeError("not a buffer");
      };
      const choice = await tryNative(checked, false, { machine: refusing({ addressOf }), trial });
      expect(choice).toEqual(noNative("not a buffer"));
    }),
  );

  test("memory that is not shared", async () => {
    const features = { ...checked.features, threads: false };
    const { reasons } = await tryNative({ ...checked, features }, false, { trial });
    expect(reasons).toEqual(["memory cannot be shared here, and other memory may move"]);
  });
});

describe("a backend", () => {
  /** NATIVE and BASE of its first memory. */
  async function headerOf(backend: WasmBackend): Promise<{ families: number; base: bigint }> {
    await backend.place([{ name: "w", kind: "weight", shape: [4], dtype: "f32", regions: [] }]);
    const [memory] = backend.adopted().memories;
    const families = new Int32Array(memory.buffer)[NATIVE / 4];
    return { families, base: new BigUint64Array(memory.buffer)[BASE / 8] };
  }

  test("without machine code says so in its memories, and to its helpers", async () => {
    const backend = await WasmBackend.create({ threads: 2, native: false });
    expect(await headerOf(backend)).toEqual({ families: 0, base: 0n });
    expect(backend.helpers().map(({ machineCode: path }) => path)).toEqual([undefined]);
    expect(backend.machineCode.reasons).toEqual([expect.stringMatching(/switched off/)]);
    expect(backend.handover()?.findings).toBeUndefined();
  });

  test(
    "with it has its families and the memory's address there; so has one that takes over",
    onlyWith("machine code", async () => {
      const fast = { same: true, speedup: 1.5 };
      const choice = await choose([eight], { 8: fast });
      const findings = { wide: false, choice };
      const backend = await WasmBackend.create({ threads: 2, findings });
      const header = await headerOf(backend);
      expect(header.families).toBe(8);
      const { addressOf } = await machineCode();
      expect(Number(header.base)).toBe(addressOf(backend.adopted().memories[0].buffer));
      expect(backend.helpers()[0].machineCode).toBe(choice.path);
      expect(backend.handover()?.findings).toEqual(findings);

      const next = await WasmBackend.create({ threads: 2, adopted: backend.adopted() });
      expect(next.machineCode).toEqual(choice);
      expect(await headerOf(next)).toEqual(header);
      // Where the new worker cannot open the library, WebAssembly goes on alone.
      const adopted = {
        ...next.adopted(),
        machineCode: { ...choice, path: "/proc/self/fd/99999" },
      };
      const last = await WasmBackend.create({ threads: 2, adopted });
      expect(await headerOf(last)).toEqual({ families: 0, base: 0n });
      expect(last.helpers()[0].machineCode).toBeUndefined();
      expect(last.machineCode.reasons[0]).toMatch(/loader refuses/);
    }),
  );
});

test("every family has a bit of its own, and dtypes that the CPU backend knows", () => {
  const bits = nativeFamilies.map(({ bit }) => bit);
  expect(bits.reduce((all, bit) => all | bit, 0)).toBe(bits.reduce((sum, bit) => sum + bit, 0));
  for (const { dtypes, timed } of nativeFamilies) expect(dtypes).toContain(timed.dtype);
});
