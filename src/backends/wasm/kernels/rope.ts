// rope: each head of x [T, heads·2·half] turned in the pairs (d, d + half) by the angles of cos and sin [T, half].

import { madd } from "./lanes";

/** Rows [begin, end). `inverse` turns back. */
export function rope(
  y: usize, x: usize, cos: usize, sin: usize, heads: i32, half: i32, inverse: i32, begin: i32, end: i32,
): void {
  const bytes = <usize>half << 2;
  const sign: f32 = inverse ? -1 : 1;
  const signs = f32x4.splat(sign);
  for (let t = begin; t < end; t++) {
    const c = cos + <usize>t * bytes, s = sin + <usize>t * bytes;
    for (let head = 0; head < heads; head++) {
      const at = (<usize>t * <usize>heads + <usize>head) * (bytes << 1);
      let a = x + at, p = y + at;
      let d: usize = 0;
      for (; d + 16 <= bytes; d += 16) {
        const u = v128.load(a + d), v = v128.load(a + bytes + d);
        const cs = v128.load(c + d), sn = f32x4.mul(v128.load(s + d), signs);
        v128.store(p + d, f32x4.sub(f32x4.mul(u, cs), f32x4.mul(v, sn)));
        v128.store(p + bytes + d, madd(v, cs, f32x4.mul(u, sn)));
      }
      for (; d < bytes; d += 4) {
        // In lanes like the rest, so that an angle gives the same bits wherever it stands.
        const u = f32x4.splat(load<f32>(a + d)), v = f32x4.splat(load<f32>(a + bytes + d));
        const cs = f32x4.splat(load<f32>(c + d)), sn = f32x4.mul(f32x4.splat(load<f32>(s + d)), signs);
        store<f32>(p + d, f32x4.extract_lane(f32x4.sub(f32x4.mul(u, cs), f32x4.mul(v, sn)), 0));
        store<f32>(p + bytes + d, f32x4.extract_lane(madd(v, cs, f32x4.mul(u, sn)), 0));
      }
    }
  }
}
