// Broken numbers are found in the memories as the plain loop finds them, wherever they stand.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { areFinite, exponents, FINITE_RUN } from "../../src/formats/finite.ts";
import { seeded } from "../random.ts";

const COUNT = 300_001;
const spec = { kind: "weight", shape: [COUNT], regions: ["head"] } as const;

let backend: WasmBackend;
beforeAll(async () => {
  backend = await WasmBackend.create({ threads: 1 });
  await backend.place([
    { ...spec, name: "f32", dtype: "f32" },
    { ...spec, name: "f16", dtype: "f16" },
    { ...spec, name: "bf16", dtype: "bf16" },
  ]);
});
afterAll(() => backend.dispose());

/** The bytes of a leaf, filled with numbers whose exponents take every value but the last. */
async function finiteBytes(name: "f32" | "f16" | "bf16"): Promise<Uint8Array> {
  let bytes = new Uint8Array();
  await backend.load(name, async ([part]) => {
    bytes = part as Uint8Array<ArrayBuffer>;
  });
  const draws = seeded(7);
  const broken = name === "f16" ? 0x7c : 0x7f;
  const size = name === "f32" ? 4 : 2;
  for (let at = 0; at < bytes.length; at += size) {
    for (let i = 0; i < size; i++) bytes[at + i] = draws.below(256);
    const last = at + size - 1;
    if ((bytes[last] & broken) === broken) bytes[last] &= 0xbf;
  }
  return bytes;
}

const patterns = {
  f32: [0x7f800000, 0xff800000, 0x7fc00000, 0xff800001],
  f16: [0x7c00, 0xfc00, 0x7e00, 0x7c01],
  bf16: [0x7f80, 0xff80, 0x7fc0, 0xff81],
} as const;

describe.each(["f32", "f16", "bf16"] as const)("%s", (name) => {
  test("every kind of broken number at the begin, inside and in the odd end", async () => {
    const bytes = await finiteBytes(name);
    const of = exponents[name];
    expect(backend.areFinite(bytes, of, FINITE_RUN)).toBe(true);
    expect(areFinite(bytes, of, FINITE_RUN)).toBe(true);
    const size = name === "f32" ? 4 : 2;
    for (const at of [0, 1, 6, 262_144 + 3, COUNT - 2, COUNT - 1]) {
      for (const pattern of patterns[name]) {
        const place = bytes.subarray(at * size, (at + 1) * size);
        const kept = place.slice();
        for (let i = 0; i < size; i++) place[i] = (pattern >>> (8 * i)) & 0xff;
        expect(backend.areFinite(bytes, of, FINITE_RUN)).toBe(false);
        expect(areFinite(bytes, of, FINITE_RUN)).toBe(false);
        place.set(kept);
      }
    }
  });

  test("of runs that lie apart, those between them do not count", async () => {
    const bytes = (await finiteBytes(name)).subarray(0, 144 * 1000 - 30);
    const of = exponents[name];
    const at = (offset: number): boolean[] => {
      const kept = bytes[offset];
      const before = bytes[offset - 1];
      bytes[offset] = 0x7f;
      bytes[offset - 1] = 0xff;
      const found = [backend.areFinite(bytes, of, 144), areFinite(bytes, of, 144)];
      bytes[offset] = kept;
      bytes[offset - 1] = before;
      return found;
    };
    expect(at(15)).toEqual([false, false]);
    expect(at(144 * 999 + 7)).toEqual([false, false]);
    expect(at(31)).toEqual([true, true]);
    expect(at(144 * 500 - 1)).toEqual([true, true]);
  });
});

test("bytes outside the memories, and fewer than a run", () => {
  const bytes = new Uint8Array(Float32Array.of(1, 2, NaN).buffer);
  expect(backend.areFinite(bytes, exponents.f32, FINITE_RUN)).toBe(false);
  expect(backend.areFinite(bytes.subarray(0, 8), exponents.f32, FINITE_RUN)).toBe(true);
});
