// GGUF's plain types, as ggml reads them (https://github.com/ggml-org/ggml): blocks of 32 numbers with one f16 scale d, and for the _1
// types an f16 minimum m. "4-bit codes": byte j holds the codes of number j (low half) and number j + 16 (high half).
// Does not know matrices: gguf-block.ts.

import { type Block, half, storeHalf } from "./gguf-block.ts";

/**
 * d · (code − 8)
 *
 * | offset | size | content     |
 * | ------ | ---- | ----------- |
 * | 0      | 2    | d           |
 * | 2      | 16   | 4-bit codes |
 */
const q4_0: Block = {
  ...{ name: "Q4_0", numbers: 32, bytes: 18, scales: [0] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at);
    for (let j = 0; j < 16; j++) {
      const codes = bytes[at + 2 + j];
      out[to + j] = d * ((codes & 15) - 8);
      out[to + 16 + j] = d * ((codes >> 4) - 8);
    }
  },
  pack(values, from, bytes, at) {
    let largest = 0;
    for (let j = 0; j < 32; j++) {
      if (Math.abs(values[from + j]) > Math.abs(largest)) largest = values[from + j];
    }
    const d = Math.fround(largest / -8);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    storeHalf(d, bytes, at);
    // The reference uses a fused multiply-add: one rounding to f32, then truncation.
    const code = (value: number): number =>
      Math.max(0, Math.min(15, Math.trunc(Math.fround(value * inverse + 8.5))));
    for (let j = 0; j < 16; j++) {
      bytes[at + 2 + j] = code(values[from + j]) | (code(values[from + 16 + j]) << 4);
    }
  },
};

/**
 * d · code + m
 *
 * | offset | size | content     |
 * | ------ | ---- | ----------- |
 * | 0      | 2    | d           |
 * | 2      | 2    | m           |
 * | 4      | 16   | 4-bit codes |
 */
const q4_1: Block = {
  ...{ name: "Q4_1", numbers: 32, bytes: 20, scales: [0, 2] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at);
    const m = half(bytes, at + 2);
    for (let j = 0; j < 16; j++) {
      const codes = bytes[at + 4 + j];
      out[to + j] = d * (codes & 15) + m;
      out[to + 16 + j] = d * (codes >> 4) + m;
    }
  },
};

/**
 * d · (code − 16)
 *
 * | offset | size | content                                         |
 * | ------ | ---- | ----------------------------------------------- |
 * | 0      | 2    | d                                               |
 * | 2      | 4    | the fifth bits of codes: bit j is number j's    |
 * | 6      | 16   | the low four bits, as 4-bit codes               |
 */
const q5_0: Block = {
  ...{ name: "Q5_0", numbers: 32, bytes: 22, scales: [0] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at);
    for (let j = 0; j < 16; j++) {
      const codes = bytes[at + 6 + j];
      out[to + j] = d * (((codes & 15) | fifth(bytes, at + 2, j)) - 16);
      out[to + 16 + j] = d * (((codes >> 4) | fifth(bytes, at + 2, j + 16)) - 16);
    }
  },
};

/**
 * d · code + m
 *
 * | offset | size | content                                         |
 * | ------ | ---- | ----------------------------------------------- |
 * | 0      | 2    | d                                               |
 * | 2      | 2    | m                                               |
 * | 4      | 4    | the fifth bits of codes: bit j is number j's    |
 * | 8      | 16   | the low four bits, as 4-bit codes               |
 */
const q5_1: Block = {
  ...{ name: "Q5_1", numbers: 32, bytes: 24, scales: [0, 2] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at);
    const m = half(bytes, at + 2);
    for (let j = 0; j < 16; j++) {
      const codes = bytes[at + 8 + j];
      out[to + j] = d * ((codes & 15) | fifth(bytes, at + 4, j)) + m;
      out[to + 16 + j] = d * ((codes >> 4) | fifth(bytes, at + 4, j + 16)) + m;
    }
  },
};

function fifth(bytes: Uint8Array<ArrayBufferLike>, at: number, number: number): number {
  return ((bytes[at + (number >> 3)] >> (number & 7)) & 1) << 4;
}

/**
 * d · code
 *
 * | offset | size | content   |
 * | ------ | ---- | --------- |
 * | 0      | 2    | d         |
 * | 2      | 32   | codes, i8 |
 */
const q8_0: Block = {
  ...{ name: "Q8_0", numbers: 32, bytes: 34, scales: [0] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at);
    for (let j = 0; j < 32; j++) out[to + j] = d * ((bytes[at + 2 + j] << 24) >> 24);
  },
  pack(values, from, bytes, at) {
    let largest = 0;
    for (let j = 0; j < 32; j++) largest = Math.max(largest, Math.abs(values[from + j]));
    const d = Math.fround(largest / 127);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    storeHalf(d, bytes, at);
    for (let j = 0; j < 32; j++) {
      const value = Math.fround(values[from + j] * inverse);
      // Rounds to nearest, halves away from zero.
      bytes[at + 2 + j] = Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
    }
  },
};

/** Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. */
export const plainBlocks: readonly Block[] = [q4_0, q4_1, q5_0, q5_1, q8_0];
