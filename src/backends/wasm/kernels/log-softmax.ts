// log_softmax: y [N, V] = x − log Σ exp(x), row by row. Sum order: four lanes over v, the last v padded with −∞, then lanes::fold.

import { constants, expNegative4, logarithm } from "./exponential";
import { fold } from "./lanes";

export function largest(x: usize, count: i32): f32 {
  let m = f32x4.splat(-Infinity);
  for (; count >= 4; count -= 4) {
    m = f32x4.max(m, v128.load(x));
    x += 16;
  }
  let result = max<f32>(
    max<f32>(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)),
    max<f32>(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)),
  );
  for (; count > 0; --count) {
    result = max<f32>(result, load<f32>(x));
    x += 4;
  }
  return result;
}

/** log Σ exp(x − shift); −∞ when every x is. */
export function logSum(x: usize, count: i32, shift: f32): f64 {
  if (shift == -Infinity) return -Infinity;
  const s = f32x4.splat(shift), c = constants();
  let sum = i32x4.splat(0);
  for (; count >= 4; count -= 4) {
    sum = f32x4.add(sum, expNegative4(f32x4.sub(v128.load(x), s), c));
    x += 16;
  }
  if (count) {
    let last = f32x4.splat(-Infinity);
    last = f32x4.replace_lane(last, 0, load<f32>(x));
    if (count > 1) last = f32x4.replace_lane(last, 1, load<f32>(x, 4));
    if (count > 2) last = f32x4.replace_lane(last, 2, load<f32>(x, 8));
    sum = f32x4.add(sum, expNegative4(f32x4.sub(last, s), c));
  }
  return logarithm(<f64>fold(sum));
}

/** Rows [begin, end). */
export function log_softmax(y: usize, x: usize, V: i32, begin: i32, end: i32): void {
  const bytes = <usize>V << 2;
  for (let n = begin; n < end; n++) {
    const from = x + <usize>n * bytes, to = y + <usize>n * bytes;
    const m = largest(from, V);
    const log = <f32>logSum(from, V, m);
    for (let i: usize = 0; i < bytes; i += 4) store<f32>(to + i, load<f32>(from + i) - m - log);
  }
}
