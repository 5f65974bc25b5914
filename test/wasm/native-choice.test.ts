// What machine code computes: chosen by the processor, then by the bits, then by the time; and for any reason whatever, WebAssembly.

import { machineCode, type MachineCode, startWorker } from "#platform";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Y } from "../../src/backends/native/call-words.ts";
import { keepKernels } from "../../src/backends/native/library.ts";
import { openLibrary } from "../../src/backends/native/open-library.ts";
import { EngineError } from "../../src/errors.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { checkedKernels } from "../../src/backends/wasm/checked-kernels.ts";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { NATIVE, BASE } from "../../src/backends/wasm/kernels/header.ts";
import {
  type NativeChoice,
  noNative,
  type Trials,
  tryNative,
} from "../../src/backends/wasm/native-choice.ts";
import { type NativeFamily, nativeFamilies } from "../../src/backends/wasm/native-families.ts";
import { type Checked, NativeTrial } from "../../src/backends/wasm/native-trial.ts";
import { WasmProgram } from "../../src/backends/wasm/program.ts";
import { type Ffi, loadFfi } from "../../src/platform/node-ffi.ts";
import { onlyWith, processor } from "../native/has.ts";
import type { BusyData, NativeHeader } from "./busy-worker.ts";
import { startTeam } from "./team.ts";

afterEach(() => void vi.restoreAllMocks());

let checked: Checked;
let ffi: Ffi;
beforeAll(async () => {
  if (processor !== undefined) ffi = await loadFfi();
  checked = await checkedKernels(detectFeatures());
});

const family = (bit: number, name: string, instructions: string | undefined): NativeFamily => ({
  ...{ bit, name, needs: "what nobody has", instructions: () => instructions },
  limit: "int8",
  tried: {
    op: "linear",
    products: [{ dtype: "q4:int8", step: 1 }],
    timed: { dtype: "q4:int8", rows: 16 },
  },
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
        8: { same: true, speedup: 1.04 },
      });
      expect(choice).toMatchObject({ families: 1, kernels: ["one with ABC"] });
      expect(choice.path).toMatch(/^\/proc\/self\/fd\/\d+$/);
      expect(choice.reasons).toEqual([
        "two: the processor, or the system, lacks what nobody has",
        "four with ABC: the self-test found other bits than WebAssembly's; please report this",
        "eight with DEF: 1.04 × WebAssembly's speed in a probe, too little",
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

  test(
    "that fails has its reason, and the others are used",
    onlyWith("machine code", async () => {
      const fails = (bit: number) => (tried: NativeFamily) => {
        if (tried.bit === bit) throw new EngineError("it broke");
      };
      const [inBits, inTime] = [fails(1), fails(4)];
      const trial: Trials["trial"] = () => ({
        givesSameBits: async (tried) => (inBits(tried), true),
        speedup: async (tried) => (inTime(tried), 2),
      });
      const families = [one, four, eight];
      const choice = await tryNative(checked, false, { families, trial });
      expect(choice).toMatchObject({ families: 8, kernels: ["eight with DEF"] });
      expect(choice.reasons).toEqual([
        "one with ABC: the self-test failed (it broke); please report this",
        "four with ABC: the self-test failed (it broke); please report this",
      ]);
    }),
  );
});

test(
  "AMX is asked for only if a family uses it, and is none where the system refuses it",
  onlyWith("machine code", async () => {
    const system = await machineCode();
    let asked = 0;
    const machine = async (): Promise<MachineCode> => ({
      ...system,
      allowTiles: () => asked++ > 0, // refused at first
    });
    const seen: boolean[] = [];
    const tiles = (usesTiles: boolean): NativeFamily => ({
      ...one,
      usesTiles,
      instructions: ({ amx }) => void seen.push(amx),
    });
    for (const usesTiles of [false, true, true])
      await tryNative(checked, false, { machine, families: [tiles(usesTiles)] });
    const has = processor?.amx === true;
    expect(asked).toBe(has ? 2 : 0);
    expect(seen).toEqual([false, false, has]);
  }),
);

