// How weights lie in groups of 8 rows (formats q4, q4r, q6r, q8), so that kernels can multiply 8 rows at once. k is a column; a quad is
// 4 neighbouring k; a block is 32 k (8 quads) of the 8 rows. Order of bytes: [group of rows][block]. Rows that pad the last group
// and k that pad the last block are zeros. Does not know how a format's codes lie within their runs: see the formats' files.

import { CheckpointError, InputError } from "../errors.ts";
import { GROUP, type ScalePlaces, type Scales } from "./eight-rows-scales.ts";
import { areFinite } from "./finite.ts";
import type { MatrixShape, Packer, Parts, WeightFormat } from "./weight-format.ts";
import { bytesOf, words16 } from "./words.ts";

/** How many numbers of a row share a scale. */
export const BLOCK = 32;

/**
 * One of the formats. A block of 8 rows × 32 k:
 *
 * | offset       | size         | content                                                                        |
 * | ------------ | ------------ | ------------------------------------------------------------------------------ |
 * | 0            | scales.bytes | the scales of the 8 rows (eight-rows-scales.ts)                                |
 * | scales.bytes | codeBytes    | codes, in runs of 32 bytes; a run has 4 bytes for each row, one for each k of a quad |
 */
export type EightRows = {
  readonly name: string;
  readonly scales: Scales;
  readonly codeBytes: number;
  /** The byte of which the codes of padding rows consist; their scales are 0. */
  readonly fill: number;
  /** Chooses the scale for the 32 numbers values[from …]; NaN if one of them is NaN. */
  scaleOf(values: Float32Array, from: number): number;
  /** Rounds these numbers · `inverse` (1 / scale), and writes them as row `row` of the codes at bytes[at …]. */
  round(
    values: Float32Array,
    from: number,
    inverse: number,
    bytes: Uint8Array,
    at: number,
    row: number,
  ): void;
  /** Unpacks the first `count` numbers of row `row` of the codes at bytes[at …] into out[to …]. */
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

/** Of the 32 numbers values[from …] the first with the largest magnitude, sign included; NaN if one of them is NaN. */
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
 * The scale for 32 numbers that become integers from -`zero` to `zero` − 1. A first scale takes the number of largest magnitude to
 * -`zero`, and so decides the integers. For these the result is the scale with the least sum of squared errors,
 * Σ integer · number / Σ integer²; the sum is 2 % less than with the first scale.
 */
export function fittedScale(values: Float32Array, from: number, zero: number): number {
  const first = Math.fround(largestOf(values, from) / -zero);
  const inverse = 1 / first;
  const half = zero + 0.5;
  const most = 2 * zero - 1;
  // Two independent chains of sums, because a processor can add two numbers at a time.
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
 * The code of x = number / scale: x + `zero`, rounded half up and clamped to 0 … 2 · `zero` − 1. The scale takes the largest number to
 * -`zero`, so a number of the same magnitude and the other sign is too large by one; and if the scale was rounded to a smaller one
 * when it was stored, the largest number itself is too small.
 */
export function cutOff(x: number, zero: number): number {
  const rounded = Math.fround(x + (zero + 0.5)) | 0;
  const most = 2 * zero - 1;
  return rounded > most ? most : rounded < 0 ? 0 : rounded;
}

const groupsOf = (rows: number): number => Math.ceil(rows / GROUP);
const blocksOf = (columns: number): number => Math.ceil(columns / BLOCK);

/** Bytes of a block, and of all blocks of a group of rows. */
function sizesOf(
  { scales, codeBytes }: EightRows,
  columns: number,
): { blockBytes: number; groupBytes: number } {
  const blockBytes = scales.bytes + codeBytes;
  return { blockBytes, groupBytes: blocksOf(columns) * blockBytes };
}

/** The weight format of that kind. Its packer throws CheckpointError for NaN and for numbers that no scale can hold. */
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
  /** A row whose columns do not fill the last block, padded with zeros. */
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

  /** Writes the padding rows of the last group. */
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

/** How one format's blocks are moved from GGUF's row-major order into groups. */
export type Regrouping = {
  /** How many 16-bit words of codes a block of one row has. */
  readonly words: number;
  /** Bits of each word that are inverted: q8 stores code + 128 where GGUF stores signed bytes. */
  readonly flip: number;
  /** The word of which padding rows consist. */
  readonly fill: number;
};

/**
 * Moves GGUF blocks [rows][⌈columns / 32⌉], each an f16 scale and 16-bit words of codes, into groups of 8 rows; nothing is rounded.
 * Word i of a row's codes becomes word i & 1 of the row's two in run i >> 1. For some whole groups only, pass their rows in both arrays.
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
      const exists = row < rows;
      target[at + r] = exists ? source[from++] : 0;
      for (let i = 0, to = at + GROUP + 2 * r; i < words; i += 2, to += 2 * GROUP) {
        target[to] = exists ? source[from++] ^ flip : fill;
        target[to + 1] = exists ? source[from++] ^ flip : fill;
      }
    }
  }
  if (target.buffer !== grouped.buffer) grouped.set(bytesOf(target));
}

/** The inverse of groupRows: from groups of 8 rows to GGUF blocks. */
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
