// Numbers of a plain format (f32, bf16 or f16) as f32.

import { bytesOf, f16Limit, f16Mask, f16Ones, f16Scale, high, low, weight } from "./lanes";

function widen<F>(to: usize, from: usize, count: i32): void {
  const mask = f16Mask(), scale = f16Scale(), limit = f16Limit(), ones = f16Ones();
  for (; count >= 8; count -= 8) {
    const v = low<F>(from, mask, scale, limit, ones), V = high<F>(from, mask, scale, limit, ones);
    v128.store(to, V, 16);
    v128.store(to, v);
    to += 32;
    from += 8 * bytesOf<F>();
  }
  for (; count > 0; --count) {
    store<f32>(to, weight<F>(from));
    to += 4;
    from += bytesOf<F>();
  }
}

/** Writes `count` numbers of a tensor, from number `first` on. format: 0 f32, 1 bf16, 2 f16. */
export function widenRow(to: usize, from: usize, first: usize, count: i32, format: i32): void {
  if (format == 0) widen<f32>(to, from + (first << 2), count);
  else if (format == 1) widen<u16>(to, from + (first << 1), count);
  else widen<i16>(to, from + (first << 1), count);
}
