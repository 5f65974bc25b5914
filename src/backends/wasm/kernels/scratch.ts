// What each kernel keeps in its thread's scratch: where it lies, and how many bytes the kernel needs in all.
// Read by AssemblyScript, for the offsets (`number` is f64 there), and by the encoders of ../, for the bytes. Plain numbers only.
// test/contract/scratch.test.ts runs every kernel with just so many bytes, and with fewer.

/** The next multiple of `step`. */
function roundUp(count: number, step: number): number {
  return Math.ceil(count / step) * step;
}

// rms_norm
//   offset  bytes  content
//        0     32  the last h of a row, filled up with zeros; then the eight lanes of the sum
export const RMS_NORM_SCRATCH = 32;

// linear (f32, bf16, f16): tails are the last k of a row, filled up to eight f32
//   offset  bytes  content
//        0    384  sums of a tile: up to 12 pairs of vectors
//      512     64  tails of two rows of x
//      576    192  tails of up to six rows of w
//     1024  24576  up to six rows of w, a block of 1024 k as f32
export const X_TAILS = 512;
export const W_TAILS = 576;
export const LINEAR_UNPACKED = 1024;
// Machine code keeps there (../../native/dense-call-words.ts):
//   offset  bytes  content
//        0    576  the words of its call, tails of six rows of x, sums of up to six rows of x
//      576  32768  eight rows of w, a block of 1024 k as f32
export const DENSE_PANEL_AT = 576;
export function linearScratch(K: number): number {
  const block = Math.min(roundUp(K, 8), 1024);
  return Math.max(LINEAR_UNPACKED + 24 * block, DENSE_PANEL_AT + 32 * block);
}

// linear_packed
//   offset  bytes  content
//        0   1024  sums and tails, as in linear
//     1024   4096  a row of w, or the table of linear-four-bit.ts; for one row of x: four rows, 16384 bytes
//     5120  24576  up to six rows of w side by side
export const PACKED_ROW = 1024;
export const PACKED_TILE = 5120;
export const LINEAR_PACKED_SCRATCH = 29696;

// one row of x times 4-bit weights, exactly (linear-four-bit.ts)
//   offset  bytes  content
//        0    128  sums of four rows of w
//      256   2048  a table: the two values of each byte
//     2304    K/4  absmax of four rows of w side by side, for each 64 k
export const FOUR_BIT_PAIRS = 256;
export const FOUR_BIT_ABSMAX = 2304;
export function fourBitScratch(K: number): number {
  return FOUR_BIT_ABSMAX + absmaxBytes(K);
}

/** Bytes of absmax of four rows of w side by side: an f32 a row for each 64 k. */
function absmaxBytes(K: number): number {
  return Math.ceil(K / 64) * 16;
}

// linear_q4, q4r, q6r, q8, q4k, q6k
//   offset  bytes  content
//        0  16384  sums of 128 rows of x times 32 columns
//    16384    128  scales of the 32 rows of w
//    16512  20480  a panel: 16 blocks of 32 k of a format with one plane of codes, 8 of one with two
export const EIGHT_ROWS_SCALES = 16384;
export const EIGHT_ROWS_PANEL = 16512;
// Machine code keeps there: the words of its call, then a panel of all k (../../native/call-words.ts).
export function eightRowsScratch(K: number): number {
  return Math.max(EIGHT_ROWS_PANEL + 20480, 192 + 640 * Math.ceil(K / 32));
}

// linear_llm_int8
//   offset  bytes  content
//        0    256  sums of four rows of w times two rows of x
export const LLM_INT8_SCRATCH = 256;

// linear_fixed16; for one row of x, K/4 bytes of absmax from 0 on
//   offset  bytes  content
//        0  16512  sums of 128 rows of x, and of one that fills up a pair, times 32 columns
//    16512  16896  a panel: 4 blocks of 64 k of 32 rows of w, or 8 of 16; 33 · 4 bytes a block and row
export const FIXED16_PANEL = 16512;
export function fixed16Scratch(K: number): number {
  return Math.max(FIXED16_PANEL + 16896, fourBitPanelAt(K) + 32 * roundUp(K, 64));
}

// linear_nf4_int8; for one row of x, K/4 bytes of absmax from 0 on
//   offset  bytes  content
//        0  16384  sums of 128 rows of x times 32 columns
//    16384  17408  a panel: 8 blocks of 64 k of 32 rows of w; 17 · 4 bytes a block and row
export const NF4_INT8_PANEL = 16384;
export function nf4Int8Scratch(K: number): number {
  return Math.max(NF4_INT8_PANEL + 17408, fourBitPanelAt(K) + 16 * roundUp(K, 64));
}

// Both in machine code (../../native/four-bit-words.ts)
//         offset    bytes  content
//              0      704  the words of a call
//            704        K  absmax of 16 rows of w, K rounded up to 512
// fourBitPanelAt  16 or 32  · K: a panel of 16 rows of w, one byte or two for each number
export function fourBitPanelAt(K: number): number {
  return 704 + roundUp(K, 512);
}

