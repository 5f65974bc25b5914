// bfloat16: the upper half of a binary32, 2 bytes a number.

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
      // Adding half a unit less one, plus the last kept bit, carries into the kept half exactly when it must round up.
      target[i] = isNaN ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
    }
    if (target.buffer !== bytes.buffer) bytes.set(new Uint8Array(target.buffer));
  },
};
