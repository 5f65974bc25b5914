// cross_entropy: lse [N] = log Σ exp(logits [N, V]), nll [N] = lse − logits at labels [N]; nll is 0 where the label is −100.
// Either output may be absent (pointer 0). Any other label outside [0, V) traps.

import { largest, logSum } from "./log-softmax";

const IGNORED: i32 = -100;

/** Rows [begin, end). */
export function cross_entropy(
  nll: usize, lse: usize, logits: usize, labels: usize, V: i32, begin: i32, end: i32,
): void {
  for (let n = begin; n < end; n++) {
    const at = <usize>n << 2;
    const label = nll ? load<i32>(labels + at) : IGNORED;
    if (label == IGNORED) {
      if (nll) store<f32>(nll + at, 0);
      if (!lse) continue;
    } else if (<u32>label >= <u32>V) unreachable();
    const row = logits + <usize>n * (<usize>V << 2);
    const m = largest(row, V);
    const log = logSum(row, V, m);
    if (lse) store<f32>(lse + at, <f32>(<f64>m + log));
    if (label == IGNORED) continue;
    store<f32>(nll + at, <f32>(<f64>m - <f64>load<f32>(row + (<usize>label << 2)) + log));
  }
}
