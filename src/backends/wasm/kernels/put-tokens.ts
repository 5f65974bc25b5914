// put_tokens: tokens [S] at slots[n] becomes token[n]; slot −1: not kept. Any other slot outside [0, S) traps.

/** Rows [begin, end) of token and slots. */
export function put_tokens(tokens: usize, token: usize, slots: usize, S: i32, begin: i32, end: i32): void {
  for (let n = begin; n < end; n++) {
    const slot = load<i32>(slots + (<usize>n << 2));
    if (slot == -1) continue;
    if (<u32>slot >= <u32>S) unreachable();
    store<i32>(tokens + (<usize>slot << 2), load<i32>(token + (<usize>n << 2)));
  }
}
