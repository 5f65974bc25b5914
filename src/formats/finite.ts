// Whether numbers are finite, found on their words: NaN and infinity have all bits of the exponent set, so that one more carries
// into the bit above. Specification of what a backend may do faster in its own memory (Backend.areFinite).

import { words32 } from "./words.ts";

/** Bits of exponents in a word, the lowest of them, and the bits above them: of one number, or of two halves. */
export type Exponents = { readonly mask: number; readonly one: number; readonly above: number };

const F32: Exponents = { mask: 0x7f800000, one: 0x00800000, above: 0x80000000 | 0 };
export const exponents: Readonly<Record<"f32" | "f16" | "bf16", Exponents>> = {
  f32: F32,
  f16: { mask: 0x7c007c00, one: 0x04000400, above: 0x80008000 | 0 },
  bf16: { mask: 0x7f807f80, one: 0x00800080, above: 0x80008000 | 0 },
};

/** Bytes that are looked at together. */
export const FINITE_RUN = 16;

/** Looks at 16 bytes of each `every` (16: at all, and at what is left at the end). */
export type AreFinite = (bytes: Uint8Array, of: Exponents, every: number) => boolean;

export const areFinite: AreFinite = (bytes, { mask, one, above }, every) => {
  const words = words32(bytes);
  const step = every / 4;
  let broken = 0;
  if (every === FINITE_RUN)
    for (let i = 0; i < words.length; i++) broken |= (words[i] & mask) + one;
  else
    for (let at = 0; at + 3 < words.length; at += step) {
      broken |=
        ((words[at] & mask) + one) |
        ((words[at + 1] & mask) + one) |
        ((words[at + 2] & mask) + one) |
        ((words[at + 3] & mask) + one);
    }
  if (every === FINITE_RUN && bytes.length % 4 === 2) {
    const odd = bytes[bytes.length - 2] | (bytes[bytes.length - 1] << 8);
    broken |= (odd & mask) + one;
  }
  return (broken & above) === 0;
};
