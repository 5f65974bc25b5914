// The two ways in which groups of 8 rows (eight-rows.ts) hold their scales. Knows no codes.
// halves: each block begins with 8 f16, one a row, as GGUF's Q4_0 and Q8_0 have them.
// ofRows: each block begins with 8 i8, one a row, and a second part holds an f32 for each row: a scale is their product. A quarter
// of a bit less a weight; a scale is off by at most 1/254 of its row's largest, and codes are rounded by what it then is.

import { f16 } from "./f16.ts";
import { type AreFinite, exponents, FINITE_RUN } from "./finite.ts";
import type { Parts } from "./weight-format.ts";

/** Rows of a group. */
export const GROUP = 8;

/** Where the scales of a group of rows lie. */
export type ScalePlaces = {
  readonly parts: Parts;
  /** Its number, and where its blocks begin. */
  readonly group: number;
  readonly begin: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
};

export type Scales = {
  /** Bytes of a block before its codes, and of the second part for each group of rows (0: there is none). */
  readonly bytes: number;
  readonly groupBytes: number;
  /** From here on a scale is too large. */
  readonly overflow: number;
  /** Writes the scales of row `row`, one for each block, and makes them those by which codes are rounded. */
  write(scales: Float32Array, places: ScalePlaces, row: number): void;
  /** The scales of the 8 rows of the block at `at`. */
  read(places: ScalePlaces, at: number, out: Float32Array): void;
  /** Whether all of them are finite. */
  areFinite(parts: Parts, blockBytes: number, look: AreFinite): boolean;
};

export const halves: Scales = {
  bytes: 2 * GROUP,
  groupBytes: 0,
  overflow: 65_520, // rounds to infinity
  write(scales, { parts: [bytes], begin, blockBytes }, row) {
    const rounded = new Uint8Array(2 * scales.length);
    f16.pack(scales, rounded);
    let at = begin + 2 * row;
    for (let i = 0; i < rounded.length; i += 2, at += blockBytes) {
      bytes[at] = rounded[i];
      bytes[at + 1] = rounded[i + 1];
    }
  },
  read({ parts: [bytes] }, at, out) {
    f16.unpack(bytes.subarray(at, at + 2 * GROUP), out);
  },
  areFinite: ([bytes], blockBytes, look) => look(bytes, exponents.f16, blockBytes),
};

/** Rows whose scales are all smaller are zeros: their quotients would not be finite. */
const LEAST = 2 ** -100;
const MOST = 127;

export const ofRows: Scales = {
  bytes: GROUP,
  groupBytes: 4 * GROUP,
  overflow: Infinity,
  write(scales, { parts: [bytes, rows], group, begin, blockBytes }, row) {
    let largest = 0;
    for (const scale of scales) largest = Math.max(largest, Math.abs(scale));
    const ofRow = largest < LEAST ? 0 : Math.fround(largest / MOST);
    const inverse = ofRow === 0 ? 0 : 1 / ofRow;
    view(rows).setFloat32(4 * (group * GROUP + row), ofRow, true);
    let at = begin + row;
    for (let block = 0; block < scales.length; block++, at += blockBytes) {
      const factor = Math.round(scales[block] * inverse);
      bytes[at] = factor;
      scales[block] = ofRow * factor;
    }
  },
  read({ parts: [bytes, rows], group }, at, out) {
    const [factors, scales] = [view(bytes), view(rows)];
    for (let row = 0; row < GROUP; row++)
      out[row] = scales.getFloat32(4 * (group * GROUP + row), true) * factors.getInt8(at + row);
  },
  areFinite: ([, rows], _, look) => look(rows, exponents.f32, FINITE_RUN),
};

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset);
