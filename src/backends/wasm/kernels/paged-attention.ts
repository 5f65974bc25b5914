// paged_attention: y [T, Hq·D] of q over the cache's pages, by an online softmax over blocks of 64 columns (four pages), in order.
// A row at column `at` sees column j of its sequence if the page's mask has it and at − window < j ≤ at. A unit of work is a block
// of rows with the query heads of one key-value head: keys and values are widened once for all these queries, and stay in the
// first-level cache. A query's bits depend on its own columns only: those it does not see add nothing, not even a zero.

import { accumulateFour, accumulateOne, accumulateTwo, listRuns, RUN, scoreFour, scoreOne, scoreTwo } from "./attend";
import { largest, seenOf, weigh } from "./block-softmax";
import { bytesOfCache, widenCache, widenSlice } from "./cache-format";
import { constants, expNegative4 } from "./exponential";
import { FORMAT_F32, FORMAT_I8 } from "./header";
import { isNativeAttention, nativeScores, nativeSums, noteQuery } from "./native-attention";
import {
  PAGED_PAGES, PAGED_ROW, PAGED_SCALES, PAGED_STATE, PAGED_WIDENED, PAGED_ZEROS, pagedCallAt, pagedRowsAt, pagedScoresAt, pagedStatesAt, pagedSumsAt,
} from "./scratch";

// What scratch holds of a row, PAGED_ROW bytes, for the block at hand:
//   offset  bytes  content
//        0      8  the columns that it sees, one bit each
//        8      4  how many runs these form
//       12      4  address of the list of runs: that of the whole block, or its own
//       16    384  its own list, up to 32 runs (attend.ts)
const COUNT: usize = 8;
const LIST: usize = 12;
const RUNS: usize = 16;
// What scratch holds of a query, PAGED_STATE bytes:
//   offset  bytes  content
//        0      4  largest score so far
//        4      4  sum of weights so far
//        8      4  factor by which the last block shrank its sums
const SHRINK: usize = 8;
/** Up to this many queries, reading keys from memory takes longer than multiplying them. */
const FEW: i32 = 8;
/** How many numbers of each key are read from one page before going on to the next. */
const STREAM: i32 = 16;
/** Up to this many numbers a key, keys come from the processor's cache anyway. */
const LARGE: i32 = 64;

/** Of the 16 columns from 16 · page on, those that the page holds (`mask`) and that a row at column `at` sees, as bits. */
export function visible(mask: i32, page: i32, at: i32, window: i32): i32 {
  const first = page << 4;
  const last = at - first;
  if (last < 0) return 0;
  if (last < 15) mask &= (2 << last) - 1;
  const skip = window > 0 ? at - window + 1 - first : 0;
  if (skip > 15) return 0;
  if (skip > 0) mask &= -1 << skip;
  return mask & 0xffff;
}

/**
 * Units [begin, end): unit = (block of `blockRows` rows · kvHeads + key-value head) · parts + part of the head's queries.
 * KS, VS: scales [pages, heads, 16] of an int8 cache. `wide`: use the tiles for 256-bit vectors, which give the same bits.
 */
export function paged_attention(
  y: usize, q: usize, K: usize, V: usize, seq: usize, at: usize, pages: usize, KS: usize, VS: usize,
  heads: i32, kvHeads: i32, D: i32, window: i32, P: i32, scale: f32, format: i32,
  rows: i32, blockRows: i32, parts: i32, wide: i32, scratch: usize, begin: i32, end: i32,
): void {
  for (let i = PAGED_ZEROS; i < PAGED_WIDENED; i += 16) v128.store(scratch + i, i32x4.splat(0));
  for (let unit = begin; unit < end; unit++) {
    const part = unit % parts, head = (unit / parts) % kvHeads;
    const group = heads / kvHeads, first = (part * group) / parts, count = ((part + 1) * group) / parts - first;
    let row = (unit / parts / kvHeads) * blockRows;
    const last = min(rows, row + blockRows);
    while (row < last) {
      const sequence = load<i32>(seq + (<usize>row << 2));
      let next = row + 1;
      while (next < last && load<i32>(seq + (<usize>next << 2)) == sequence) next++;
      run(
        y, q, K, V, at, pages + (<usize>sequence * <usize>P << 3), KS, VS,
        heads, kvHeads, head, head * group + first, count, D, window, P, scale, format, row, next, wide, scratch,
      );
      row = next;
    }
  }
}

