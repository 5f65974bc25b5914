// Attention's calls of machine code: fills the words of a call (../../native/attention-words.ts). Does not know which queries see what.

import {
  ATTENTION_CALL_BYTES, ATTENTION_QUERIES, ATTENTION_SCORES, ATTENTION_SUMS, KEY_NUMBERS, KEYS, QUERY_LIST, QUERY_OFFSET, RUN_COUNT, RUN_LIST,
  SCORES, SCORES_MORE, SCORES_TOGETHER, SHRINKS, SUMS, SUMS_STRIDE, VALUES, WEIGHTS,
} from "../../native/attention-words";
import { RUN } from "./attend";
import { BASE, NATIVE, NATIVE_ATTENTION } from "./header";
import { callNative, expectCounts, expectInMemory } from "./native";

/** From this many queries on a call of machine code is faster than WebAssembly. */
const MANY: i32 = 8;

// @ts-ignore: decorator
@inline
export function isNativeAttention(queries: i32): bool {
  return queries >= MANY && (load<i32>(NATIVE) & NATIVE_ATTENTION) != 0;
}

/**
 * Notes the address of query i, of D numbers, behind the words of calls; and that of the last query for those that are computed beyond
 * it.
 */
export function noteQuery(call: usize, i: i32, query: usize, D: i32, isLast: bool): void {
  expectInMemory(query, <u64>D << 2);
  const at = call + ATTENTION_CALL_BYTES + (<usize>i << 3), address = load<u64>(BASE) + query;
  store<u64>(at, address);
  if (!isLast) return;
  for (let n: usize = 1; n < <usize>SCORES_TOGETHER; n++) store<u64>(at + (n << 3), address);
}

/** Scores of queries [begin, end) over 16 columns, from `count` numbers of each key, the first of which is number d. */
export function nativeScores(call: usize, scores: usize, more: bool, keys: usize, d: i32, count: i32, begin: i32, end: i32): void {
  const base = load<u64>(BASE);
  expectCounts(end - begin, count, 1);
  expectInMemory(keys, <u64>count << 6);
  store<u64>(call, end - begin, ATTENTION_QUERIES);
  store<u64>(call, base + scores + (<usize>begin << 8), SCORES);
  store<u64>(call, more, SCORES_MORE);
  store<u64>(call, base + call + ATTENTION_CALL_BYTES + (<usize>begin << 3), QUERY_LIST);
  store<u64>(call, <usize>d << 2, QUERY_OFFSET);
  store<u64>(call, base + keys, KEYS);
  store<u64>(call, count, KEY_NUMBERS);
  callNative(call, ATTENTION_SCORES);
}

/** Weighted sums of `count` queries that see the same columns. `shrinks`: 12 bytes apart. */
export function nativeSums(
  call: usize, sums: usize, stride: usize, shrinks: usize, weights: usize, runs: usize, runCount: i32, values: usize, count: i32,
): void {
  const base = load<u64>(BASE);
  expectCounts(count, runCount, 1);
  for (let run = runs, n = runCount; n > 0; --n) {
    const columns = load<i32>(run, 8);
    expectCounts(columns, 1, 1);
    expectInMemory(values + <usize>load<u32>(run), <u64>columns << 6);
    run += RUN;
  }
  store<u64>(call, count, ATTENTION_QUERIES);
  store<u64>(call, base + sums, SUMS);
  store<u64>(call, stride, SUMS_STRIDE);
  store<u64>(call, base + shrinks, SHRINKS);
  store<u64>(call, base + weights, WEIGHTS);
  store<u64>(call, base + runs, RUN_LIST);
  store<u64>(call, runCount, RUN_COUNT);
  store<u64>(call, base + values, VALUES);
  callNative(call, ATTENTION_SUMS);
}
