// GGUF's IQ4 types: 4-bit codes, each the index of one of 16 unevenly spaced values, as ggml reads them
// (https://github.com/ggml-org/ggml). d is the block's f16 scale. Does not know matrices: gguf-block.ts.

import { type Block, type Bytes, half } from "./gguf-block.ts";

const VALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/**
 * 32 numbers, each d · value.
 *
 * | offset | size | content                                                     |
 * | ------ | ---- | ----------------------------------------------------------- |
 * | 0      | 2    | d                                                           |
 * | 2      | 16   | codes: byte j holds numbers j (low half) and j + 16 (high)  |
 */
const iq4nl: Block = {
  ...{ name: "IQ4_NL", numbers: 32, bytes: 18, scales: [0] },
  unpack: (bytes, at, out, to) => run(half(bytes, at), bytes, at + 2, out, to),
};

/**
 * 8 runs of 32 numbers, each d · (scale − 32) · value with the run's 6-bit scale.
 *
 * | offset | size   | content                                             |
 * | ------ | ------ | --------------------------------------------------- |
 * | 0      | 2      | d                                                   |
 * | 2      | 2      | the high two bits of the 8 scales                   |
 * | 4      | 4      | their low four bits                                 |
 * | 8      | 8 × 16 | codes of each run, as in IQ4_NL                     |
 */
const iq4xs: Block = {
  ...{ name: "IQ4_XS", numbers: 256, bytes: 136, scales: [0] },
  unpack(bytes, at, out, to) {
    const d = half(bytes, at);
    const high = bytes[at + 2] | (bytes[at + 3] << 8);
    for (let i = 0; i < 8; i++) {
      const low = (bytes[at + 4 + (i >> 1)] >> (4 * (i & 1))) & 15;
      const scale = low | (((high >> (2 * i)) & 3) << 4);
      run(d * (scale - 32), bytes, at + 8 + i * 16, out, to + i * 32);
    }
  },
};

// Unpacks 32 numbers: byte j holds number j (low half) and number j + 16 (high half).
function run(scale: number, bytes: Bytes, at: number, out: Float32Array, to: number): void {
  for (let j = 0; j < 16; j++) {
    out[to + j] = scale * VALUES[bytes[at + j] & 15];
    out[to + 16 + j] = scale * VALUES[bytes[at + j] >> 4];
  }
}

/** IQ4_NL, IQ4_XS. */
export const iqBlocks: readonly Block[] = [iq4nl, iq4xs];
