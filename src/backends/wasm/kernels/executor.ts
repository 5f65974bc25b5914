// The executor: every thread walks the same ops; work is claimed in chunks, and an op that needs what earlier ones wrote waits
// until their chunks are done. Nobody waits for a thread, only for chunks: one that the system has put to sleep between two
// chunks holds up nothing, and finds, when it wakes, that its replay is over: claims carry the number of the replay.
// The arguments of each op stand in the order of ../encode.ts and the files beside it.

import { add } from "./add";
import { add_bias } from "./add-bias";
import { bce } from "./bce";
import { copy_pages } from "./copy-pages";
import { cross_entropy } from "./cross-entropy";
import { eager_attention } from "./eager-attention";
import { embed } from "./embed";
import { gather_rows } from "./gather-rows";
import { glu } from "./glu";
import {
  ADD, ADD_BIAS, ARGS_WORD, BCE, BUSY, CHUNK, CODE_WORD, COPY_PAGES, CROSS_ENTROPY, DONE, EAGER_ATTENTION, EMBED, GATHER_ROWS, GLU,
  KV_APPEND, KV_APPEND_CODES, LINE_BYTES, LINES, LIVE, LIVE_WORD, LOG_SOFTMAX, MSE, OP_BYTES, OPS, PACK_ROWS, PAGED_ATTENTION,
  PICK_IDS, PROGRAM_HEADER, PUT_TOKENS, QUANTIZE, RMS_NORM, ROPE, ROWS_WORD, SAMPLE, SCRATCH, SLEEPERS, SOLO, STOP, TEAM, THREAD, THREAD_BYTES,
  TRANSPOSE, UNITS, WAITS, WAITS_WORD, WIDE, WORK_WORD,
} from "./header";
import { kv_append } from "./kv-append";
import { kv_append_codes } from "./kv-append-codes";
import { log_softmax } from "./log-softmax";
import { mse } from "./mse";
import { address, arg, ceilDiv, pointer, word } from "./op-words";
import { paged_attention } from "./paged-attention";
import { pick_ids } from "./pick-ids";
import { callProduct, isProduct, packRows, packUnits, productChunk, productUnits } from "./products";
import { put_tokens } from "./put-tokens";
import { quantize } from "./quantize";
import { rms_norm } from "./rms-norm";
import { rope } from "./rope";
import { sample } from "./sample";
import { transpose } from "./transpose";

const SPINS: i32 = 4000;
const SLEEP: i64 = 20000000; // ns, after which a sleeper looks at the stop word again

/** An op of less work than this (numbers moved) is done sooner by one thread than shared out. */
const SMALL: i64 = 8192;
/** Elements of one unit of an elementwise op. */
const PIECE: i32 = 1024;

/** Fills the claim lines for one replay: by the leader, when nobody is in a chunk. `threads`: how many may come. */
export function prepare(program: usize, replay: i32, threads: i32): void {
  const ops = load<i32>(program);
  store<i32>(OPS, ops);
  store<i32>(TEAM, threads);
  let line = pointer(LINES, 0), op = program + PROGRAM_HEADER;
  for (let i = 0; i < ops; i++) {
    const rows = rowsOf(op);
    const units = unitsOf(op, rows);
    store<i32>(line, units, UNITS);
    const small = <i64>rows * <i64>word(op, WORK_WORD) < SMALL;
    store<i32>(line, small ? max(units, 1) : chunkOf(op, rows, units, threads), CHUNK);
    store<i32>(line, word(op, WAITS_WORD), WAITS);
    store<i32>(line, small, SOLO);
    atomic.store<i32>(line, 0, DONE);
    atomic.store<i64>(line, <i64>replay << 32);
    line += LINE_BYTES;
    op += OP_BYTES;
  }
}

/** Ends a replay: from now on no claim succeeds. */
export function close(): void {
  const ops = load<i32>(OPS);
  for (let i = 0; i < ops; i++) atomic.store<i64>(pointer(LINES, 0) + <usize>i * LINE_BYTES, -1);
}

