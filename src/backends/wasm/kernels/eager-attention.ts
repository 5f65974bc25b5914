// eager_attention: the plain road over cache pages: all scores of a query, softmax, times V. Gives probs [T, Hq, C] too.
// Either output may be absent (pointer 0). Visibility as in paged_attention.

import { accumulateOne, scoreOne } from "./attend";
import { exponentials, prepare, visible } from "./paged-attention";

/**
 * Units [begin, end): unit = row · heads + head. `scratch`: 64 bytes, then 4 bytes for each column, C rounded up to 16.
 */
export function eager_attention(
  y: usize, probs: usize, q: usize, K: usize, V: usize, seq: usize, at: usize, pages: usize,
  heads: i32, kvHeads: i32, D: i32, window: i32, P: i32, scale: f32, C: i32,
  scratch: usize, begin: i32, end: i32,
): void {
  const bytes = <usize>D << 2, stride = <usize>kvHeads * bytes;
  const weights = scratch + 64;
  for (let unit = begin; unit < end; unit++) {
    const row = unit / heads;
    const head = <usize>((unit % heads) / (heads / kvHeads)) * bytes;
    const column = load<i32>(at + (<usize>row << 2));
    const table = pages + (<usize>load<i32>(seq + (<usize>row << 2)) * <usize>P << 3);
    const first = (window > 0 ? max(0, column - window + 1) : 0) >> 4, last = column >> 4;

    let largest: f32 = -Infinity;
    let any = 0;
    for (let block = first; block <= last; block++) {
      const entry = table + (<usize>(block % P) << 3), p = weights + (<usize>block << 6);
      const seen = visible(load<i32>(entry, 4), block, column, window);
      any |= seen;
      if (!seen) continue;
      scoreOne(q + <usize>unit * bytes, K + <usize>load<i32>(entry) * (stride << 4) + (head << 4), D, p);
      largest = max<f32>(largest, prepare(p, seen, scale));
    }
    let sum: f32 = 0;
    for (let block = first; block <= last; block++) {
      const mask = load<i32>(table + (<usize>(block % P) << 3), 4);
      if (visible(mask, block, column, window)) sum += exponentials(weights + (<usize>block << 6), largest);
    }

    const out = probs ? probs + <usize>unit * (<usize>C << 2) : 0;
    if (out) for (let j: usize = 0; j < <usize>C << 2; j += 4) store<f32>(out + j, 0);
    const to = y ? y + <usize>unit * bytes : 0;
    if (to) for (let d: usize = 0; d < bytes; d += 4) store<f32>(to + d, 0);
    if (!any) continue;
    for (let block = first; block <= last; block++) {
      const entry = table + (<usize>(block % P) << 3), p = weights + (<usize>block << 6);
      const seen = visible(load<i32>(entry, 4), block, column, window);
      if (!seen) continue;
      for (let bits = seen; bits; bits &= bits - 1) {
        const j = <usize>ctz(bits) << 2;
        const weight = load<f32>(p + j) / sum;
        store<f32>(p + j, weight);
        if (out) store<f32>(out + (<usize>block << 6) + j, weight);
      }
      if (to) accumulateOne(to, p, seen, 1, V + <usize>load<i32>(entry) * (stride << 4) + head, stride, 0, D);
    }
  }
}
