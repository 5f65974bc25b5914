// are_finite: whether all numbers in runs of 16 bytes are finite: NaN and infinity have all exponent bits set, see
// src/formats/finite.ts.

/** 1 if all are. A run begins at each `every` bytes. mask, one, above: the masks of a word, which holds one number or two. */
export function are_finite(at: usize, runs: i32, every: usize, mask: i32, one: i32, above: i32): i32 {
  const masks = i32x4.splat(mask), ones = i32x4.splat(one);
  let broken = i32x4.splat(0);
  for (; runs > 0; --runs) {
    broken = v128.or(broken, i32x4.add(v128.and(v128.load(at), masks), ones));
    at += every;
  }
  return i32(!v128.any_true(v128.and(broken, i32x4.splat(above))));
}
