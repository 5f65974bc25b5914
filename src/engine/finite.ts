// Whether loaded weights hold NaN or Inf: in the numbers of plain formats, in the scales of quantised ones.

import { words32 } from "../formats/words.ts";
import type { Parts, WeightFormat } from "../formats/weight-format.ts";

/** Whether no number is NaN or Inf, that is, has all bits of its exponent set; two 16-bit numbers are looked at together. */
export function isFinitePart(parts: Parts, format: WeightFormat): boolean {
  const exponents = EXPONENTS[format.family];
  if (exponents === undefined) return format.isFinite?.(parts) ?? true;
  const [high, low] = exponents;
  const [bytes] = parts;
  const words = words32(bytes);
  for (let i = 0; i < words.length; i++) {
    if ((words[i] & high) === high || (low !== 0 && (words[i] & low) === low)) return false;
  }
  const odd =
    bytes.byteLength % 4 === 2 ? bytes[bytes.length - 2] | (bytes[bytes.length - 1] << 8) : 0;
  return (odd & low) !== low || low === 0;
}

const EXPONENTS: Readonly<Record<string, readonly [high: number, low: number]>> = {
  f32: [0x7f800000, 0],
  f16: [0x7c000000, 0x7c00],
  bf16: [0x7f800000, 0x7f80],
};
