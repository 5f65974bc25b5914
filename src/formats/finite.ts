// Whether numbers are finite, from their bits. NaN and infinity have all exponent bits set, so that adding 1 at the lowest exponent
// bit carries into the bit above the exponent. This is the specification; a backend may do it faster on memory of its own
// (Backend.areFinite). Does not know what the numbers are.

import { words32 } from "./words.ts";

/** Masks of a 32-bit word, which is one f32 or two 16-bit numbers: the exponent bits, the lowest of them, the bits above them. */
export type Exponents = { readonly mask: number; readonly one: number; readonly above: number };

const F32: Exponents = { mask: 0x7f800000, one: 0x00800000, above: 0x80000000 | 0 };
export const exponents: Readonly<Record<"f32" | "f16" | "bf16", Exponents>> = {
  f32: F32,
  f16: { mask: 0x7c007c00, one: 0x04000400, above: 0x80008000 | 0 },
  bf16: { mask: 0x7f807f80, one: 0x00800080, above: 0x80008000 | 0 },
};

/** How many bytes are looked at at a time. */
export const FINITE_RUN = 16;

/** Whether all numbers are finite in the first 16 bytes of each `every` bytes. With `every` 16 a rest at the end counts too. */
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
