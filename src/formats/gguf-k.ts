// GGUF's K types, as ggml reads them (https://github.com/ggml-org/ggml): blocks of 256 numbers in runs of 16 or 32. Each run has a small
// integer scale, which the block's f16 scale d multiplies; in some types also a minimum, which the f16 dmin multiplies. Products are
// exact in f32 and sums lose nothing in f64, so storing as f32 rounds once, as ggml's arithmetic does. Knows no matrices.

import { type Block, type Bytes, half } from "./gguf-block.ts";

/**
 * 16 runs of 16 numbers, each d · scale · code − dmin · minimum.
 *
 * | offset | size | content                                                                      |
 * | ------ | ---- | ---------------------------------------------------------------------------- |
 * | 0      | 16   | for each run: scale (low four bits), minimum (high four bits)                |
 * | 16     | 64   | 2-bit codes; a half block takes 32 bytes, runs r, r + 2, r + 4 and r + 6 share bytes |
 * | 80     | 2    | d                                                                            |
 * | 82     | 2    | dmin                                                                         |
 */
const q2k: Block = {
  ...{ name: "Q2_K", numbers: 256, bytes: 84, scales: [80, 82] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at + 80);
    const dmin = half(bytes, at + 82);
    for (let run = 0; run < 16; run++) {
      const scales = bytes[at + run];
      const scale = d * (scales & 15);
      const minimum = dmin * (scales >> 4);
      const codes = at + 16 + (run >> 3) * 32 + (run & 1) * 16;
      const shift = run & 6;
      for (let l = 0; l < 16; l++) {
        out[to + run * 16 + l] = scale * ((bytes[codes + l] >> shift) & 3) - minimum;
      }
    }
  },
};

/**
 * 16 runs of 16 numbers, each d · (scale − 32) · (code − 4).
 *
 * | offset | size | content                                                                  |
 * | ------ | ---- | ------------------------------------------------------------------------ |
 * | 0      | 32   | the third bit of each code: bit i of byte l is number 32 i + l's         |
 * | 32     | 64   | the low two bits of codes, as in Q2_K                                    |
 * | 96     | 12   | 16 scales of 6 bits                                                      |
 * | 108    | 2    | d                                                                        |
 */
const q3k: Block = {
  ...{ name: "Q3_K", numbers: 256, bytes: 110, scales: [108] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at + 108);
    for (let run = 0; run < 16; run++) {
      const scale = d * (q3kScale(bytes, at + 96, run) - 32);
      const high = at + (run & 1) * 16;
      const codes = high + 32 + (run >> 3) * 32;
      const shift = run & 6;
      for (let l = 0; l < 16; l++) {
        const third = ((bytes[high + l] >> (run >> 1)) & 1) << 2;
        out[to + run * 16 + l] = scale * (((bytes[codes + l] >> shift) & 3) + third - 4);
      }
    }
  },
};

// Scale i: its low four bits are half of one of the first 8 bytes, its high two bits are in one of the last 4 bytes.
function q3kScale(bytes: Bytes, at: number, i: number): number {
  const low = i < 8 ? bytes[at + i] & 15 : bytes[at + i - 8] >> 4;
  return low | (((bytes[at + 8 + (i & 3)] >> (2 * (i >> 2))) & 3) << 4);
}

/**
 * 8 runs of 32 numbers, each d · scale · code − dmin · minimum.
 *
 * | offset | size   | content                                                                       |
 * | ------ | ------ | ----------------------------------------------------------------------------- |
 * | 0      | 2      | d                                                                             |
 * | 2      | 2      | dmin                                                                          |
 * | 4      | 12     | a scale and a minimum of 6 bits for each run                                  |
 * | 16     | 4 × 32 | 4-bit codes: two runs share bytes, the first in the low halves                |
 */
