// GGUF's K types: blocks of 256 numbers in runs of 16 or 32, each run with a small integer scale (and minimum) that the
// block's f16 scale d (and dmin) multiplies. As ggml reads them (https://github.com/ggml-org/ggml). All products are exact
// in f32 and sums in f64 lose nothing, so that storing to f32 rounds once, as ggml's own arithmetic does.

import { type Block, type Bytes, half } from "./gguf-block.ts";

/** [16 × (scale, minimum): 4 bits each][64 × 4 codes of 2 bits][f16 d][f16 dmin]; runs of 16 */
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

/** [32 × 8 third bits][64 × 4 codes of 2 bits][16 scales of 6 bits in 12 bytes][f16 d]; runs of 16 */
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

// Scale i: its low four bits are a nibble of the first 8 bytes, its high two are bits of the last 4.
function q3kScale(bytes: Bytes, at: number, i: number): number {
  const low = i < 8 ? bytes[at + i] & 15 : bytes[at + i - 8] >> 4;
  return low | (((bytes[at + 8 + (i & 3)] >> (2 * (i >> 2))) & 3) << 4);
}

/** [f16 d][f16 dmin][8 × (scale, minimum) of 6 bits in 12 bytes][4 × 32 bytes: codes of two runs]; runs of 32 */
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

/** As Q4_K, with [32 × 8 fifth bits] before the codes. */
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

// The first four pairs have a byte for each; of the last four the low bits share a byte, the high ones top the first bytes.
function scaleOf(bytes: Bytes, at: number, run: number): number {
  if (run < 4) return bytes[at + run] & 63;
  return (bytes[at + run + 4] & 15) | ((bytes[at + run - 4] >> 6) << 4);
}

function minimumOf(bytes: Bytes, at: number, run: number): number {
  if (run < 4) return bytes[at + run + 4] & 63;
  return (bytes[at + run + 4] >> 4) | ((bytes[at + run] >> 6) << 4);
}

/** [128 bytes: low four bits][64 bytes: high two bits][16 × i8 scale][f16 d]; runs of 16 */
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
