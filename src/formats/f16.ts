// IEEE 754 binary16: 5 exponent bits, 10 fraction bits, 2 bytes a number; subnormals included. Knows nothing of matrices.

import type { NumberFormat } from "./number-format.ts";
import { words16 } from "./words.ts";

export const f16: NumberFormat = {
  name: "f16",
  safetensors: "F16",
  torch: "float16",
  bytes: (elements) => elements * 2,

  unpack(bytes, out) {
    const words = words16(bytes);
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < bits.length; i++) {
      const h = words[i];
      const sign = (h & 0x8000) << 16;
      const magnitude = (h & 0x7fff) << 13;
      if (magnitude >= 0x0f800000) {
        bits[i] = sign | 0x70000000 | magnitude; // Inf and NaN: the exponent becomes all ones
      } else {
        bits[i] = sign | magnitude;
        out[i] *= 2 ** 112; // moves the exponent's bias from 15 to 127; exact, and normalises subnormals
      }
    }
  },

  pack(values, bytes) {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const target = words16(bytes);
    for (let i = 0; i < bits.length; i++) target[i] = roundToF16(bits[i], values[i]);
    if (target.buffer !== bytes.buffer) bytes.set(new Uint8Array(target.buffer));
  },
};

function roundToF16(bits: number, value: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65,520 and above round to infinity
  if (magnitude < 0x38800000) {
    // Below 2^-14 the unit is 2^-24 throughout; adding 2^52 in f64 rounds to whole units, ties to even.
    return sign | (Math.abs(value) * 2 ** 24 + 2 ** 52 - 2 ** 52);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}
