// How weights lie in groups of 8 rows, for kernels that multiply 8 rows at once (formats q4 and q8): [group][block of 32 k],
// a block being 8 f16 scales, then runs of [row][4 k]. Rows that fill up the last group, and k that fill up the last block,
// are zeros. A quad is 4 neighbouring k; 8 quads make a block.
// q4: run j of 4 holds quad j in the low halves of its bytes and quad j + 4 in the high ones; a code is the number + 8.
// q8: run j of 8 holds quad j; a code is the number + 128.

import { CheckpointError, InputError } from "../errors.ts";
import { f16 } from "./f16.ts";
import { areFinite, exponents } from "./finite.ts";
import type { MatrixShape, Packer, WeightFormat } from "./weight-format.ts";
import { bytesOf, words16 } from "./words.ts";

/** Rows of a group, and numbers of a row that share a scale. */
export const GROUP = 8;
export const BLOCK = 32;
/** From here on f16 rounds to infinity. */
const F16_OVERFLOW = 65_520;

/** One of the formats: how many bytes a block of 8 rows takes, and how one row's part of it is written and read. */
export type EightRows = {
  readonly name: string;
  readonly blockBytes: number;
  /** What rows and k that are only there to fill up consist of. */
  readonly fill: number;
  /**
   * Rounds 32 numbers values[from …] into row `row` of the block at `at`.
   * @returns its scale, before it is rounded to f16; NaN when one of the numbers is
   */
  quantize(values: Float32Array, from: number, bytes: Uint8Array, at: number, row: number): number;
  /** Numbers of row `row` of the block at `at` into out[to …], `count` of them. */
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

const groupsOf = (rows: number): number => Math.ceil(rows / GROUP);
const blocksOf = (columns: number): number => Math.ceil(columns / BLOCK);

/** Bytes of a matrix. */
export function eightRowsBytes({ blockBytes }: EightRows, rows: number, columns: number): number {
  return groupsOf(rows) * blocksOf(columns) * blockBytes;
}

export function eightRowsFormat(kind: EightRows): WeightFormat {
  return {
    name: kind.name,
    family: kind.name,
    param: BLOCK,
    parts: (rows, columns) => [eightRowsBytes(kind, rows, columns)],
    step: () => GROUP,

    isFinite: ([bytes], look = areFinite) => look(bytes, exponents.f16, kind.blockBytes),

    unpack([bytes], { columns }, from, to, out) {
      const blocks = blocksOf(columns);
      const scales = new Float32Array(GROUP);
      for (let group = Math.floor(from / GROUP); group * GROUP < to; group++) {
        const first = group * GROUP;
        for (let block = 0; block < blocks; block++) {
          const at = (group * blocks + block) * kind.blockBytes;
          f16.unpack(bytes.subarray(at, at + 2 * GROUP), scales);
          const k = block * BLOCK;
          const count = Math.min(BLOCK, columns - k);
          for (let row = Math.max(first, from); row < Math.min(first + GROUP, to); row++) {
            const place = (row - from) * columns + k;
            kind.widen(bytes, at, row - first, scales[row - first], out, place, count);
          }
        }
      }
    },

    packer: ([bytes], { rows, columns }) => packer(kind, bytes, rows, columns),
  };
}

function packer(kind: EightRows, bytes: Uint8Array, rows: number, columns: number): Packer {
  const blocks = blocksOf(columns);
  const scales = new Float32Array(blocks * GROUP);
  const rounded = new Uint8Array(2 * scales.length);
  const last = new Float32Array(BLOCK);
  return {
    rows(values, from, to) {
      if (from % GROUP !== 0 || (to % GROUP !== 0 && to !== rows))
        throw new InputError(
          `${kind.name}: rows ${from} to ${to} of ${rows} were given to pack; they come ${GROUP} at a time`,
        );
      for (let first = from; first < to; first += GROUP) {
        const start = (first / GROUP) * blocks * kind.blockBytes;
        const end = start + blocks * kind.blockBytes;
        const here = Math.min(GROUP, to - first);
        if (here < GROUP) {
          bytes.fill(kind.fill, start, end);
          scales.fill(0);
        }
        for (let row = 0; row < here; row++) {
          const source = (first + row - from) * columns;
          for (let block = 0; block < blocks; block++) {
            const at = start + block * kind.blockBytes;
            const k = block * BLOCK;
            let numbers = values;
            let place = source + k;
            if (columns - k < BLOCK) {
              last.fill(0);
              last.set(values.subarray(place, source + columns));
              numbers = last;
              place = 0;
            }
            const scale = kind.quantize(numbers, place, bytes, at, row);
            if (!(Math.abs(scale) < F16_OVERFLOW)) refuse(kind, first + row, k, scale);
            scales[block * GROUP + row] = scale;
          }
        }
        f16.pack(scales, rounded);
        for (let block = 0; block < blocks; block++) {
          const at = start + block * kind.blockBytes;
          for (let i = 0; i < 2 * GROUP; i++) bytes[at + i] = rounded[block * 2 * GROUP + i];
        }
      }
    },
    finish() {},
  };
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
