// gather_rows: row n of y [N, H] is row want[n] of x [T, H].

/** Rows [begin, end) of y. */
export function gather_rows(y: usize, x: usize, want: usize, H: i32, begin: i32, end: i32): void {
  const bytes = <usize>H << 2;
  for (let n = begin; n < end; n++)
    memory.copy(y + <usize>n * bytes, x + <usize>load<i32>(want + (<usize>n << 2)) * bytes, bytes);
}
