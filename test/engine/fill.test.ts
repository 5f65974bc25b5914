// Weights that are quantised while they are loaded have the bytes of the formats' packers: in one piece and in several, on one thread and
// two, from numbers that the file has in any format. What a format cannot hold is refused in its packer's words.

import { canShareMemory } from "#platform";
import { afterEach, describe, expect, test } from "vitest";
import type { LeafSpec } from "../../src/backends/backend.ts";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import type { StoredWeight } from "../../src/checkpoint/stored-weight.ts";
import { fill } from "../../src/engine/fill.ts";
import { loadWeights } from "../../src/engine/load.ts";
import { roundedTo } from "../../src/engine/rounded-weight.ts";
import { HelperTeam } from "../../src/engine/team.ts";
import { findFormat } from "../../src/formats/format.ts";
import type { NumberFormat } from "../../src/formats/number-format.ts";
import { plainFormat } from "../../src/formats/plain.ts";
import { partBytes, weightDType } from "../../src/formats/registry.ts";
import { seeded } from "../random.ts";

/** A plain weight that lies in memory. @param asBytes whether it can be read as it is stored */
function storedWeight(
  format: NumberFormat,
  [rows, columns]: readonly [number, number],
  asBytes = true,
): StoredWeight & { readonly bytesOf: Uint8Array<ArrayBuffer> } {
  const random = seeded(rows + columns);
  const stored = new Uint8Array(format.bytes(rows * columns));
  format.pack(
    Float32Array.from({ length: rows * columns }, () => random.uniform(-1, 1) ** 3 / 20),
    stored,
  );
  const rowsOf = (from: number, to: number): Uint8Array<ArrayBuffer> =>
    stored.subarray(format.bytes(from * columns), format.bytes(to * columns));
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
  return {
    ...{ name: "w", shape: [rows, columns], encoding: format.safetensors, bytes: stored.length },
    ...{ format: plainFormat(format), bytesOf: stored, fill: () => Promise.reject(new Error()) },
    ...(asBytes && {
      plain: {
        format,
        read: async (from, to, target) => {
          await pause();
          target.set(rowsOf(from, to));
        },
      },
    }),
    async readRows(from, to, out) {
      await pause();
      format.unpack(rowsOf(from, to), out);
    },
  };
}

const leafOf = (dtype: string, shape: readonly number[]): LeafSpec => ({
  ...{ name: "w", kind: "weight", shape, dtype, regions: ["head"] },
});