// pack_rows_int8
//   offset  bytes  content
//        0    128  the last k of a row, filled up to a block of 32
export const PACK_INT8_SCRATCH = 128;

// pack_rows_llm_int8
//   offset  bytes  content
//        0    4·K  a mask of each column, filled up to a vector
export function packLlmInt8Scratch(K: number): number {
  return 4 * roundUp(K, 4);
}

// paged_attention, for blocks of `rows` rows with `queries` queries
//        offset        bytes  content
//             0           48  list of runs for a block of which every column is seen
//            64          512  scales of the block's keys, then of its values
//           576           32  for each of its four pages the addresses of the head's keys and of the values of all heads
//           640          896  zeros, from which scores begin
//          1536    max(64·D,  a page of keys as f32, or a slice of the values of a block
//                     4096)
//   pagedRowsAt   400 · rows  what each row sees of the block, see paged-attention.ts
// pagedStatesAt   12 · query  largest score so far, sum of weights so far, factor by which the block shrinks the sums
//   pagedCallAt  128 +        words of a call of machine code, and the addresses of queries (../../native/attention-words.ts)
//                8 · query
// pagedScoresAt  256 · query  scores of the block's 64 columns
//   pagedSumsAt  4·D · query  sums of weighted values, D rounded up to 16
// Machine code computes queries beyond the last one, up to seven: there is room for their addresses and scores.
export const PAGED_SCALES = 64;
export const PAGED_PAGES = 576;
export const PAGED_ZEROS = 640;
export const PAGED_WIDENED = 1536;
export const PAGED_ROW = 400;
export const PAGED_STATE = 12;
export function pagedRowsAt(D: number): number {
  return PAGED_WIDENED + Math.max(64 * D, 4096);
}
export function pagedStatesAt(D: number, rows: number): number {
  return pagedRowsAt(D) + PAGED_ROW * rows;
}
export function pagedCallAt(D: number, rows: number, queries: number): number {
  return roundUp(pagedStatesAt(D, rows) + PAGED_STATE * roundUp(queries, 4), 8);
}
export function pagedScoresAt(D: number, rows: number, queries: number): number {
  return roundUp(pagedCallAt(D, rows, queries) + 128 + 8 * (queries + 7), 16);
}
export function pagedSumsAt(D: number, rows: number, queries: number): number {
  return pagedScoresAt(D, rows, queries) + 256 * roundUp(queries + 7, 4);
}
export function pagedAttentionScratch(D: number, rows: number, queries: number): number {
  return pagedSumsAt(D, rows, queries) + 4 * roundUp(D, 16) * queries;
}

// eager_attention, for C columns
//         offset        bytes  content
//              0           96  list of runs of the columns that are seen of a page
//            128    max(64·D,  a page of keys as f32, or a slice of the values of a page
//                      1024)
//    eagerSumsAt          4·D  sums of weighted values, D rounded up to 16
// eagerWeightsAt          4·C  scores, then weights, C rounded up to 16
export const EAGER_WIDENED = 128;
export function eagerSumsAt(D: number): number {
  return EAGER_WIDENED + Math.max(64 * D, 1024);
}
export function eagerWeightsAt(D: number): number {
  return eagerSumsAt(D) + 4 * roundUp(D, 16);
}
export function eagerAttentionScratch(D: number, columns: number): number {
  return eagerWeightsAt(D) + 4 * roundUp(columns, 16);
}

// sample, of V tokens; a row that takes its best token keeps the largest scores of blocks from 0 on
//         offset      bytes  content
//              0       8384  the table of exact-exponential.ts
//           8384   4 · 4·V'  of the candidates: scores, ids, exp of the scores, a heap of places. V' is V rounded up to 4
//   sampleBlocks   8·⌈V/64⌉  of blocks of 64: largest scores (f32), later running sums (f64)
//  sampleBuckets   12·65280  of buckets of finite scores: sums (f64), then counts (i32); for up to 2048 tokens there are none
export const SAMPLE_LISTS = 8384;
export const SAMPLE_BLOCK = 64;
export const SAMPLE_FEW = 2048;
export const SAMPLE_BUCKETS = 65280;
export function sampleListBytes(V: number): number {
  return 4 * roundUp(V, 4);
}
export function sampleBlocksAt(V: number): number {
  return SAMPLE_LISTS + 4 * sampleListBytes(V);
}
export function sampleBucketsAt(V: number): number {
  return sampleBlocksAt(V) + 8 * Math.ceil(V / SAMPLE_BLOCK);
}
export function sampleScratch(V: number): number {
  return sampleBucketsAt(V) + (V > SAMPLE_FEW ? 12 * SAMPLE_BUCKETS : 0);
}

// quantize, rows of K numbers; nf4 and fp4: in blocks of `param`
//   offset  bytes  content
//        0  4 · 32 · ⌈K/32⌉  a row as f32, or a block
//       …    4 · ⌈K/32⌉  a scale for each 32 numbers
export function quantizeScratch(K: number, param: number): number {
  return Math.max(132 * Math.ceil(K / 32), 4 * param);
}