/** Rows [begin, end) of one sequence, with `group` query heads of one key-value head, from head `first` on. */
function run(
  y: usize, q: usize, K: usize, V: usize, at: usize, pages: usize, KS: usize, VS: usize,
  heads: i32, kvHeads: i32, head: i32, first: i32, group: i32, D: i32, window: i32, P: i32, scale: f32, format: i32,
  begin: i32, end: i32, wide: i32, scratch: usize,
): void {
  const queries = (end - begin) * group;
  const sumBytes = <usize>((D + 15) & ~15) << 2;
  const rowsAt = scratch + <usize>pagedRowsAt(D), states = scratch + <usize>pagedStatesAt(D, end - begin);
  const scores = scratch + <usize>pagedScoresAt(D, end - begin, queries), sums = scratch + <usize>pagedSumsAt(D, end - begin, queries);
  const call = isNativeAttention(queries) ? scratch + <usize>pagedCallAt(D, end - begin, queries) : 0;
  for (let i = 0; call && i < queries; i++) noteQuery(call, i, queryAt(q, begin, i, group, heads, first, D), D, i == queries - 1);
  let low = i32.MAX_VALUE, high = -1;
  for (let r = begin; r < end; r++) {
    const column = load<i32>(at + (<usize>r << 2));
    high = max(high, column);
    low = min(low, window > 0 ? max(0, column - window + 1) : 0);
  }
  for (let i: usize = 0; i < <usize>queries; i++) {
    store<f32>(states + i * PAGED_STATE, -Infinity);
    store<f32>(states + i * PAGED_STATE, 0, 4);
  }
  for (let i: usize = 0; i < <usize>queries * sumBytes; i += 16) v128.store(sums + i, i32x4.splat(0));

  const scales = format == FORMAT_I8 ? scratch + PAGED_SCALES : 0;
  // f32 values in whole slices of 16 are read where they lie.
  const direct = format == FORMAT_F32 && !(D & 15);
  for (let block = low >> 6; block <= high >> 6; block++) {
    const held = findPages(scratch, pages, block, P, K, V, KS, VS, kvHeads, head, D, format);
    if (!held) continue;
    const seen = findRuns(rowsAt, scratch, held, block, at, window, begin, end, direct, <usize>head * (<usize>D << 6));
    if (!seen) continue;
    score(scores, rowsAt, scratch, call, seen, q, begin, queries, group, heads, first, D, format, wide);
    for (let i = 0; i < queries; i++) {
      const seenByRow = load<i64>(rowsAt + <usize>(i / group) * PAGED_ROW);
      if (!seenByRow) continue;
      const state = states + <usize>i * PAGED_STATE, p = scores + (<usize>i << 8);
      const old = load<f32>(state);
      const most = largest(p, seenByRow, scale, scales), m = most > old ? most : old;
      const sum = weigh(p, seenByRow, m, scales ? scales + 256 : 0);
      const shrink: f32 = m == old ? 1 : f32x4.extract_lane(expNegative4(f32x4.splat(old - m), constants()), 0);
      store<f32>(state, m);
      store<f32>(state, load<f32>(state, 4) * shrink + sum, 4);
      store<f32>(state, shrink, SHRINK);
    }
    for (let d = 0; d < D; d += 16) {
      for (let n: usize = 0; !direct && n < 4; n++) {
        if (!seenOf(seen, <i32>n)) continue;
        const page = <usize>load<u32>(scratch + PAGED_PAGES + (n << 3), 4);
        widenSlice(scratch + PAGED_WIDENED + (n << 10), page, head * D + d, min(16, D - d), kvHeads * D, format);
      }
      accumulate(sums + (<usize>d << 2), sumBytes, states, scores, rowsAt, direct ? <usize>d << 6 : 0, queries, group, wide, call);
    }
  }

  for (let i = 0; i < queries; i++) {
    const sum = load<f32>(states + <usize>i * PAGED_STATE, 4);
    const to = queryAt(y, begin, i, group, heads, first, D), from = sums + <usize>i * sumBytes;
    const none = load<f32>(states + <usize>i * PAGED_STATE) == -Infinity && sum == 0;
    for (let d: usize = 0; d < <usize>D << 2; d += 4) store<f32>(to + d, none ? 0 : load<f32>(from + d) / sum);
  }
}

