// unpack_int8: numbers of one row of LLM.int8 as f32: i8 · SCB · 1/127, each product rounded; see src/formats/llm-int8.ts.

/** bitsandbytes' own 1/127. */
const INVERSE: f32 = 7.874015718698502e-3;

/** p0: i8 [·, K]; p1: SCB, f32, one a row. p2, p3 and param are not used: the threshold is about activations. */
export function unpack_int8(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const scale = load<f32>(p1 + (<usize>row << 2));
  const scales = f32x4.splat(scale), inverse = f32x4.splat(INVERSE);
  let p = p0 + <usize>row * <usize>K + <usize>k;
  for (; count >= 8; count -= 8) {
    const codes = v128.load_ext<i8>(p);
    const v = f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(codes)), scales), inverse);
    const V = f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(codes)), scales), inverse);
    v128.store(to, V, 16);
    v128.store(to, v);
    to += 32;
    p += 8;
  }
  for (; count > 0; --count) {
    store<f32>(to, <f32>load<i8>(p) * scale * INVERSE);
    to += 4;
    p++;
  }
}
