// GGUF's IQ4 types: codes of four bits that name one of 16 unevenly spaced values. As ggml reads them
// (https://github.com/ggml-org/ggml).

import { type Block, type Bytes, half } from "./gguf-block.ts";

const VALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** [f16 d][16 × 2 codes]: d · value */
const iq4nl: Block = {
  ...{ name: "IQ4_NL", numbers: 32, bytes: 18, scales: [0] },
  unpack: (bytes, at, out, to) => run(half(bytes, at), bytes, at + 2, out, to),
};

/** [f16 d][8 × 2 high bits of the scales][8 × 4 low bits][8 × 16 × 2 codes]; runs of 32 with a scale of 6 bits, less 32 */
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

// 32 numbers: byte j holds number j (low nibble) and number j + 16 (high).
function run(scale: number, bytes: Bytes, at: number, out: Float32Array, to: number): void {
  for (let j = 0; j < 16; j++) {
    out[to + j] = scale * VALUES[bytes[at + j] & 15];
    out[to + 16 + j] = scale * VALUES[bytes[at + j] >> 4];
  }
}

/** IQ4_NL, IQ4_XS. */
export const iqBlocks: readonly Block[] = [iq4nl, iq4xs];
