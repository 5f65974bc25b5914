import { expect, test } from "vitest";
import { ggmlTypes, ggufFormats, readableTypes } from "../../src/formats/gguf-types.ts";
import { seeded } from "../random.ts";

const names = [...ggufFormats.keys()];

const formatOf = (name: string): NonNullable<ReturnType<typeof ggufFormats.get>> => {
  const format = ggufFormats.get(name);
  if (format === undefined) throw new Error(`no format ${name}`);
  return format;
};

/** Blocks of any bits. */
function randomBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const random = seeded(seed);
  return Uint8Array.from({ length }, () => random.below(256));
}

test("twelve block types, each with ggml's number and size", () => {
  const numbers = new Map([...ggmlTypes].map(([number, name]) => [name, number]));
  expect(names.map((name) => [name, numbers.get(name), formatOf(name).block.bytes])).toEqual([
    ...[
      ["Q4_0", 2, 18],
      ["Q4_1", 3, 20],
      ["Q5_0", 6, 22],
      ["Q5_1", 7, 24],
      ["Q8_0", 8, 34],
    ],
    ...[
      ["Q2_K", 10, 84],
      ["Q3_K", 11, 110],
      ["Q4_K", 12, 144],
      ["Q5_K", 13, 176],
    ],
    ...[
      ["Q6_K", 14, 210],
      ["IQ4_NL", 20, 18],
      ["IQ4_XS", 23, 136],
    ],
  ]);
  expect(readableTypes.map((name) => numbers.has(name)).includes(false)).toBe(false);
  expect([numbers.get("BF16"), numbers.get("TQ1_0"), numbers.get("MXFP4")]).toEqual([30, 34, 39]);
});

test.each(names)("%s: rows of part of a block are refused", (name) => {
  const format = formatOf(name);
  const { numbers, bytes } = format.block;
  expect(format.parts(3, 2 * numbers)).toEqual([6 * bytes]);
  expect(() => format.parts(32, numbers / 2)).toThrow(
    `${name} holds rows of whole blocks of ${numbers} numbers; ${numbers / 2} columns`,
  );
});

test.each(names)("%s: any address, shared memory, any range of rows", (name) => {
  const format = formatOf(name);
  const shape = { rows: 7, columns: 2 * format.block.numbers };
  const [length] = format.parts(shape.rows, shape.columns);
  const bytes = randomBytes(length, 5);
  const all = new Float32Array(shape.rows * shape.columns);
  format.unpack([bytes], shape, 0, shape.rows, all);
  const memory = new Uint8Array(new SharedArrayBuffer(length + 8));
  const odd = memory.subarray(3, 3 + length);
  odd.set(bytes);
  for (let from = 0; from < shape.rows; from++) {
    const out = new Float32Array(2 * shape.columns);
    const to = Math.min(from + 2, shape.rows);
    format.unpack([odd], shape, from, to, out);
    const wanted = all.subarray(from * shape.columns, to * shape.columns);
    expect(out.subarray(0, wanted.length)).toEqual(wanted);
  }
});

test.each(names)(
  "%s: a scale that is NaN or Inf is seen in any block, all other bits are numbers",
  (name) => {
    const format = formatOf(name);
    const { numbers, bytes: size, scales } = format.block;
    const shape = { rows: 1, columns: 5 * numbers };
    const bytes = randomBytes(5 * size, 9);
    for (let at = 0; at < bytes.length; at += size)
      for (const s of scales) bytes[at + s + 1] &= 0xbb;
    const out = new Float32Array(shape.columns);
    format.unpack([bytes], shape, 0, 1, out);
    expect(format.isFinite?.([bytes])).toBe(true);
    expect(out.every(Number.isFinite)).toBe(true);
    for (const scale of scales) {
      for (const word of [0x7c00, 0xfc00, 0x7e01]) {
        for (const block of [0, 4]) {
          const broken = bytes.slice();
          new DataView(broken.buffer).setUint16(block * size + scale, word, true);
          expect(format.isFinite?.([broken])).toBe(false);
        }
      }
    }
  },
);

test("quantising: zeros, subnormal scales, the largest of both signs, halves", () => {
  const values = new Float32Array(128);
  values[32] = -3; // scale 3 / 8 in Q4_0: code 0 is the largest itself
  values[33] = 3;
  values.fill(1e-9, 64, 96);
  values[96] = 127; // scale 1 in Q8_0
  values.set([0.5, -0.5, 1.5, -2.5], 97);
  const round = (name: string): Float32Array => {
    const format = formatOf(name);
    const shape = { rows: 2, columns: 64 };
    const bytes = new Uint8Array(format.parts(2, 64)[0]);
    const packer = format.packer?.([bytes], shape);
    packer?.rows(values, 0, 2);
    packer?.finish();
    const out = new Float32Array(128);
    format.unpack([bytes], shape, 0, 2, out);
    return out;
  };
  const q4 = round("Q4_0");
  expect([q4[0], q4[32], q4[33], q4[64]].map((x) => x + 0)).toEqual([0, -3, 2.625, 0]);
  // halves go away from zero
  expect([...round("Q8_0").subarray(96, 101)]).toEqual([127, 1, -1, 2, -3]);
});
