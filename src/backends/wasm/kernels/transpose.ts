// transpose: y [B·K, S]: row b·K + k holds column k of the rows b·S … b·S + S − 1 of x [B·S, K].

/** Rows of y [begin, end). */
export function transpose(y: usize, x: usize, K: i32, S: i32, begin: i32, end: i32): void {
  for (let row = begin; row < end; row++) {
    const b = row / K, k = row % K;
    let from = x + ((<usize>b * <usize>S * <usize>K + <usize>k) << 2), to = y + (<usize>row * <usize>S << 2);
    for (let s = 0; s < S; s++) {
      store<f32>(to, load<f32>(from));
      from += <usize>K << 2;
      to += 4;
    }
  }
}