const q4k: Block = {
  ...{ name: "Q4_K", numbers: 256, bytes: 144, scales: [0, 2] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at);
    const dmin = half(bytes, at + 2);
    for (let run = 0; run < 8; run++) {
      const scale = d * scaleOf(bytes, at + 4, run);
      const minimum = dmin * minimumOf(bytes, at + 4, run);
      const codes = at + 16 + (run >> 1) * 32;
      const shift = (run & 1) * 4;
      for (let l = 0; l < 32; l++) {
        out[to + run * 32 + l] = scale * ((bytes[codes + l] >> shift) & 15) - minimum;
      }
    }
  },
};

/**
 * As Q4_K with 5-bit codes.
 *
 * | offset | size   | content                                                         |
 * | ------ | ------ | --------------------------------------------------------------- |
 * | 0      | 16     | d, dmin, scales and minima, as in Q4_K                          |
 * | 16     | 32     | the fifth bit of each code: bit i of byte l is number 32 i + l's |
 * | 48     | 4 × 32 | the low four bits, as in Q4_K                                   |
 */
const q5k: Block = {
  ...{ name: "Q5_K", numbers: 256, bytes: 176, scales: [0, 2] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at);
    const dmin = half(bytes, at + 2);
    for (let run = 0; run < 8; run++) {
      const scale = d * scaleOf(bytes, at + 4, run);
      const minimum = dmin * minimumOf(bytes, at + 4, run);
      const codes = at + 48 + (run >> 1) * 32;
      const shift = (run & 1) * 4;
      for (let l = 0; l < 32; l++) {
        const fifth = ((bytes[at + 16 + l] >> run) & 1) << 4;
        out[to + run * 32 + l] = scale * (((bytes[codes + l] >> shift) & 15) | fifth) - minimum;
      }
    }
  },
};

// Q4_K's scales and minima of runs 0 to 3 are the low 6 bits of bytes 0 to 3 and 4 to 7. Those of runs 4 to 7: the low four bits are
// the halves of bytes 8 to 11, the high two bits the top bits of bytes 0 to 3 (scales) and 4 to 7 (minima).
function scaleOf(bytes: Bytes, at: number, run: number): number {
  if (run < 4) return bytes[at + run] & 63;
  return (bytes[at + run + 4] & 15) | ((bytes[at + run - 4] >> 6) << 4);
}

function minimumOf(bytes: Bytes, at: number, run: number): number {
  if (run < 4) return bytes[at + run + 4] & 63;
  return (bytes[at + run + 4] >> 4) | ((bytes[at + run] >> 6) << 4);
}

/**
 * 16 runs of 16 numbers, each d · scale · (code − 32).
 *
 * | offset | size | content                                                                                 |
 * | ------ | ---- | --------------------------------------------------------------------------------------- |
 * | 0      | 128  | the low four bits of codes; a half block takes 64 bytes, runs r and r + 4 share bytes   |
 * | 128    | 64   | the high two bits; a half block takes 32 bytes, runs r, r + 2, r + 4 and r + 6 share bytes |
 * | 192    | 16   | the scale of each run, i8                                                               |
 * | 208    | 2    | d                                                                                       |
 */
const q6k: Block = {
  ...{ name: "Q6_K", numbers: 256, bytes: 210, scales: [208] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at + 208);
    for (let run = 0; run < 16; run++) {
      const scale = d * ((bytes[at + 192 + run] << 24) >> 24);
      const within = (run & 3) * 16; // of the 64 bytes of this half block's low bits
      const low = at + (run >> 3) * 64 + within;
      const high = at + 128 + (run >> 3) * 32 + (within & 16);
      const [lowShift, highShift] = [run & 4, run & 6];
      for (let l = 0; l < 16; l++) {
        const code =
          ((bytes[low + l] >> lowShift) & 15) | (((bytes[high + l] >> highShift) & 3) << 4);
        out[to + run * 16 + l] = scale * (code - 32);
      }
    }
  },
};

/** Q2_K, Q3_K, Q4_K, Q5_K, Q6_K. */
export const kBlocks: readonly Block[] = [q2k, q3k, q4k, q5k, q6k];