/** Writes the addresses of a block's pages, and their scales, to scratch. Returns the columns that they hold, as bits. */
function findPages(
  scratch: usize, pages: usize, block: i32, P: i32, K: usize, V: usize, KS: usize, VS: usize,
  kvHeads: i32, head: i32, D: i32, format: i32,
): i64 {
  const bytes = (<usize>D << 4) * bytesOfCache(format);
  let held: i64 = 0;
  for (let n = 0; n < 4; n++) {
    const entry = pages + (<usize>(((block << 2) + n) % P) << 3);
    const mask = load<i32>(entry, 4) & 0xffff;
    if (!mask) continue;
    held |= <i64>mask << (n << 4);
    const page = <usize>load<i32>(entry) * <usize>kvHeads;
    const to = scratch + PAGED_PAGES + (<usize>n << 3);
    store<u32>(to, <u32>(K + (page + head) * bytes));
    store<u32>(to, <u32>(V + page * bytes), 4);
    if (format != FORMAT_I8) continue;
    for (let i: usize = 0; i < 64; i += 16) {
      const from = ((page + head) << 6) + i, scale = scratch + PAGED_SCALES + (<usize>n << 6) + i;
      v128.store(scale, v128.load(KS + from));
      v128.store(scale, v128.load(VS + from), 256);
    }
  }
  return held;
}

/**
 * Finds for each row the columns of a block that it sees, and lists them as runs. Returns the columns that any row sees.
 * `direct`: values are read where they lie, the head's at `offset` in a page; otherwise from where they are widened to.
 */
function findRuns(
  rowsAt: usize, scratch: usize, held: i64, block: i32, at: usize, window: i32, begin: i32, end: i32, direct: bool, offset: usize,
): i64 {
  let any: i64 = 0;
  if (!~held) listBlock(scratch, held, scratch, direct, offset);
  for (let r = begin; r < end; r++) {
    const row = rowsAt + <usize>(r - begin) * PAGED_ROW;
    const column = load<i32>(at + (<usize>r << 2));
    let seen: i64 = 0;
    for (let n = 0; n < 4; n++) seen |= <i64>visible(seenOf(held, n), (block << 2) + n, column, window) << (n << 4);
    store<i64>(row, seen);
    any |= seen;
    const list = ~seen ? row + RUNS : scratch;
    store<u32>(row, <u32>list, LIST);
    store<i32>(row, ~seen ? <i32>((listBlock(list, seen, scratch, direct, offset) - list) / RUN) : 4, COUNT);
  }
  return any;
}

/** Lists the runs of the columns that are seen of a block. Returns where the list ends. */
function listBlock(to: usize, seen: i64, scratch: usize, direct: bool, offset: usize): usize {
  for (let n: usize = 0; n < 4; n++) {
    const values = direct ? <usize>load<u32>(scratch + PAGED_PAGES + (n << 3), 4) + offset : scratch + PAGED_WIDENED + (n << 10);
    to = listRuns(to, seenOf(seen, <i32>n), values, n << 6);
  }
  return to;
}

/**
 * Scores [queries, 64] of all queries over those pages of a block of which any query sees a column. With few queries, reading
 * memory is the limit: then a part of each page is read in turn, since four streams from memory are faster than one.
 */
function score(
  scores: usize, rowsAt: usize, scratch: usize, call: usize, seen: i64, q: usize, begin: i32, queries: i32, group: i32, heads: i32, first: i32,
  D: i32, format: i32, wide: i32,
): void {
  const step = format == FORMAT_F32 && queries <= FEW && D > LARGE ? STREAM : D;
  for (let d = 0; d < D; d += step) {
    const count = min(step, D - d);
    for (let n = 0; n < 4; n++) {
      if (!seenOf(seen, n)) continue;
      let keys = <usize>load<u32>(scratch + PAGED_PAGES + (<usize>n << 3)) + (<usize>d << 4) * bytesOfCache(format);
      if (format) {
        widenCache(scratch + PAGED_WIDENED, keys, count << 4, format);
        keys = scratch + PAGED_WIDENED;
      }
      if (call) {
        nativePage(call, scores + (<usize>n << 6), rowsAt, n, d, keys, queries, group, count);
        continue;
      }
      scorePage(
        scores + (<usize>n << 6), d > 0, scratch + PAGED_ZEROS, rowsAt, n, q + (<usize>d << 2), keys,
        begin, queries, group, heads, first, D, count, wide,
      );
    }
  }
}

