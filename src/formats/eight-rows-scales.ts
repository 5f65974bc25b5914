// The two ways in which groups of 8 rows (eight-rows.ts) hold their scales. Knows no codes.
// halves: each block begins with 8 f16, one a row, as GGUF's Q4_0 and Q8_0 have them.
// ofRows: a group begins with 8 f32, one a row, and each block with 8 i8: a scale is their product. A quarter of a bit less a
// weight than halves; a scale is off by at most 1/254 of its row's largest, and codes are rounded by what it then is.

import { f16 } from "./f16.ts";
import { type AreFinite, exponents, FINITE_RUN } from "./finite.ts";

/** Rows of a group. */
export const GROUP = 8;

/** Where one row's, or one group's, scales lie. */
export type ScalePlaces = {
  readonly bytes: Uint8Array;
  /** Where the group begins. */
  readonly group: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
};

export type Scales = {
  /** Bytes before a group's blocks, and in each block before its codes. */
  readonly headBytes: number;
  readonly bytes: number;
  /** From here on a scale is too large. */
  readonly overflow: number;
  /** Writes the scales of row `row`, one for each block, and makes them those by which codes are rounded. */
  write(scales: Float32Array, places: ScalePlaces, row: number): void;
  /** The scales of the 8 rows of the block at `at`. */
  read(places: ScalePlaces, at: number, out: Float32Array): void;
  /** Whether all of them are finite, in groups of `groupBytes`. */
  areFinite(
    bytes: Uint8Array,
    sizes: { groupBytes: number; blockBytes: number },
    look: AreFinite,
  ): boolean;
};

export const halves: Scales = {
  headBytes: 0,
  bytes: 2 * GROUP,
  overflow: 65_520, // rounds to infinity
  write(scales, { bytes, group, blockBytes }, row) {
    const rounded = new Uint8Array(2 * scales.length);
    f16.pack(scales, rounded);
    let at = group + 2 * row;
    for (let i = 0; i < rounded.length; i += 2, at += blockBytes) {
      bytes[at] = rounded[i];
      bytes[at + 1] = rounded[i + 1];
    }
  },
  read({ bytes }, at, out) {
    f16.unpack(bytes.subarray(at, at + 2 * GROUP), out);
  },
  areFinite: (bytes, { blockBytes }, look) => look(bytes, exponents.f16, blockBytes),
};

/** Rows whose scales are all smaller are zeros: their quotients would not be finite. */
const LEAST = 2 ** -100;
const MOST = 127;

export const ofRows: Scales = {
  headBytes: 4 * GROUP,
  bytes: GROUP,
  overflow: Infinity,
  write(scales, { bytes, group, blockBytes }, row) {
    let largest = 0;
    for (const scale of scales) largest = Math.max(largest, Math.abs(scale));
    const ofRow = largest < LEAST ? 0 : Math.fround(largest / MOST);
    const inverse = ofRow === 0 ? 0 : 1 / ofRow;
    new DataView(bytes.buffer, bytes.byteOffset).setFloat32(group + 4 * row, ofRow, true);
    let at = group + 4 * GROUP + row;
    for (let block = 0; block < scales.length; block++, at += blockBytes) {
      const factor = Math.round(scales[block] * inverse);
      bytes[at] = factor;
      scales[block] = ofRow * factor;
    }
  },
  read({ bytes, group }, at, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let row = 0; row < GROUP; row++)
      out[row] = view.getFloat32(group + 4 * row, true) * view.getInt8(at + row);
  },
  areFinite: (bytes, { groupBytes }, look) =>
    [0, FINITE_RUN].every((run) => look(bytes.subarray(run), exponents.f32, groupBytes)),
};
