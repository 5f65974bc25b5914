// The two products of attention in AVX-512, for many queries: scores of the 16 columns of a page, and weighted sums of 16 numbers of values.
// Order of summation as in ../wasm/kernels/attend.ts: one number, or one column, after the other, fused. The calls: attention-words.ts.
// Does not know pages, nor how scores become weights.

import { type Assembler, at, register } from "./assembler.ts";
import * as word from "./attention-words.ts";
import { choose } from "./functions.ts";

const { rax, rbx, rcx, rdx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 } = register;

/** Bytes of 16 numbers, and those from the scores of one query to those of the next. */
const VECTOR = 64;
const QUERY = 256;
/** Bytes from the state of one query to that of the next, and of a run of columns. */
const STATE = 12;
const RUN = 12;
/** The vector register of what all queries multiply; a query's sums are in the register of its number. */
const SHARED = 31;

function times(a: Assembler, counter: number, body: () => void): void {
  const begin = a.here();
  body();
  a.subImmediate(counter, 1);
  a.j("ne", begin);
}

const all = { broadcast: true } as const;

/** Writes both kernels. They come with the number of theirs in rax, and change all registers but rdi and rsp. */
export function attention(a: Assembler): void {
  choose(a, rax, [
    [word.ATTENTION_SCORES, () => scores(a)],
    [word.ATTENTION_SUMS, () => weightedSums(a)],
  ]);
}

/** Scores of a page's 16 columns. */
function scores(a: Assembler): void {
  const queries = [rax, rcx, rdx, rbx, rbp, r8, r9, r10];
  const [offset, keys, numbers, to, list, left] = [rsi, r11, r12, r13, r14, r15];
  a.mov(to, at(rdi, word.SCORES));
  a.mov(list, at(rdi, word.QUERY_LIST));
  a.mov(left, at(rdi, word.ATTENTION_QUERIES));
  const begin = a.here();
  const [anew, started] = [a.label(), a.label()];
  a.mov(keys, at(rdi, word.SCORES_MORE));
  a.cmpImmediate(keys, 0);
  a.j("e", anew);
  queries.forEach((_, i) => a.load("vmovups", 512, i, at(to, QUERY * i)));
  a.jmp(started);
  a.place(anew);
  queries.forEach((_, i) => a.op("vpxor", 512, i, i, i));
  a.place(started);
  queries.forEach((query, i) => a.mov(query, at(list, 8 * i)));
  a.mov(offset, at(rdi, word.QUERY_OFFSET));
  a.mov(keys, at(rdi, word.KEYS));
  a.mov(numbers, at(rdi, word.KEY_NUMBERS));
  times(a, numbers, () => {
    a.load("vmovups", 512, SHARED, at(keys));
    queries.forEach((query, i) => a.op("vfmadd231ps", 512, i, SHARED, at(query, 0, offset), all));
    a.addImmediate(keys, VECTOR);
    a.addImmediate(offset, 4);
  });
  queries.forEach((_, i) => a.storeVector(512, at(to, QUERY * i), i));
  a.addImmediate(to, QUERY * queries.length);
  a.addImmediate(list, 8 * queries.length);
  a.subImmediate(left, queries.length);
  a.j("g", begin);
}

/** Weighted sums of 16 numbers of the values that are seen. */
function weightedSums(a: Assembler): void {
  const [sums, stride, shrinks, weights, left] = [r13, rbx, r14, r10, r15];
  const [run, runs, value, weight, columns, free] = [r8, r9, rsi, r11, r12, rdx];
  a.mov(sums, at(rdi, word.SUMS));
  a.mov(stride, at(rdi, word.SUMS_STRIDE));
  a.mov(shrinks, at(rdi, word.SHRINKS));
  a.mov(weights, at(rdi, word.WEIGHTS));
  a.mov(left, at(rdi, word.ATTENTION_QUERIES));
  for (const together of [8, 4, 1]) {
    const done = a.label();
    const begin = a.here();
    const queries = Array.from({ length: together }, (_, i) => i);
    const eachSum = (body: (i: number) => void): void => {
      a.mov(free, sums);
      for (const i of queries) {
        body(i);
        a.add(free, stride);
      }
    };
    a.cmpImmediate(left, together);
    a.j("l", done);
    eachSum((i) => {
      a.load("vmovups", 512, i, at(free));
      a.op("vmulps", 512, i, i, at(shrinks, STATE * i), all);
    });
    a.mov(run, at(rdi, word.RUN_LIST));
    a.mov(runs, at(rdi, word.RUN_COUNT));
    times(a, runs, () => {
      a.mov32(value, at(run));
      a.add(value, at(rdi, word.VALUES));
      a.mov32(weight, at(run, 4));
      a.add(weight, weights);
      a.mov32(columns, at(run, 8));
      times(a, columns, () => {
        a.load("vmovups", 512, SHARED, at(value));
        for (const i of queries) a.op("vfmadd231ps", 512, i, SHARED, at(weight, QUERY * i), all);
        a.addImmediate(value, VECTOR);
        a.addImmediate(weight, 4);
      });
      a.addImmediate(run, RUN);
    });
    eachSum((i) => a.storeVector(512, at(free), i));
    a.mov(sums, free);
    a.addImmediate(shrinks, STATE * together);
    a.addImmediate(weights, QUERY * together);
    a.subImmediate(left, together);
    a.jmp(begin);
    a.place(done);
  }
}
