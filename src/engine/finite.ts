// Whether loaded weights hold NaN or Inf: in the numbers of plain formats, in the scales of quantised ones.

import { words32 } from "../formats/words.ts";
import type { Parts, WeightFormat } from "../formats/weight-format.ts";

/** Bits of exponents in a word, the lowest of them, and the bits above them: one number, or two halves. */
type Exponents = { readonly mask: number; readonly one: number; readonly above: number };

const EXPONENTS: Readonly<Record<string, Exponents>> = {
  f32: { mask: 0x7f800000, one: 0x00800000, above: 0x80000000 | 0 },
  f16: { mask: 0x7c007c00, one: 0x04000400, above: 0x80008000 | 0 },
  bf16: { mask: 0x7f807f80, one: 0x00800080, above: 0x80008000 | 0 },
};

/** Whether no number is NaN or Inf, that is, has all bits of its exponent set: one more carries into the bit above. */
export function isFinitePart(parts: Parts, format: WeightFormat): boolean {
  const exponents = EXPONENTS[format.family];
  if (exponents === undefined) return format.isFinite?.(parts) ?? true;
  const { mask, one, above } = exponents;
  const [bytes] = parts;
  const words = words32(bytes);
  let broken = 0;
  for (let i = 0; i < words.length; i++) broken |= (words[i] & mask) + one;
  if (bytes.byteLength % 4 === 2) {
    const odd = bytes[bytes.length - 2] | (bytes[bytes.length - 1] << 8);
    broken |= (odd & mask) + one;
  }
  return (broken & above) === 0;
}
