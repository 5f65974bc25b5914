// mse: loss [N] = mean over K of (logits [N, K] − targets [N, K])². Sums are in f64, in order.

/** Rows [begin, end). */
export function mse(loss: usize, logits: usize, targets: usize, K: i32, begin: i32, end: i32): void {
  for (let n = begin; n < end; n++) {
    const row = <usize>n * (<usize>K << 2);
    let sum: f64 = 0;
    for (let i = row; i < row + (<usize>K << 2); i += 4) {
      const d = <f64>load<f32>(logits + i) - <f64>load<f32>(targets + i);
      sum += d * d;
    }
    store<f32>(loss + (<usize>n << 2), <f32>(sum / <f64>K));
  }
}
