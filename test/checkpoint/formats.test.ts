import { expect, test } from "vitest";
import { findFormat, formats } from "../../src/formats/format.ts";
import type { NumberFormat } from "../../src/formats/number-format.ts";

const format = (name: string): NumberFormat => {
  const found = findFormat(name);
  if (found === undefined) throw new Error(`no format ${name}`);
  return found;
};

/** Every 16-bit word, and the numbers that they stand for. */
const words = Uint16Array.from({ length: 65536 }, (_, i) => i);
const bf16Numbers = new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer);
const f16Numbers = Float32Array.from(new Float16Array(words.buffer));
const all = [
  ["f16", f16Numbers],
  ["bf16", bf16Numbers],
] as const;

test.each(all)("%s: all 65,536 words widen exactly", (name, numbers) => {
  const out = new Float32Array(65536);
  format(name).unpack(new Uint8Array(words.buffer), out);
  expect(out.findIndex((value, i) => !Object.is(value, numbers[i]))).toBe(-1);
});

test.each(all)(
  "%s: all 65,536 words come back, NaN as a quiet NaN of the same sign",
  (name, numbers) => {
    const bytes = new Uint8Array(131072);
    format(name).pack(numbers, bytes);
    const back = new Uint16Array(bytes.buffer);
    const quiet = name === "f16" ? 0x7e00 : 0x7fc0;
    const wrong = words.findIndex((word, i) =>
      Number.isNaN(numbers[i]) ? (back[i] & quiet) !== quiet : back[i] !== word,
    );
    expect(wrong).toBe(-1);
  },
);

test.each(all)("%s: rounds to nearest, ties to even, over to infinity", (name, numbers) => {
  // Between two neighbours: the middle, and the next f32 below and above it.
  const finite = Array.from({ length: 0x7c00 - 1 }, (_, i) => numbers[i]).filter(Number.isFinite);
  const bytes = new Uint8Array(2);
  const word = new Uint16Array(bytes.buffer);
  const value = new Float32Array(1);
  const bits = new Uint32Array(value.buffer);
  const rounded = (step: number): number => {
    bits[0] += step;
    format(name).pack(value, bytes);
    bits[0] -= step;
    return word[0];
  };
  let wrong = 0;
  for (let i = 0; i + 1 < finite.length; i++) {
    value[0] = (finite[i] + finite[i + 1]) / 2;
    if (value[0] === finite[i] || value[0] === finite[i + 1]) continue; // below the f32 subnormals
    const even = i % 2 === 0 ? i : i + 1;
    if (rounded(0) !== even || rounded(-1) !== i || rounded(1) !== i + 1) wrong++;
  }
  expect(wrong).toBe(0);
  for (const [given, expected] of [
    [Infinity, Infinity],
    [-Infinity, -Infinity],
    [3.4028234663852886e38, Infinity],
    [-0, -0],
  ]) {
    value[0] = given;
    format(name).pack(value, bytes);
    expect(numbers[word[0]]).toBe(expected);
  }
});

test("f16: 65,519.99 is the largest number that stays finite", () => {
  const bytes = new Uint8Array(4);
  format("f16").pack(Float32Array.of(65519.996, 65520), bytes);
  expect([...new Uint16Array(bytes.buffer)]).toEqual([0x7bff, 0x7c00]);
});

test("f32: bytes as they are, payloads of NaN too", () => {
  const bits = Uint32Array.of(0x7fc12345, 0xff812345, 0x80000000, 1, 0x7f800000);
  const out = new Float32Array(5);
  format("f32").unpack(new Uint8Array(bits.buffer), out);
  const back = new Uint8Array(20);
  format("f32").pack(out, back);
  expect(new Uint32Array(back.buffer)).toEqual(bits);
});

test.each([...formats.keys()])("%s: bytes at odd addresses and in shared memory", (name) => {
  const f = format(name);
  const values = Float32Array.of(1, -2.5, 0.15625, 65504, -0, 3);
  const memory = new Uint8Array(new SharedArrayBuffer(64));
  const odd = memory.subarray(3, 3 + f.bytes(values.length));
  f.pack(values, odd);
  const back = new Float32Array(new SharedArrayBuffer(24));
  f.unpack(odd, back);
  const expected = new Float32Array(6);
  const aligned = new Uint8Array(f.bytes(6));
  f.pack(values, aligned);
  f.unpack(aligned, expected);
  expect([...back]).toEqual([...expected]);
  expect([memory[2], memory[3 + odd.length]]).toEqual([0, 0]);
});

test("a format is found by each of its names", () => {
  for (const name of ["bf16", "BF16", "bfloat16", "torch.bfloat16"]) {
    expect(findFormat(name)?.name).toBe("bf16");
  }
  expect(["F64", "__proto__", "auto"].map(findFormat)).toEqual([undefined, undefined, undefined]);
});
