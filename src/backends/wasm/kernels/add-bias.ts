// add_bias: y [T, O] = x [T, O] + bias [O], row by row.

import { weight } from "./lanes";

function add<F>(y: usize, x: usize, bias: usize, O: i32, begin: i32, end: i32): void {
  for (let t = begin; t < end; t++) {
    const at = <usize>t * (<usize>O << 2);
    for (let o: usize = 0; o < <usize>O; o++) {
      store<f32>(y + at + (o << 2), load<f32>(x + at + (o << 2)) + weight<F>(bias + o * sizeof<F>()));
    }
  }
}

/** Rows [begin, end). format of the bias: 0 f32, 1 bf16, 2 f16. */
export function add_bias(y: usize, x: usize, bias: usize, O: i32, format: i32, begin: i32, end: i32): void {
  if (format == 0) add<f32>(y, x, bias, O, begin, end);
  else if (format == 1) add<u16>(y, x, bias, O, begin, end);
  else add<i16>(y, x, bias, O, begin, end);
}