/** By the packer, as where no backend helps. */
async function plainly(dtype: string, stored: StoredWeight): Promise<Uint8Array[]> {
  const parts = partBytes(dtype, stored.shape).map((bytes) => new Uint8Array(bytes));
  await fill(parts, weightDType(dtype).format, stored, () => {});
  return parts;
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** What a backend holds after loading, how much of the file was reported as read, how many threads there were, and pieces. */
async function loaded(
  dtype: string,
  stored: StoredWeight,
  threads: number,
): Promise<{ parts: Uint8Array[]; read: number; together: number; pieces: number }> {
  const backend = await WasmBackend.create({ threads });
  const team = new HelperTeam();
  closing.push(() => team.dispose());
  closing.push(() => backend.dispose());
  let read = 0;
  let together = 1;
  let pieces = 0;
  const quantizer = backend.quantizer.bind(backend);
  backend.quantizer = (columns) => {
    const made = quantizer(columns);
    const quantize = made?.quantize.bind(made);
    if (made !== undefined && quantize !== undefined)
      made.quantize = (...piece) => (pieces++, quantize(...piece));
    return made;
  };
  const { plain } = stored;
  const late = plain && {
    ...plain,
    async read(...range: Parameters<typeof plain.read>) {
      while (backend.ready < threads) await new Promise((resolve) => setTimeout(resolve, 5));
      await plain.read(...range);
    },
  };
  const waiting = { ...stored, plain: late };
  await loadWeights(backend, [leafOf(dtype, stored.shape)], () => waiting, {
    onProgress(progress) {
      expect(progress.loaded).toBeGreaterThan(read);
      read = progress.loaded;
      together = Math.max(together, backend.ready);
    },
    placed() {
      const handover = backend.handover();
      if (handover !== undefined) team.update(handover);
    },
  });
  return { parts: await backend.read("w"), read, together, pieces };
}

const [f32, bf16, f16] = ["f32", "bf16", "f16"].map((name) => findFormat(name) as NumberFormat);
const formats = ["q4r", "q6r", "q4", "q8", "int8-6", "nf4-64", "nf4-64-dq", "fp4-4096-dq"];

describe.each(formats)("%s", (dtype) => {
  test("in several pieces, of which the last is short, and one whose blocks end within rows", async () => {
    for (const stored of [storedWeight(f32, [1431, 1500]), storedWeight(bf16, [1431, 3000])]) {
      const { parts, read, pieces } = await loaded(dtype, stored, 1);
      expect(parts).toEqual(await plainly(dtype, stored));
      expect(pieces).toBe(2);
      expect(read).toBe(stored.bytes);
    }
  });

  test("numbers that are rounded first, and some that a file cannot give as they are", async () => {
    const whole = storedWeight(f32, [37, 200]);
    for (const stored of [
      storedWeight(f16, [40, 64]),
      roundedTo("f16", whole),
      roundedTo("bf16", whole),
      storedWeight(bf16, [9, 33], false),
      roundedTo("f16", storedWeight(bf16, [8, 96], false)),
    ])
      expect((await loaded(dtype, stored, 1)).parts).toEqual(await plainly(dtype, stored));
  });
});

test.each(["f32", "bf16", "f16"])("plain numbers as %s", async (dtype) => {
  for (const from of [f32, bf16, f16].filter(({ name }) => name !== dtype)) {
    const stored = roundedTo(dtype, storedWeight(from, [1431, 2000]));
    const { parts, pieces } = await loaded(dtype, stored, 1);
    expect(parts).toEqual(await plainly(dtype, stored));
    expect(pieces).toBeGreaterThan(0);
  }
});

test.runIf(canShareMemory())("threads share the pieces", async () => {
  const stored = storedWeight(bf16, [9000, 1024]);
  const { parts, together } = await loaded("q4r", stored, 2);
  expect(together).toBe(2);
  expect(parts).toEqual(await plainly("q4r", stored));
});

test("rows that are too long for a piece are left to the packer", async () => {
  const stored = storedWeight(f32, [3, 300_000]);
  expect((await loaded("q4r", stored, 1)).parts).toEqual(await plainly("q4r", stored));
});

test.each([
  ...formats.map((dtype) => [dtype, 1430, NaN] as const),
  ["q8", 0, Infinity] as const,
  ["nf4-64", 777, -Infinity] as const,
])("%s: row %d has a %d, and is refused in the packer's words", async (dtype, row, broken) => {
  const stored = storedWeight(f32, [1431, 1500]);
  new Float32Array(stored.bytesOf.buffer)[row * 1500 + 700] = broken;
  const right = await plainly(dtype, stored).catch((error: Error) => error.message);
  expect(right).toMatch(/^quantising to .*: row \d+ h/);
  await expect(loaded(dtype, stored, 1)).rejects.toThrow(String(right));
});

test("a file that breaks off while a piece is quantised is an error, and nothing is written later", async () => {
  const stored = storedWeight(f32, [1431, 3000]);
  const read = stored.plain?.read;
  const broken: StoredWeight = {
    ...stored,
    plain: {
      format: f32,
      read: async (from, to, target) => {
        if (from > 0) throw new Error("the disk is gone");
        await read?.(from, to, target);
      },
    },
  };
  await expect(loaded("q8", broken, 1)).rejects.toThrow("the disk is gone");
});

test("the buffers are given back", async () => {
  const backend = await WasmBackend.create({ threads: 1 });
  closing.push(() => backend.dispose());
  const quantizers = Array.from({ length: 300 }, () => {
    const quantizer = backend.quantizer(64);
    quantizer?.dispose();
    return quantizer;
  });
  expect(quantizers).not.toContain(undefined); // 300 of them would take 7 GB
});

test("a backend without kernels uses the packer", async () => {
  const backend = new ReferenceBackend();
  const stored = storedWeight(bf16, [16, 64]);
  const hooks = { onProgress: () => {}, placed: () => expect.unreachable() };
  await loadWeights(backend, [leafOf("q4r", [16, 64])], () => stored, hooks);
  expect(await backend.read("w")).toEqual(await plainly("q4r", stored));
});
