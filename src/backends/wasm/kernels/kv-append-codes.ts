// kv_append_codes: writes rows of k and v [T, KV] to their slots in pools of int8 codes, with f32 scales KS and VS [pages, 16, heads].
// scale = the largest size of a head's numbers / 127; code = number · (1 / scale), rounded to nearest, ties to even. If the scale is
// no normal f32, all codes are 0. cache-format.ts has the layout of a page.

import { valueAt } from "./cache-format";

/** Rows [begin, end). */
export function kv_append_codes(
  K: usize, V: usize, k: usize, v: usize, slots: usize, KS: usize, VS: usize,
  KV: i32, heads: i32, begin: i32, end: i32,
): void {
  const D = KV / heads;
  for (let t = begin; t < end; t++) {
    const slot = load<i32>(slots + (<usize>t << 2));
    if (slot < 0) continue;
    const column = slot & 15, page = <usize>(slot >> 4) * (<usize>KV << 4);
    for (let head = 0; head < heads; head++) {
      const first = head * D, row = (<usize>t * KV + first) << 2;
      const scaleAt = <usize>(((slot >> 4) * heads + head) * 16 + column) << 2;
      const keyScale = scaleOf(k + row, D), valueScale = scaleOf(v + row, D);
      store<f32>(KS + scaleAt, keyScale);
      store<f32>(VS + scaleAt, valueScale);
      const keyInverse = inverseOf(keyScale), valueInverse = inverseOf(valueScale);
      let key = K + page + <usize>((first << 4) + column), from = row;
      for (let i = first; i < first + D; ) {
        // One slice of V at a time, or the part of it that belongs to this head.
        let value = V + page + <usize>valueAt(i, KV, column);
        for (const stop = min(first + D, (i | 15) + 1); i < stop; ++i) {
          store<i8>(key, codeOf(load<f32>(k + from) * keyInverse));
          store<i8>(value, codeOf(load<f32>(v + from) * valueInverse));
          from += 4;
          key += 16;
          value++;
        }
      }
    }
  }
}

/** The scale of D numbers; NaN if one of them is. */
function scaleOf(x: usize, D: i32): f32 {
  let most: f32 = 0;
  for (let d = 0; d < D; d++) most = max<f32>(most, abs(load<f32>(x + (<usize>d << 2))));
  return most / 127;
}

// @ts-ignore: decorator
@inline
function inverseOf(scale: f32): f32 {
  return scale >= f32.MIN_NORMAL_VALUE ? 1 / scale : 0;
}

/** To nearest even; 0 for NaN. */
// @ts-ignore: decorator
@inline
function codeOf(x: f32): i32 {
  return x == x ? <i32>nearest(x) : 0;
}
