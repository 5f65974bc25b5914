// Numbers of one row of GGUF's IQ4 types as f32, see src/formats/gguf-iq.ts. p: the row's first block that is wanted; count:
// a multiple of the block.

import { half, scaled } from "./unpack-gguf-lanes";

/** 32 codes of four bits at p, as values · d. */
// @ts-ignore: decorator
@inline
function run32(to: usize, p: usize, d: v128): void {
  const values = i8x16(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
  const nibble = i8x16.splat(15), codes = v128.load(p);
  scaled(to, i8x16.swizzle(values, v128.and(codes, nibble)), d);
  scaled(to + 64, i8x16.swizzle(values, v128.and(i16x8.shr_u(codes, 4), nibble)), d);
}

export function unpack_iq4_nl(to: usize, p: usize, count: i32): void {
  for (; count > 0; count -= 32) {
    run32(to, p + 2, f32x4.splat(half(p)));
    to += 128;
    p += 18;
  }
}

export function unpack_iq4_xs(to: usize, p: usize, count: i32): void {
  for (; count > 0; count -= 256) {
    const d = half(p), high = <u32>load<u16>(p, 2);
    for (let i = 0; i < 8; i++) {
      const low = (<u32>load<u8>(p + (i >> 1), 4) >> ((i & 1) << 2)) & 15;
      const scale = <i32>(low | (((high >> (i << 1)) & 3) << 4)) - 32;
      run32(to, p + 8 + (i << 4), f32x4.splat(d * <f32>scale));
      to += 128;
    }
    p += 136;
  }
}
