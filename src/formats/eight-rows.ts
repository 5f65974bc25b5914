// How weights lie in groups of 8 rows, for kernels that multiply 8 rows at once (formats q4, q4r, q6r and q8): [group][block of
// 32 k], a block being scales (eight-rows-scales.ts), then runs of [row][4 k]. Rows that fill up the last group, and k that fill
// up the last block, are zeros. A quad is 4 neighbouring k; 8 quads make a block. How codes lie in runs: the formats' files.

import { CheckpointError, InputError } from "../errors.ts";
import { GROUP, type ScalePlaces, type Scales } from "./eight-rows-scales.ts";
import { areFinite } from "./finite.ts";
import type { MatrixShape, Packer, Parts, WeightFormat } from "./weight-format.ts";
import { bytesOf, words16 } from "./words.ts";

/** Numbers of a row that share a scale. */
export const BLOCK = 32;

/** One of the formats: how many bytes the codes of 8 rows × 32 k take, and how one row's part of them is written and read. */
export type EightRows = {
  readonly name: string;
  readonly scales: Scales;
  readonly codeBytes: number;
  /** What rows and k that are only there to fill up consist of. */
  readonly fill: number;
  /** The scale that 32 numbers values[from …] ask for; NaN when one of them is. */
  scaleOf(values: Float32Array, from: number): number;
  /** Rounds them, times `inverse`, into row `row` of the codes at `at`. */
  round(
    values: Float32Array,
    from: number,
    inverse: number,
    bytes: Uint8Array,
    at: number,
    row: number,
  ): void;
  /** Numbers of row `row` of the codes at `at` into out[to …], `count` of them. */
  widen(
    bytes: Uint8Array,
    at: number,
    row: number,
    scale: number,
    out: Float32Array,
    to: number,
    count: number,
  ): void;
};

/** The first of 32 numbers whose size is the largest; NaN when one of them is. */
export function largestOf(values: Float32Array, from: number): number {
  let largest = 0;
  let size = 0;
  let sum = 0;
  for (let i = from; i < from + BLOCK; i++) {
    const value = values[i];
    sum += value;
    if (Math.abs(value) > size) {
      size = Math.abs(value);
      largest = value;
    }
  }
  return Number.isNaN(sum) ? sum : largest;
}

/**
 * The scale for 32 numbers in codes from -`zero` to `zero` − 1: what takes the largest to -`zero` says which codes; of those the
 * scale is the one with the least squares of errors, 2 % less than with the first.
 */
export function fittedScale(values: Float32Array, from: number, zero: number): number {
  const first = Math.fround(largestOf(values, from) / -zero);
  const inverse = 1 / first;
  const half = zero + 0.5;
  const most = 2 * zero - 1;
  // Two chains of sums, as a processor adds two at a time; code − zero is what is multiplied.
  let [products, squares, products2, squares2] = [0, 0, 0, 0];
  for (let i = from; i < from + BLOCK; i += 2) {
    const code = (values[i] * inverse + half) | 0;
    const code2 = (values[i + 1] * inverse + half) | 0;
    const integer = (code < most ? code : most) - zero;
    const integer2 = (code2 < most ? code2 : most) - zero;
    products += integer * values[i];
    products2 += integer2 * values[i + 1];
    squares += integer * integer;
    squares2 += integer2 * integer2;
  }
  return Math.fround((products + products2) / (squares + squares2));
}

/**
 * The code of x, a number over its scale, in codes of 0 to 2 · `zero` − 1: half up, then cut off. Above all others may be the
 * largest number with the other sign, which has no code of its own; below them, where a scale was rounded, the largest itself.
 */
export function cutOff(x: number, zero: number): number {
  const rounded = Math.fround(x + (zero + 0.5)) | 0;
  const most = 2 * zero - 1;
  return rounded > most ? most : rounded < 0 ? 0 : rounded;
}

const groupsOf = (rows: number): number => Math.ceil(rows / GROUP);
const blocksOf = (columns: number): number => Math.ceil(columns / BLOCK);

/** Bytes of a block, and of the blocks of a group of rows of so many columns. */
function sizesOf(
  { scales, codeBytes }: EightRows,
  columns: number,
): { blockBytes: number; groupBytes: number } {
  const blockBytes = scales.bytes + codeBytes;
  return { blockBytes, groupBytes: blocksOf(columns) * blockBytes };
}

export function eightRowsFormat(kind: EightRows): WeightFormat {
  const { name, scales } = kind;
  return {
    name,
    family: name,
    param: BLOCK,
    parts: (rows, columns) => [
      groupsOf(rows) * sizesOf(kind, columns).groupBytes,
      ...(scales.groupBytes > 0 ? [groupsOf(rows) * scales.groupBytes] : []),
    ],
    step: () => GROUP,

    isFinite: (parts, look = areFinite) =>
      scales.areFinite(parts, scales.bytes + kind.codeBytes, look),

    unpack(parts, { columns }, from, to, out) {
      const { blockBytes, groupBytes } = sizesOf(kind, columns);
      const found = new Float32Array(GROUP);
      for (let first = from - (from % GROUP); first < to; first += GROUP) {
        const group = first / GROUP;
        const places: ScalePlaces = { parts, group, begin: group * groupBytes, blockBytes };
        let at = places.begin;
        for (let k = 0; k < columns; k += BLOCK, at += blockBytes) {
          scales.read(places, at, found);
          const count = Math.min(BLOCK, columns - k);
          for (let row = Math.max(first, from); row < Math.min(first + GROUP, to); row++) {
            const place = (row - from) * columns + k;
            const codes = at + scales.bytes;
            kind.widen(parts[0], codes, row - first, found[row - first], out, place, count);
          }
        }
      }
    },

    packer: (parts, { rows, columns }) => packer(kind, parts, rows, columns),
  };
}

