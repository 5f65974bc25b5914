// Memories within few addresses: smaller ones, more of them, and a MemoryError with the arithmetic when it is not enough.

import { afterEach, describe, expect, test, vi } from "vitest";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { AddressSpace } from "../../src/backends/wasm/address-space.ts";
import type { LeafSpec } from "../../src/backends/backend.ts";
import {
  AutoModelForCausalLM,
  defaultModel,
  env,
  InputError,
  MemoryError,
} from "../../src/index.ts";
import { logitsOf } from "./team.ts";

const MIB = 2 ** 20;

/** A weight of that many bytes, and a region of its own. */
const weight = (n: number, bytes: number): LeafSpec => ({
  ...{ name: `w.${n}`, kind: "weight", shape: [bytes / 4], dtype: "f32", regions: [`layers.${n}`] },
});
const weights = (count: number, bytes: number): LeafSpec[] =>
  Array.from({ length: count }, (_, n) => weight(n, bytes));

const shardsOf = (backend: WasmBackend): number[] =>
  Object.values(backend.adopted().directory.leaves).map(({ places }) => places[0].shard);

describe("few addresses", () => {
  test("weights go on in another memory when half of one is full, and fill them when there can be no more", async () => {
    const addressSpace = { perMemory: MIB, total: 2 * MIB };
    const backend = await WasmBackend.create({ threads: 1, addressSpace });
    await backend.place(weights(6, 300_000));
    expect(shardsOf(backend)).toEqual([0, 1, 0, 1, 0, 1]);
    const { memories, directory } = backend.adopted();
    expect(memories).toHaveLength(2);
    expect(directory.limits).toEqual([MIB, MIB]);
    expect(() => memories[0].grow(MIB / 65536)).toThrow(RangeError);
    await backend.dispose();
  });

  test("what cannot fit is refused with the arithmetic, and nothing is taken", async () => {
    const addressSpace = { perMemory: MIB, total: 2 * MIB };
    const backend = await WasmBackend.create({ threads: 1, addressSpace });
    await backend.place(weights(2, 300_000));
    const before = backend.memory();
    const more = weights(7, 300_000);
    await expect(backend.place(more)).rejects.toThrow(MemoryError);
    await expect(backend.place(more)).rejects.toThrow(
      /^placing 5 tensors needs 1\.50 MB \(weights 1\.50 MB, .*memories have 1\.37 MB of addresses left \(memories of 1\.05 MB \+ 1\.05 MB, and 0\.0 kB/,
    );
    expect(backend.memory()).toEqual(before);
    await backend.place(weights(6, 300_000));
    await backend.dispose();
  });

  test("no memory at all", async () => {
    const addressSpace = { perMemory: MIB, total: 1000 };
    const backend = await WasmBackend.create({ threads: 1, addressSpace });
    await expect(backend.place(weights(1, 400))).rejects.toThrow(
      /no addresses are left for another WebAssembly memory.* may take 1\.0 kB together/,
    );
  });

  test("another worker goes on within the same limits", async () => {
    const addressSpace = { perMemory: MIB, total: 2 * MIB };
    const first = await WasmBackend.create({ threads: 1, addressSpace });
    await first.place(weights(3, 300_000));
    const adopted = structuredClone(first.adopted());
    const second = await WasmBackend.create({ threads: 1, addressSpace, adopted });
    await second.place(weights(6, 300_000));
    expect(second.adopted().memories).toHaveLength(2);
    await expect(second.place(weights(7, 300_000))).rejects.toThrow(MemoryError);
  });

  test("a model gives the same bits in small memories", async () => {
    const addressSpace = { perMemory: MIB, total: 3 * MIB };
    const [whole] = await logitsOf({ threads: 1 }, [20]);
    const [small] = await logitsOf({ threads: 2, addressSpace, shardBytes: 20_000 }, [20]);
    expect(small).toEqual(whole);
  });
});

describe("a system that refuses", () => {
  afterEach(() => vi.restoreAllMocks());

  /** WebAssembly.Memory as it is where no more than `most` bytes can be reserved: an error, or a memory that cannot grow. */
  function refuse(most: number, how: "throws" | "cannot grow"): { asked: number[] } {
    const { Memory } = WebAssembly;
    const asked: number[] = [];
    vi.spyOn(WebAssembly, "Memory").mockImplementation(function (descriptor) {
      const { initial, maximum = 65536, shared } = descriptor;
      asked.push(maximum * 65536);
      const fits = maximum * 65536 <= most;
      if (!fits && how === "throws") throw new RangeError("could not allocate memory");
      return new Memory({ initial, maximum: fits ? maximum : initial, shared });
    });
    return { asked };
  }

  test.each(["throws", "cannot grow"] as const)(
    "%s: a smaller memory is tried, down to one that it gives",
    (how) => {
      const { asked } = refuse(600 * MIB, how);
      const space = new AddressSpace({ perMemory: 2 ** 32, total: Infinity }, []);
      expect(space.another(true)?.limit).toBe(512 * MIB);
      expect(asked).toEqual([4096, 2048, 1024, 512].map((size) => size * MIB));
      expect(space.another(false)?.limit).toBe(512 * MIB);
      expect(asked).toHaveLength(5);
      expect(space.left).toBe(Infinity);
    },
  );

  test("nothing at all: there is no other memory, and it is not asked again", () => {
    const { asked } = refuse(0, "throws");
    const space = new AddressSpace({ perMemory: 2 ** 32, total: Infinity }, []);
    expect(space.another(true)).toBeUndefined();
    expect(space.left).toBe(0);
    expect(space.refusal().message).toMatch(
      /the system refused 4\.29 GB and less, down to 1\.05 MB/,
    );
    const tries = asked.length;
    expect(space.another(true)).toBeUndefined();
    expect(asked).toHaveLength(tries);
  });
});

describe("env.wasm.addressSpace", () => {
  afterEach(() => {
    env.wasm.addressSpace = { perMemory: undefined, total: undefined };
  });

  test("is what a model is loaded within", async () => {
    env.wasm.addressSpace.total = 2 * MIB;
    await expect(AutoModelForCausalLM.from_pretrained(await defaultModel())).rejects.toThrow(
      /needs .* MB .*but WebAssembly memories have 2\.\d+ MB of addresses left/,
    );
    env.wasm.addressSpace.total = 64 * MIB;
    env.wasm.addressSpace.perMemory = 8 * MIB;
    const model = await AutoModelForCausalLM.from_pretrained(await defaultModel());
    expect((await model.generate([1, 5, 9], { max_new_tokens: 4 })).dims[0]).toBe(1);
    await model.dispose();
  });

  test.each(["1 GB", -1, Number.NaN, 0])("%o is an InputError", async (value) => {
    env.wasm.addressSpace.perMemory = value as number;
    const error = await AutoModelForCausalLM.from_pretrained(await defaultModel()).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(
      /env\.wasm\.addressSpace\.perMemory: .*expected a number of bytes/,
    );
  });
});