describe("the self-test finds", () => {
  /** The outcome with `change` in place of the machine code; `y` is the address of a call's first result. */
  async function sameBits(change: (real: () => void, y: bigint) => void): Promise<boolean> {
    const path = keepKernels(await machineCode());
    const { native, addressOf } = await openLibrary(path);
    const trial = new NativeTrial(checked, false, {
      addressOf,
      native: (call) => change(() => native(call), ffi.getUint64(BigInt(call), Y)),
    });
    return trial.givesSameBits(nativeFamilies[0]);
  }

  test.each<[string, Parameters<typeof sameBits>[0], boolean]>([
    ["nothing where all is right", (real) => real(), true],
    ["a product that is not computed", () => {}, false],
    [
      "one wrong bit",
      (real, y) => {
        real();
        ffi.setUint32(y, 0, (ffi.getUint32(y) ^ 1) >>> 0);
      },
      false,
    ],
  ])("%s", async (_, change, expected) => {
    await onlyWith("avx512Vnni", async () => expect(await sameBits(change)).toBe(expected))();
  });

  test(
    "and every program that was tried is freed, also after wrong bits and a failure",
    onlyWith("avx512Vnni", async () => {
      const freed = vi.spyOn(WasmProgram.prototype, "dispose");
      const fail = (): never => {
        throw new EngineError("it broke");
      };
      expect(await sameBits((real) => real())).toBe(true);
      const all = freed.mock.calls.length;
      expect(all).toBeGreaterThan(1);
      expect(await sameBits(() => {})).toBe(false);
      expect(freed).toHaveBeenCalledTimes(all + 1);
      await expect(sameBits(fail)).rejects.toThrow(/it broke/);
      expect(freed).toHaveBeenCalledTimes(all + 2);
      const { addressOf } = await machineCode();
      const trial = new NativeTrial(checked, false, { native: fail, addressOf });
      await expect(trial.speedup(nativeFamilies[0])).rejects.toThrow(/it broke/);
      expect(freed).toHaveBeenCalledTimes(all + 3);
    }),
  );

  test(
    "how much faster it is: not at all where both sides wait for the same",
    onlyWith("avx512Vnni", async () => {
      const path = keepKernels(await machineCode());
      const { native, addressOf } = await openLibrary(path);
      const slow = (call: number): void => {
        native(call);
        const end = performance.now() + 20;
        while (performance.now() < end);
      };
      const trial = new NativeTrial(checked, false, { native: slow, addressOf });
      expect(await trial.speedup(nativeFamilies[0])).toBeLessThan(1);
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

  test(
    "code that fails in the self-test, as a kernel does that traps",
    onlyWith("avx512Vnni", async () => {
      const broken = (...of: ConstructorParameters<typeof NativeTrial>): NativeTrial => {
        const [kernels, sums32, library] = of;
        return new NativeTrial(kernels, sums32, { ...library, native: fail("it broke") });
      };
      const families = [nativeFamilies[0]];
      expect(await tryNative(checked, false, { families, trial: broken })).toEqual(
        noNative(
          "8-bit products with AVX-512 VNNI: the self-test failed (linear: the kernel failed (EngineError: it broke); the step is void, the next call works); please report this",
        ),
      );
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
  async function headerOf(backend: WasmBackend): Promise<NativeHeader> {
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

  test(
    "that takes over leaves the header as it is while a helper is in a chunk: machine code may be reading by it",
    onlyWith("machine code", async () => {
      const choice = await choose([eight], { 8: { same: true, speedup: 1.5 } });
      const team = await startTeam({ threads: 2, findings: { wide: false, choice } }, []);
      const before = await headerOf(team.backend);
      const [memory] = team.backend.adopted().memories;
      const start: BusyData = { memory, thread: 1 };
      const busy = startWorker(new URL("./busy-worker.ts", import.meta.url), start);
      const messages: unknown[] = [];
      busy.onMessage((message) => messages.push(message));
      await expect.poll(() => messages).toEqual(["busy"]);
      const adopted = {
        ...team.backend.adopted(),
        machineCode: { ...choice, path: "/proc/self/fd/99999" },
      };
      const next = await WasmBackend.create({ threads: 2, adopted });
      expect(await headerOf(next)).toEqual({ families: 0, base: 0n });
      await expect.poll(() => messages).toEqual(["busy", before]);
      expect(before.families).toBe(8);
      await busy.terminate();
      await team.close();
    }),
  );
});

test("every family has a bit of its own, and dtypes that the CPU backend knows", () => {
  const bits = nativeFamilies.map(({ bit }) => bit);
  expect(bits.reduce((all, bit) => all | bit, 0)).toBe(bits.reduce((sum, bit) => sum + bit, 0));
  for (const { tried } of nativeFamilies)
    if (tried.op === "linear")
      expect(tried.products.map(({ dtype }) => dtype)).toContain(tried.timed.dtype);
});
