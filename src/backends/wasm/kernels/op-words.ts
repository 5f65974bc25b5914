// Reading the words of an op in a program, which ../encode.ts and the files beside it write.

import { ARGS_WORD } from "./header";

// @ts-ignore: decorator
@inline
export function word(op: usize, n: i32): i32 {
  return load<i32>(op + (<usize>n << 2));
}

// @ts-ignore: decorator
@inline
export function pointer(op: usize, n: i32): usize {
  return <usize>load<u32>(op + (<usize>n << 2));
}

/** The nth argument of an op, as a number or an address. */
// @ts-ignore: decorator
@inline
export function arg(op: usize, n: i32): i32 {
  return word(op, ARGS_WORD + n);
}

// @ts-ignore: decorator
@inline
export function address(op: usize, n: i32): usize {
  return pointer(op, ARGS_WORD + n);
}

// @ts-ignore: decorator
@inline
export function ceilDiv(a: i32, b: i32): i32 {
  return (a + b - 1) / b;
}
