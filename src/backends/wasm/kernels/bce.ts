// bce: loss [N] = mean over K of max(x, 0) − x · z + log(1 + exp(−|x|)), x = logits [N, K], z = targets [N, K]. Sums are in f64, in
// order.

import { constants, expNegative4, logarithm } from "./exponential";

/** Rows [begin, end). */
export function bce(loss: usize, logits: usize, targets: usize, K: i32, begin: i32, end: i32): void {
  const c = constants();
  for (let n = begin; n < end; n++) {
    const row = <usize>n * (<usize>K << 2);
    let sum: f64 = 0;
    for (let i = row; i < row + (<usize>K << 2); i += 4) {
      const x = load<f32>(logits + i);
      const e = f32x4.extract_lane(expNegative4(f32x4.splat(-abs<f32>(x)), c), 0);
      sum += <f64>max<f32>(x, 0) - <f64>x * <f64>load<f32>(targets + i) + logarithm(1 + <f64>e);
    }
    store<f32>(loss + (<usize>n << 2), <f32>(sum / <f64>K));
  }
}
