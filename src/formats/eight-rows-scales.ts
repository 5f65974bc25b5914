// The two ways in which groups of 8 rows (eight-rows.ts) store the scales of their blocks. Does not know codes.

import { f16 } from "./f16.ts";
import { type AreFinite, exponents, FINITE_RUN } from "./finite.ts";
import type { Parts } from "./weight-format.ts";

/** How many rows a group has. */
export const GROUP = 8;

/** Where the scales of one group of rows lie. */
export type ScalePlaces = {
  readonly parts: Parts;
  /** The group's number. */
  readonly group: number;
  /** Where its blocks begin in the first part, in bytes. */
  readonly begin: number;
  /** How many bytes a block takes, scales and codes. */
  readonly blockBytes: number;
};

export type Scales = {
  /** How many bytes of scales a block begins with. */
  readonly bytes: number;
  /** How many bytes the second part has for each group of rows; 0: there is no second part. */
  readonly groupBytes: number;
  /** The least magnitude of a scale that cannot be stored. */
  readonly overflow: number;
  /**
   * Writes the scales of row `row` of the group, one for each block. Afterwards `scales` holds those for which codes are to be rounded:
   * `halves` leaves them as they were, as ggml's reference does; `ofRows` replaces them by what it stored.
   */
  write(scales: Float32Array, places: ScalePlaces, row: number): void;
  /** Reads the scales of the 8 rows of the block that begins at byte `at`. */
  read(places: ScalePlaces, at: number, out: Float32Array): void;
  /** Whether all of them are finite. */
  areFinite(parts: Parts, blockBytes: number, look: AreFinite): boolean;
};

/** A block begins with 8 f16, the scales of its 8 rows, as GGUF's Q4_0 and Q8_0 have them: half a bit a weight. */
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

/** A row whose scales are all smaller becomes zeros, because 1 / scale would not be finite. */
const LEAST = 2 ** -100;
const MOST = 127;

/**
 * A block begins with 8 i8, factors of its 8 rows; a second part holds an f32 for each row. A scale is their product.
 * This takes a quarter of a bit a weight, half of what f16 scales take. The largest scale of a row has factor 127, so a scale is
 * off by at most 1/254 of the largest; codes are rounded for the scale that was stored, which makes up for most of that.
 */
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
