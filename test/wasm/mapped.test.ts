import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { nativeMemory } from "../../src/platform/node-native.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { fileSpans } from "../../src/backends/wasm/file-spans.ts";
import { ShardedMemory } from "../../src/backends/wasm/memory.ts";
import type { LeafSpec } from "../../src/backends/backend.ts";
import { bytesOf } from "../../src/formats/words.ts";

const folder = mkdtempSync(join(tmpdir(), "mistral-mapped-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Two matrices behind a header of odd length, as in a file; the second has two parts with others between them.
const ROWS = 1024;
const COLUMNS = 4096;
const bytes = new Uint8Array(40_000_003);
for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2654435761) >>> 24;
const path = join(folder, "weights");
writeFileSync(path, bytes);

const spec = (name: string, dtype: string, ...offsets: number[]): LeafSpec => {
  const sizes =
    dtype === "f32" ? [ROWS * COLUMNS * 4] : [(ROWS * COLUMNS) / 2, (ROWS * COLUMNS) / 16];
  const parts = offsets.map((offset, i) => ({ offset, bytes: sizes[i] }));
  const file = { path, parts };
  return { name, kind: "weight", shape: [ROWS, COLUMNS], dtype, regions: ["layers.0"], file };
};
const plain = spec("plain", "f32", 1003);
const packed = spec("packed", "nf4-64", 17_000_001, 20_500_007);

/** What a backend holds of a leaf, and whether it was mapped. */
async function held(backend: WasmBackend, name: string): Promise<[Uint8Array[], boolean]> {
  let result: [Uint8Array[], boolean] = [[], false];
  await backend.load(name, async (parts, alreadyMapped) => {
    result = [parts.map((part) => part.slice()), alreadyMapped];
  });
  return result;
}

describe.runIf(process.platform === "linux")("a file mapped into a memory", () => {
  test("its bytes stand where kernels read them, all parts, wherever they lie in the file", async () => {
    const backend = await WasmBackend.create({ threads: 1 });
    await backend.place([plain, packed]);
    for (const leaf of [plain, packed]) {
      const [parts, alreadyMapped] = await held(backend, leaf.name);
      expect(alreadyMapped).toBe(true);
      parts.forEach((part, i) => {
        const place = leaf.file?.parts[i];
        const offset = place !== undefined && "offset" in place ? place.offset : 0;
        expect(Buffer.compare(part, bytes.subarray(offset, offset + part.length))).toBe(0);
      });
    }
    await backend.dispose();
  });

  test("a part that no file holds stands beside what is mapped, also for another worker", async () => {
    const numbers = ROWS * COLUMNS;
    const sizes = [numbers / 2, numbers / 64, numbers / 64 / 64, 1028];
    const known = Uint8Array.from({ length: 1028 }, (_, i) => i % 251);
    const places = [17_000_001, 19_200_001, 19_300_005].map((offset, i) => ({
      offset,
      bytes: sizes[i],
    }));
    const nested: LeafSpec = {
      ...packed,
      name: "nested",
      dtype: "nf4-64-dq",
      file: { path, parts: [...places, { known }] },
    };
    const first = await WasmBackend.create({ threads: 1 });
    await first.place([plain, nested]);
    const second = await WasmBackend.create({ threads: 1, adopted: first.adopted() });
    await second.place([{ ...plain, name: "another", file: undefined }]);
    for (const backend of [first, second]) {
      const [parts, alreadyMapped] = await held(backend, "nested");
      expect(alreadyMapped).toBe(true);
      expect(parts.map((part) => part.length)).toEqual(sizes);
      places.forEach(({ offset, bytes: length }, i) =>
        expect(Buffer.compare(parts[i], bytes.subarray(offset, offset + length))).toBe(0),
      );
      expect(parts[3]).toEqual(known);
    }
    await second.dispose();
  });

  test("another worker that adopts the memories finds them, and places others beside them", async () => {
    const first = await WasmBackend.create({ threads: 1 });
    await first.place([plain, packed]);
    const second = await WasmBackend.create({ threads: 1, adopted: first.adopted() });
    const { name, kind, shape, dtype, regions } = plain;
    await second.place([{ name: `${name} 2`, kind, shape, dtype, regions }]);
    await second.load(`${name} 2`, async ([part], alreadyMapped) => {
      expect(alreadyMapped).toBe(false);
      part.fill(7);
    });
    const [[part], alreadyMapped] = await held(second, "plain");
    expect(alreadyMapped).toBe(true);
    expect(Buffer.compare(part, bytes.subarray(1003, 1003 + part.length))).toBe(0);
    await second.dispose();
  });

  test("a MemoryError while placing takes back what was mapped, and the parts kept beside", async () => {
    const own = join(folder, "own"); // a file that no other test has mapped
    copyFileSync(path, own);
    const mappings = (): number =>
      readFileSync("/proc/self/maps", "utf8")
        .split("\n")
        .filter((line) => line.endsWith(own)).length;
    const known = new Uint8Array(1028);
    const sizes = [ROWS * COLUMNS * 0.5, (ROWS * COLUMNS) / 64, (ROWS * COLUMNS) / 4096];
    const parts = [17_000_001, 19_200_001, 19_300_005].map((offset, i) => ({
      offset,
      bytes: sizes[i],
    }));
    const file = { path: own, parts: [...parts, { known }] };
    const inOwn = { ...plain, file: { path: own, parts: plain.file?.parts ?? [] } };
    const nested: LeafSpec = { ...packed, name: "nested", dtype: "nf4-64-dq", file };
    const huge: LeafSpec = { ...plain, name: "huge", shape: [2 ** 18, 4096], file: undefined };
    const backend = await WasmBackend.create({ threads: 1, memoryLimit: 1e12 });
    await expect(backend.place([inOwn, nested, huge])).rejects.toThrow(
      /weight huge needs 4\.29 GB/,
    );
    expect(mappings()).toBe(0);
    expect(backend.adopted().directory).toEqual({
      ...{ leaves: {}, regions: {}, mapped: [] },
      limits: [2 ** 32], // of a memory without a page in use
    });
    // The addresses are free again, and hold nothing of the file.
    await backend.place([{ ...plain, file: undefined }]);
    const [[held0], alreadyMapped] = await held(backend, "plain");
    expect(alreadyMapped).toBe(false);
    expect(held0.every((byte) => byte === 0)).toBe(true);
    await backend.place([{ ...inOwn, name: "again" }]);
    expect(mappings()).toBe(1);
    await backend.dispose();
  });

  test("where the system refuses, leaves are placed as others are", async () => {
    const no = (): boolean => false;
    const pages = { useLargePages: no, useSmallPages: no, largePagePhase: () => 0 };
    const native = { ...pages, mapFile: no, unmap: no };
    const memory = new ShardedMemory({
      ...{ shared: true, threads: 1, wide: false, native },
      maxima: { perMemory: 2 ** 32, total: Infinity },
    });
    memory.place([plain, packed]);
    const { places } = memory.leaf("packed");
    expect(memory.isMapped(places[0])).toBe(false);
    expect(memory.views(packed, places[0]).map((view) => view.length)).toEqual([
      (ROWS * COLUMNS) / 2,
      (ROWS * COLUMNS) / 16,
    ]);
    expect(memory.usage().weights).toBe(ROWS * COLUMNS * 4 + (ROWS * COLUMNS * 9) / 16);
  });

  test("large pages are given", async () => {
    const native = await nativeMemory();
    const memory = new WebAssembly.Memory({ initial: 512, maximum: 512, shared: true });
    expect(native?.useLargePages(memory.buffer, 0, memory.buffer.byteLength)).toBe(true);
    expect(bytesOf(new Uint8Array(memory.buffer)).every((byte) => byte === 0)).toBe(true);
  });
});

describe("what is mapped", () => {
  const wanted = (leaf: LeafSpec, ...shards: number[]) => ({ spec: leaf, bytes: 0, shards });

  test("one piece of a file for each memory", () => {
    const spans = fileSpans([wanted(plain, 0), wanted(packed, 0)]);
    expect(spans).toHaveLength(1);
    expect(spans[0]).toMatchObject({ shard: 0, from: 1003 });
    expect(spans[0].from + spans[0].bytes).toBe(20_500_007 + (ROWS * COLUMNS) / 16);
  });

  test("nothing that lies in two memories, is small, or whose parts are scattered", () => {
    expect(fileSpans([wanted(plain, 0, 1)])).toEqual([]);
    expect(fileSpans([wanted(packed, 0)])).toEqual([]);
    const scattered = spec("scattered", "nf4-64", 1003, 1003 + 100_000_000);
    expect(fileSpans([wanted(scattered, 0)])).toEqual([]);
  });

  test("what belongs to others, when it is much, is left out: a piece before and one behind it", () => {
    const near = spec("near", "f32", 1003 + 17_000_000);
    const far = spec("far", "f32", 1003 + 60_000_000);
    const spans = fileSpans([wanted(far, 0), wanted(near, 0), wanted(plain, 0)]);
    expect(spans.map(({ from, leaves }) => [from, leaves.map(({ name }) => name)])).toEqual([
      [1003, ["plain", "near"]],
      [60_001_003, ["far"]],
    ]);
    const other = wanted(spec("other", "f32", 1003 + 34_000_000), 1);
    const mixed = fileSpans([wanted(plain, 0), wanted(near, 0), other, wanted(far, 0)]);
    expect(mixed.map(({ shard, leaves }) => [shard, leaves.length])).toEqual([
      [0, 2],
      [0, 1],
      [1, 1],
    ]);
  });
});