/** Takes part in a replay. Thread 0 returns when every op is done, others when nothing is left to claim; the stop word, or 0. */
export function run(program: usize, thread: i32, replay: i32): i32 {
  const lines = pointer(LINES, 0), own = <usize>THREAD + <usize>thread * THREAD_BYTES;
  const scratch = pointer(SCRATCH, 0) + <usize>thread * pointer(SCRATCH, 1);
  const ops = load<i32>(OPS);
  let settled = 0; // ops before it are done
  for (let i = 0; i < ops; i++) {
    const line = lines + <usize>i * LINE_BYTES;
    if (load<i32>(line, WAITS)) {
      if (!settle(lines, settled, i, line, replay)) return atomic.load<i32>(STOP);
      settled = i;
    }
    if (thread && load<i32>(line, SOLO)) continue;
    store<i32>(own, i);
    atomic.store<i32>(own, 1, BUSY);
    const more = work(program + PROGRAM_HEADER + <usize>i * OP_BYTES, line, replay, scratch);
    atomic.store<i32>(own, 0, BUSY);
    if (!more) return atomic.load<i32>(STOP);
  }
  if (thread == 0 && ops) settle(lines, settled, ops, lines, replay);
  return atomic.load<i32>(STOP);
}

/** Waits until ops [from, to) are done. False when the team was stopped or the replay is over, which `line` tells. */
function settle(lines: usize, from: i32, to: i32, line: usize, replay: i32): bool {
  for (let i = from; i < to; i++) {
    const other = lines + <usize>i * LINE_BYTES;
    let spins = SPINS;
    for (;;) {
      const done = atomic.load<i32>(other, DONE);
      if (done == load<i32>(other, UNITS)) break;
      if (atomic.load<i32>(STOP) || <i32>(atomic.load<i64>(line) >> 32) != replay) return false;
      if (--spins > 0) continue;
      atomic.add<i32>(SLEEPERS, 1);
      atomic.wait<i32>(other + DONE, done, SLEEP);
      atomic.sub<i32>(SLEEPERS, 1);
    }
  }
  return atomic.load<i32>(STOP) == 0;
}

/** Claims and does chunks of one op until none is left. False when the team was stopped or the replay is over. */
function work(op: usize, line: usize, replay: i32, scratch: usize): bool {
  const units = load<i32>(line, UNITS), chunk = load<i32>(line, CHUNK);
  while (!atomic.load<i32>(STOP)) {
    const ticket = atomic.load<i64>(line);
    if (<i32>(ticket >> 32) != replay) return false;
    const begin = <i32>ticket;
    if (begin >= units) return true;
    const end = min(begin + chunk, units);
    if (atomic.cmpxchg<i64>(line, ticket, ticket - begin + end) != ticket) continue;
    call(op, scratch, begin, end);
    const done = atomic.add<i32>(line, end - begin, DONE) + end - begin;
    if (done == units && atomic.load<i32>(SLEEPERS)) atomic.notify(line + DONE, -1);
  }
  return false;
}

/** Live rows of an op: word 3 says which count, or 0 for the fixed one in word 4. */
// @ts-ignore: decorator
@inline
function rowsOf(op: usize): i32 {
  const live = word(op, LIVE_WORD);
  return live ? load<i32>(<usize>LIVE + (<usize>live << 2) - 4) : word(op, ROWS_WORD);
}

function unitsOf(op: usize, rows: i32): i32 {
  if (isProduct(word(op, CODE_WORD))) return productUnits(op, rows);
  switch (word(op, CODE_WORD)) {
    case PAGED_ATTENTION:
      return ceilDiv(rows, arg(op, 16)) * arg(op, 10) * attentionParts(op, rows);
    case EAGER_ATTENTION:
      return rows * arg(op, 9);
    case GLU:
    case ADD:
      return ceilDiv(rows * arg(op, 3), PIECE);
    default:
      return rows;
  }
}

function chunkOf(op: usize, rows: i32, units: i32, threads: i32): i32 {
  const even = max(1, units / (threads * 4));
  if (word(op, CODE_WORD) == PAGED_ATTENTION || word(op, CODE_WORD) == SAMPLE) return 1;
  return isProduct(word(op, CODE_WORD)) ? productChunk(op, rows, even) : even;
}

