// eager_attention: attention over the cache's pages in three plain steps: all scores of a query, softmax, times V. Gives probs
// [T, Hq, C] too. Either output may be absent (pointer 0). A row sees what it sees in paged_attention. A row that sees nothing takes
// the mean of the values of the first `unmasked` columns, whatever their masks say (0: it stays 0).

import { accumulateOne, listRuns, RUN, scoreOne } from "./attend";
import { exponentials, largestOf, multiply, prepare } from "./block-softmax";
import { bytesOfCache, widenCache, widenSlice } from "./cache-format";
import { FORMAT_F32 } from "./header";
import { visible } from "./paged-attention";
import { EAGER_WIDENED, eagerSumsAt, eagerWeightsAt } from "./scratch";

/** Which columns of the page that begins at `column` are below `end`, as 16 bits. */
// @ts-ignore: decorator
@inline
function columnsBelow(end: i32, column: i32): i32 {
  return end - column >= 16 ? 0xffff : (1 << (end - column)) - 1;
}

/**
 * Units [begin, end): unit = row · heads + head. KS, VS: scales [pages, 16, kvHeads] of an int8 cache, else 0.
 */
export function eager_attention(
  y: usize, probs: usize, q: usize, K: usize, V: usize, seq: usize, at: usize, pages: usize, KS: usize, VS: usize,
  heads: i32, kvHeads: i32, D: i32, window: i32, P: i32, scale: f32, format: i32, C: i32, unmasked: i32,
  scratch: usize, begin: i32, end: i32,
): void {
  const bytes = <usize>D << 2, KV = kvHeads * D;
  const headBytes = (<usize>D << 4) * bytesOfCache(format);
  // f32 values in whole slices of 16 are read where they lie.
  const direct = format == FORMAT_F32 && !(D & 15);
  const widened = scratch + EAGER_WIDENED, sums = scratch + <usize>eagerSumsAt(D), weights = scratch + <usize>eagerWeightsAt(D);
  for (let unit = begin; unit < end; unit++) {
    const row = unit / heads;
    const head = (unit % heads) / (heads / kvHeads);
    const column = load<i32>(at + (<usize>row << 2));
    const table = pages + (<usize>load<i32>(seq + (<usize>row << 2)) * <usize>P << 3);
    let first = (window > 0 ? max(0, column - window + 1) : 0) >> 4, last = column >> 4;

    let largest: f32 = -Infinity;
    let any = false;
    for (let block = first; block <= last; block++) {
      const entry = table + (<usize>(block % P) << 3), p = weights + (<usize>block << 6);
      const seen = visible(load<i32>(entry, 4), block, column, window);
      if (!seen) continue;
      any = true;
      const page = <usize>(load<i32>(entry) * kvHeads + head);
      let keys = K + page * headBytes;
      if (format) {
        widenCache(widened, keys, D << 4, format);
        keys = widened;
      }
      for (let j: usize = 0; j < 64; j += 8) store<i64>(p + j, 0);
      scoreOne(q + <usize>unit * bytes, keys, D, p, p);
      largest = max<f32>(largest, largestOf(prepare(p, seen, scale, KS ? KS + (page << 6) : 0)));
    }
    let sum: f32 = 0;
    for (let block = first; block <= last; block++) {
      const mask = load<i32>(table + (<usize>(block % P) << 3), 4);
      if (visible(mask, block, column, window)) sum += exponentials(weights + (<usize>block << 6), largest);
    }

    if (!any) {
      first = 0;
      last = (unmasked - 1) >> 4;
      sum = <f32>unmasked;
      for (let column = 0; column < unmasked; column++) store<f32>(weights + (<usize>column << 2), 1);
    }

    const out = probs ? probs + <usize>unit * (<usize>C << 2) : 0;
    if (out) for (let j: usize = 0; j < <usize>C << 2; j += 4) store<f32>(out + j, 0);
    for (let d: usize = 0; d < bytes; d += 4) store<f32>(sums + d, 0);
    for (let block = first; block <= last; block++) {
      const entry = table + (<usize>(block % P) << 3), p = weights + (<usize>block << 6);
      const seen = any ? visible(load<i32>(entry, 4), block, column, window) : columnsBelow(unmasked, block << 4);
      if (!seen) continue;
      for (let bits = seen; bits; bits &= bits - 1) {
        const j = <usize>ctz(bits) << 2;
        const weight = load<f32>(p + j) / sum;
        store<f32>(p + j, weight);
        if (out) store<f32>(out + (<usize>block << 6) + j, weight);
      }
      if (!y) continue;
      const page = load<i32>(entry) * kvHeads;
      if (VS) multiply(p, VS + (<usize>(page + head) << 6));
      const valuesOfHeads = V + <usize>page * headBytes;
      const values = direct ? valuesOfHeads + <usize>head * headBytes : widened;
      const runs = <i32>((listRuns(scratch, seen, values, 0) - scratch) / RUN);
      for (let d = 0; d < D; d += 16) {
        if (!direct) widenSlice(widened, valuesOfHeads, head * D + d, min(16, D - d), KV, format);
        accumulateOne(sums + (<usize>d << 2), 1, p, scratch, runs, direct ? <usize>d << 6 : 0);
      }
    }
    if (!y) continue;
    for (let d: usize = 0; d < bytes; d += 4) store<f32>(y + <usize>unit * bytes + d, load<f32>(sums + d));
  }
}
