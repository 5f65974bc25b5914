// bfloat16: the upper half of an f32, 2 bytes a number. Knows nothing of matrices.

import type { NumberFormat } from "./number-format.ts";
import { words16 } from "./words.ts";

export const bf16: NumberFormat = {
  name: "bf16",
  safetensors: "BF16",
  torch: "bfloat16",
  bytes: (elements) => elements * 2,

  unpack(bytes, out) {
    const words = words16(bytes);
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < bits.length; i++) bits[i] = words[i] << 16;
  },

  pack(values, bytes) {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const target = words16(bytes);
    for (let i = 0; i < bits.length; i++) {
      const b = bits[i];
      const isNaN = (b & 0x7fffffff) > 0x7f800000;
      // Rounds to nearest, ties to even: adding 0x7fff plus the last kept bit carries into the upper half exactly when it must.
      target[i] = isNaN ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
    }
    if (target.buffer !== bytes.buffer) bytes.set(new Uint8Array(target.buffer));
  },
};
