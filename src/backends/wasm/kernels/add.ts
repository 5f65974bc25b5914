// add: y = a + b, element by element.

/** Elements [begin, end). */
export function add(y: usize, a: usize, b: usize, begin: i32, end: i32): void {
  let i = <usize>begin << 2;
  const bytes = <usize>end << 2;
  for (; i + 32 <= bytes; i += 32) {
    const p = a + i, q = b + i, to = y + i;
    const v = f32x4.add(v128.load(p), v128.load(q)), V = f32x4.add(v128.load(p, 16), v128.load(q, 16));
    v128.store(to, V, 16);
    v128.store(to, v);
  }
  for (; i < bytes; i += 4) store<f32>(y + i, load<f32>(a + i) + load<f32>(b + i));
}