/** Into how many parts the query heads of a key-value head are cut, so that few rows keep all threads busy: two heads at least. */
function attentionParts(op: usize, rows: i32): i32 {
  const units = max(1, ceilDiv(rows, arg(op, 16)) * arg(op, 10)), group = arg(op, 9) / arg(op, 10);
  return max(1, min(ceilDiv(load<i32>(TEAM), units), group >> 1));
}

function call(op: usize, scratch: usize, begin: i32, end: i32): void {
  const rows = rowsOf(op);
  if (isProduct(word(op, CODE_WORD))) return callProduct(op, rows, scratch, begin, end);
  const a = address(op, 0), b = address(op, 1), c = address(op, 2), d = address(op, 3), e = address(op, 4);
  switch (word(op, CODE_WORD)) {
    case EMBED:
      return embed(a, b, c, d, e, address(op, 5), arg(op, 6), arg(op, 7), arg(op, 8), arg(op, 9), begin, end);
    case PACK_ROWS:
      return packRows(op, rows, scratch, begin, end);
    case RMS_NORM:
      return rms_norm(a, b, c, d, arg(op, 4), load<f32>(op, (ARGS_WORD + 5) << 2), arg(op, 6), scratch, begin, end);
    case ROPE:
      return rope(a, b, c, d, arg(op, 4), arg(op, 5), arg(op, 6), begin, end);
    case KV_APPEND:
      return kv_append(a, b, c, d, e, arg(op, 5), arg(op, 6), begin, end);
    case KV_APPEND_CODES:
      return kv_append_codes(a, b, c, d, e, address(op, 5), address(op, 6), arg(op, 7), arg(op, 8), begin, end);
    case COPY_PAGES:
      return copy_pages(a, b, c, d, arg(op, 4), begin, end);
    case PAGED_ATTENTION:
      return paged_attention(
        a, b, c, d, e, address(op, 5), address(op, 6), address(op, 7), address(op, 8),
        arg(op, 9), arg(op, 10), arg(op, 11), arg(op, 12), arg(op, 13), load<f32>(op, (ARGS_WORD + 14) << 2), arg(op, 15),
        rows, arg(op, 16), attentionParts(op, rows), load<i32>(WIDE), scratch, begin, end,
      );
    case EAGER_ATTENTION:
      return eager_attention(
        a, address(op, 16), b, c, d, e, address(op, 5), address(op, 6), address(op, 7), address(op, 8),
        arg(op, 9), arg(op, 10), arg(op, 11), arg(op, 12), arg(op, 13), load<f32>(op, (ARGS_WORD + 14) << 2), arg(op, 15),
        arg(op, 17), arg(op, 18), scratch, begin, end,
      );
    case GLU:
      return glu(a, b, c, arg(op, 4), begin * PIECE, min(end * PIECE, rows * arg(op, 3)));
    case ADD:
      return add(a, b, c, begin * PIECE, min(end * PIECE, rows * arg(op, 3)));
    case ADD_BIAS:
      return add_bias(a, b, c, arg(op, 3), arg(op, 4), begin, end);
    case GATHER_ROWS:
      return gather_rows(a, b, c, arg(op, 3), begin, end);
    case LOG_SOFTMAX:
      return log_softmax(a, b, arg(op, 2), begin, end);
    case CROSS_ENTROPY:
      return cross_entropy(a, b, c, d, arg(op, 4), begin, end);
    case MSE:
      return mse(a, b, c, arg(op, 3), begin, end);
    case BCE:
      return bce(a, b, c, arg(op, 3), begin, end);
    case TRANSPOSE:
      return transpose(a, b, arg(op, 2), arg(op, 3), begin, end);
    case SAMPLE:
      return sample(a, b, c, d, e, address(op, 5), arg(op, 6), scratch, begin, end);
    case PUT_TOKENS:
      return put_tokens(a, b, c, arg(op, 3), begin, end);
    case PICK_IDS:
      return pick_ids(a, b, c, d, arg(op, 4), begin, end);
    case QUANTIZE:
      return quantize(
        a, b, c, arg(op, 3), arg(op, 4), arg(op, 5), arg(op, 6), arg(op, 7), arg(op, 8), address(op, 9), address(op, 10),
        scratch, begin, end,
      );
    default:
      // Also how tests make a kernel trap: no plan holds such a code.
      unreachable();
  }
}
