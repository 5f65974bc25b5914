// What the unpackers of GGUF's types share: a block's f16 scale, and sixteen codes as f32. All products are exact in f32 and
// a minimum is taken off with one rounding, so that the bits are those of src/formats/gguf-*.ts.

/** The f16 at p, infinities and NaN included. */
// @ts-ignore: decorator
@inline
export function half(p: usize): f32 {
  const h = <u32>load<u16>(p);
  // 2¹¹² moves the exponent's bias from 15 to 127; above 65,504 the exponent was all ones
  const number = reinterpret<f32>((h & 0x7fff) << 13) * reinterpret<f32>(0x77800000);
  return reinterpret<f32>(reinterpret<u32>(number) | (number > 65504 ? 0x7f800000 : 0) | ((h & 0x8000) << 16));
}

/** Sixteen i8 codes · d − m, to 64 bytes. */
// @ts-ignore: decorator
@inline
export function spread(to: usize, codes: v128, d: v128, m: v128): void {
  const low = i16x8.extend_low_i8x16_s(codes), high = i16x8.extend_high_i8x16_s(codes);
  const a = f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), d), m);
  const A = f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), d), m);
  v128.store(to, A, 16);
  v128.store(to, a);
  const b = f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), d), m);
  const B = f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), d), m);
  v128.store(to, B, 48);
  v128.store(to, b, 32);
}

/** Sixteen i8 codes · d, to 64 bytes. */
// @ts-ignore: decorator
@inline
export function scaled(to: usize, codes: v128, d: v128): void {
  const low = i16x8.extend_low_i8x16_s(codes), high = i16x8.extend_high_i8x16_s(codes);
  const a = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), d);
  const A = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), d);
  v128.store(to, A, 16);
  v128.store(to, a);
  const b = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), d);
  const B = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), d);
  v128.store(to, B, 48);
  v128.store(to, b, 32);
}