/** Scores by machine code, of the queries from the first to the last that see page n of a block. */
function nativePage(
  call: usize, scores: usize, rowsAt: usize, n: i32, d: i32, keys: usize, queries: i32, group: i32, count: i32,
): void {
  let first = queries, last = 0;
  for (let i = 0; i < queries; i += group) {
    if (!seenOf(load<i64>(rowsAt + <usize>(i / group) * PAGED_ROW), n)) continue;
    first = min(first, i);
    last = i + group;
  }
  if (first < last) nativeScores(call, scores, d > 0, keys, d, count, first, last);
}

/** Scores of all queries over page n of a block, from `count` numbers of each key. `more`: added to the scores so far. */
function scorePage(
  scores: usize, more: bool, zeros: usize, rowsAt: usize, n: i32, q: usize, keys: usize, begin: i32, queries: i32, group: i32, heads: i32, first: i32,
  D: i32, count: i32, wide: i32,
): void {
  const width = wide ? 4 : 2;
  for (let i = 0; i < queries; i += width) {
    const together = min(width, queries - i);
    let some: i64 = 0;
    for (let j = 0; j < together; j++) some |= load<i64>(rowsAt + <usize>((i + j) / group) * PAGED_ROW);
    if (!seenOf(some, n)) continue;
    const to = scores + (<usize>i << 8), from = more ? to : zeros;
    const q0 = queryAt(q, begin, i, group, heads, first, D);
    if (together == 1) {
      scoreOne(q0, keys, count, from, to);
      continue;
    }
    const q1 = queryAt(q, begin, i + 1, group, heads, first, D);
    if (together == 2) {
      scoreTwo(q0, q1, keys, count, from, to);
      continue;
    }
    // Of three queries the last is computed twice: scratch has room for four.
    const q2 = queryAt(q, begin, i + 2, group, heads, first, D);
    scoreFour(q0, q1, q2, together == 3 ? q2 : queryAt(q, begin, i + 3, group, heads, first, D), keys, count, from, to);
  }
}

/** Adds a block to 16 numbers of the sums of all queries. Neighbours that see the same columns are computed at a time. */
function accumulate(
  sums: usize, sumBytes: usize, states: usize, scores: usize, rowsAt: usize, values: usize, queries: i32, group: i32, wide: i32,
  call: usize,
): void {
  for (let i = 0; i < queries; ) {
    const row = rowsAt + <usize>(i / group) * PAGED_ROW;
    const seen = load<i64>(row);
    const most = min(call ? queries : wide ? 4 : 2, queries - i);
    let count = 1;
    while (count < most && load<i64>(rowsAt + <usize>((i + count) / group) * PAGED_ROW) == seen) count++;
    const sum = sums + <usize>i * sumBytes, p = scores + (<usize>i << 8), state = states + <usize>i * PAGED_STATE;
    const runs = load<i32>(row, COUNT), list = <usize>load<u32>(row, LIST);
    if (!runs) {
      i += count;
    } else if (call && count > 1) {
      nativeSums(call, sum, sumBytes, state + SHRINK, p, list, runs, values, count);
      i += count;
    } else if (count == 4) {
      accumulateFour(sum, sumBytes, state + SHRINK, p, list, runs, values);
      i += 4;
    } else if (count > 1) {
      accumulateTwo(
        sum, sum + sumBytes, load<f32>(state, SHRINK), load<f32>(state, SHRINK + PAGED_STATE), p, list, runs, values,
      );
      i += 2;
    } else {
      accumulateOne(sum, load<f32>(state, SHRINK), p, list, runs, values);
      i++;
    }
  }
}

/** Where query i of a run lies in q or y. */
// @ts-ignore: decorator
@inline
function queryAt(q: usize, begin: i32, i: i32, group: i32, heads: i32, first: i32, D: i32): usize {
  return q + (<usize>((begin + i / group) * heads + first + (i % group)) * <usize>D << 2);
}
