// The layout of a memory's first 64 KiB, of a program and of its claim lines, and the numbers of ops and formats.
// Read by AssemblyScript and by TypeScript, so plain numbers only: addresses and offsets in bytes. Knows no kernels.

// The first 64 KiB of every WASM memory:
//   address   bytes  content
//        64       4  STOP
//        80       8  LIVE: how many rows are live, then how many are wanted
//        88       8  SCRATCH: address of the threads' scratch, then bytes for each thread
//        96       4  WIDE
//       100       4  LINES: address of the claim lines, one for each op of the program that runs
//       104       4  OPS: how many ops that program has
//       108       4  TEAM: how many threads may take part
//       112       4  SUMS_32
//       116       4  NATIVE
//       120       8  BASE: the address of the memory itself in the process
//       128       4  SLEEPERS: how many threads sleep until an op is done
//       256     256  constants of the kernels, see --memoryBase in scripts/build-wasm.ts
//      1024  64 a thread  THREAD: the op that it is in, then BUSY, whether it may be computing a chunk
//     65536          HEAP: from here on, tensors

/** Not 0: the run is to be stopped. Threads leave the program when they next claim work or wait. */
export const STOP = 64;
export const LIVE = 80;
export const SCRATCH = 88;
/** 1: use the tiles for 256-bit vectors. */
export const WIDE = 96;
export const LINES = 100;
export const OPS = 104;
export const TEAM = 108;
/** 1: sum 8-bit products in 32 bits, see ../sums-probe.ts. */
export const SUMS_32 = 112;
/** A bit for each family of kernels that machine code computes here, see ../native-choice.ts; 0 without machine code. */
export const NATIVE = 116;
export const BASE = 120;
export const SLEEPERS = 128;
export const THREAD = 1024;
export const THREAD_BYTES = 64;
export const BUSY = 4;
export const HEAP = 65536;

// A claim line, 64 bytes for each op. From it threads claim chunks, which are runs of an op's units of work:
//   offset  bytes  content
//        0      8  number of the replay · 2³² + the next unit to claim
//        8      4  UNITS: how many units the op has
//       12      4  CHUNK: how many units a thread claims at a time
//       16      4  DONE: how many units are finished
//       20      4  WAITS: whether all earlier ops must be finished before
//       24      4  SOLO: whether thread 0 computes the op alone
export const LINE_BYTES = 64;
export const UNITS = 8;
export const CHUNK = 12;
export const DONE = 16;
export const WAITS = 20;
export const SOLO = 24;

// A program is a header of 64 bytes, whose first word is the number of ops, and 128 bytes for each op:
//   word  content
//      0  CODE: the op's number
//      1  WAITS: 1 if all earlier ops must be finished before
//      2  WORK: of one row, as the count of numbers read or written
//      3  LIVE: which live count its rows are: 1 live rows, 2 wanted rows, 0 none
//      4  ROWS: how many rows, if word 3 is 0
//    5 …  ARGS: the arguments, in the order of ../encode.ts
export const PROGRAM_HEADER = 64;
export const OP_BYTES = 128;
export const CODE_WORD = 0;
export const WAITS_WORD = 1;
export const WORK_WORD = 2;
export const LIVE_WORD = 3;
export const ROWS_WORD = 4;
export const ARGS_WORD = 5;

export const EMBED = 1;
export const LINEAR = 2;
export const RMS_NORM = 3;
export const ROPE = 4;
export const KV_APPEND = 5;
export const COPY_PAGES = 6;
export const PAGED_ATTENTION = 7;
export const EAGER_ATTENTION = 8;
export const GLU = 9;
export const ADD = 10;
export const GATHER_ROWS = 11;
export const LOG_SOFTMAX = 12;
export const CROSS_ENTROPY = 13;
// Products with weights that are not plain: exact; with int8 activations; in 16-bit fixed point; LLM.int8.
export const LINEAR_PACKED = 14;
export const LINEAR_INT8 = 15;
export const LINEAR_FIXED16 = 16;
export const LINEAR_LLM_INT8 = 17;
export const PACK_ROWS = 18;
export const KV_APPEND_CODES = 19;
export const ADD_BIAS = 20;
export const MSE = 21;
export const BCE = 22;
export const TRANSPOSE = 23;
export const SAMPLE = 24;
export const PUT_TOKENS = 25;
export const PICK_IDS = 26;
/** Of a program that no plan makes: ../quantizer.ts. */
export const QUANTIZE = 27;
/** An op whose kernel traps: for tests. */
export const TRAP = 255;

// Bits of NATIVE.
/** Products with 8-bit activations: LINEAR_INT8. */
export const NATIVE_INT8 = 1;
/** Products with plain weights: LINEAR. */
export const NATIVE_DENSE = 2;
/** Products with nf4 and fp4 weights: LINEAR_INT8 and LINEAR_FIXED16. */
export const NATIVE_FOUR_BIT = 4;
/** Scores and weighted sums of many queries: PAGED_ATTENTION. */
export const NATIVE_ATTENTION = 8;

// How the rows of x are packed for a compute path, see ../compute-paths.ts.
export const PACK_INT8 = 1;
export const PACK_FIXED16 = 2;
export const PACK_LLM_INT8 = 3;
export const PACK_LLM_INT8_CALL = 4;
export const PACK_INT8_HALVES = 5;

// The numbers of formats. A type of GGUF is 32 + its number in ggml.
export const FORMAT_F32 = 0;
export const FORMAT_BF16 = 1;
export const FORMAT_F16 = 2;
/** Codes of the cache: whole numbers of one byte. */
export const FORMAT_I8 = 3;
export const FORMAT_NF4 = 10;
export const FORMAT_FP4 = 11;
export const FORMAT_NF4_DQ = 12;
export const FORMAT_FP4_DQ = 13;
export const FORMAT_INT8 = 14;
export const FORMAT_INT4 = 15;
export const FORMAT_INT4_ACT = 16;
export const FORMAT_Q4 = 17;
export const FORMAT_Q8 = 18;
export const FORMAT_Q4K = 19;
export const FORMAT_Q6K = 20;
export const FORMAT_Q4R = 21;
export const FORMAT_Q6R = 22;
export const FORMAT_GGUF = 32;