function packer(kind: EightRows, parts: Parts, rows: number, columns: number): Packer {
  const { name, scales } = kind;
  const [bytes] = parts;
  const { blockBytes, groupBytes } = sizesOf(kind, columns);
  const found = new Float32Array(blocksOf(columns));
  const placesOf = (group: number): ScalePlaces => ({
    ...{ parts, group, begin: group * groupBytes, blockBytes },
  });
  /** A row that does not fill its last block is filled up with zeros. */
  const filled = new Float32Array(found.length * BLOCK);
  return {
    rows(values, from, to) {
      if (from % GROUP !== 0 || (to % GROUP !== 0 && to !== rows))
        throw new InputError(
          `${name}: rows ${from} to ${to} of ${rows} were given to pack; they come ${GROUP} at a time`,
        );
      for (let row = from; row < to; row++) {
        const first = (row - from) * columns;
        const isFull = filled.length === columns;
        if (!isFull) filled.set(values.subarray(first, first + columns));
        packRow(isFull ? values : filled, isFull ? first : 0, row);
      }
      if (to % GROUP !== 0) fillUp(to);
    },
    finish() {},
  };

  function packRow(values: Float32Array, first: number, row: number): void {
    const r = row % GROUP;
    const places = placesOf((row - r) / GROUP);
    for (let block = 0; block < found.length; block++) {
      const scale = kind.scaleOf(values, first + block * BLOCK);
      if (!(Math.abs(scale) < scales.overflow)) refuse(kind, row, block * BLOCK, scale);
      found[block] = scale;
    }
    scales.write(found, places, r);
    let codes = places.begin + scales.bytes;
    for (let block = 0; block < found.length; block++, codes += blockBytes) {
      const inverse = found[block] === 0 ? 0 : Math.fround(1 / found[block]);
      kind.round(values, first + block * BLOCK, inverse, bytes, codes, r);
    }
  }

  /** The rows of the last group that do not exist. */
  function fillUp(from: number): void {
    const places = placesOf(Math.floor(from / GROUP));
    const none = new Float32Array(found.length);
    for (let row = from % GROUP; row < GROUP; row++) {
      scales.write(none, places, row);
      for (let block = 0; block < none.length; block++) {
        const codes = places.begin + block * blockBytes + scales.bytes;
        for (let run = codes; run < codes + kind.codeBytes; run += 4 * GROUP)
          bytes.fill(kind.fill, run + 4 * row, run + 4 * row + 4);
      }
    }
  }
}

function refuse(kind: EightRows, row: number, k: number, scale: number): never {
  const what = Number.isNaN(scale)
    ? "NaN"
    : "an infinity, or numbers too large for a float16 scale,";
  throw new CheckpointError(
    `quantising to ${kind.name}: row ${row} has ${what} at columns ${k} to ${k + BLOCK - 1}; every weight must be finite: the checkpoint is damaged`,
  );
}

/** What differs when blocks of row-major formats are grouped: 16-bit words of codes, and which of their bits are turned. */
export type Regrouping = { readonly words: number; readonly flip: number; readonly fill: number };

/**
 * Rows of GGUF blocks [rows][⌈columns / 32⌉] (f16 scale, then 16-bit words) into groups of 8: bits are moved, nothing is
 * rounded. Word i of row r's codes becomes word i & 1 of run i >> 1. For a slice of a matrix give the slices of both.
 */
export function groupRows(
  rowMajor: Uint8Array,
  grouped: Uint8Array,
  { rows, columns }: MatrixShape,
  { words, flip, fill }: Regrouping,
): void {
  const blocks = blocksOf(columns);
  const [source, target] = [words16(rowMajor), words16(grouped)];
  const size = GROUP + words * GROUP;
  const padded = groupsOf(rows) * GROUP;
  for (let row = 0; row < padded; row++) {
    const r = row % GROUP;
    let from = row * blocks * (1 + words);
    let at = ((row - r) / GROUP) * blocks * size;
    for (let block = 0; block < blocks; block++, at += size) {
      const there = row < rows;
      target[at + r] = there ? source[from++] : 0;
      for (let i = 0, to = at + GROUP + 2 * r; i < words; i += 2, to += 2 * GROUP) {
        target[to] = there ? source[from++] ^ flip : fill;
        target[to + 1] = there ? source[from++] ^ flip : fill;
      }
    }
  }
  if (target.buffer !== grouped.buffer) grouped.set(bytesOf(target));
}

/** The way back: groups of 8 rows to GGUF blocks. */
export function ungroupRows(
  grouped: Uint8Array,
  rowMajor: Uint8Array,
  { rows, columns }: MatrixShape,
  { words, flip }: Regrouping,
): void {
  const blocks = blocksOf(columns);
  const [source, target] = [words16(grouped), words16(rowMajor)];
  const size = GROUP + words * GROUP;
  for (let row = 0; row < rows; row++) {
    const r = row % GROUP;
    let to = row * blocks * (1 + words);
    let at = ((row - r) / GROUP) * blocks * size;
    for (let block = 0; block < blocks; block++, at += size) {
      target[to++] = source[at + r];
      for (let i = 0, from = at + GROUP + 2 * r; i < words; i += 2, from += 2 * GROUP) {
        target[to++] = source[from] ^ flip;
        target[to++] = source[from + 1] ^ flip;
      }
    }
  }
  if (target.buffer !== rowMajor.buffer) rowMajor.set(bytesOf(target));
}
