// The first 64 KiB of every WASM memory, the shape of a program and of its claim lines, and the ops by number.
// Read by AssemblyScript and by TypeScript: byte addresses and offsets, plain numbers only.

/** Not 0: threads leave the program at their next claim or wait. */
export const STOP = 64;
/** Live rows, then wanted rows. */
export const LIVE = 80;
/** Address of the threads' scratch, then bytes a thread. */
export const SCRATCH = 88;
/** 1: use the tiles made for 256-bit vectors. */
export const WIDE = 96;
/** Address of the claim lines, one an op of the program that runs; then how many ops it has. */
export const LINES = 100;
export const OPS = 104;
/** How many threads may come. */
export const TEAM = 108;
/** 1: sum 8-bit products in 32 bits, see ../sums-probe.ts. */
export const SUMS_32 = 112;
/** Threads that sleep until an op is done. */
export const SLEEPERS = 128;
// 256 … 511: constants of the kernels, see --memoryBase in scripts/build-wasm.ts
/** What a thread does, 64 bytes a thread: the op that it is in, then whether it may hold a chunk. */
export const THREAD = 1024;
export const THREAD_BYTES = 64;
export const BUSY = 4;
/** Where tensors may begin. */
export const HEAP = 65536;

/** A claim line: number of the replay · 2³² + next unit, then these. */
export const LINE_BYTES = 64;
export const UNITS = 8;
/** Units of one claim. */
export const CHUNK = 12;
/** Units whose chunk is finished. */
export const DONE = 16;
/** Whether all ops before it must be done. */
export const WAITS = 20;
/** Whether thread 0 does it alone. */
export const SOLO = 24;

/** A program: its number of ops, padded; then the ops. */
export const PROGRAM_HEADER = 64;
export const OP_BYTES = 128;
// Words of an op: its number, whether it waits, work of one row, which live count (0: none), rows if there is none, arguments.
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
/** Products with packed weights: exact; with int8 activations; in 16-bit fixed point; LLM.int8. */
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
/** An op whose kernel traps: for tests. */
export const TRAP = 255;

// How rows are packed for a road.
export const PACK_INT8 = 1;
export const PACK_FIXED16 = 2;
export const PACK_LLM_INT8 = 3;
export const PACK_LLM_INT8_CALL = 4;
export const PACK_INT8_HALVES = 5;

// Formats of weights by number; a GGUF type is 32 + its number there.
export const FORMAT_F32 = 0;
export const FORMAT_BF16 = 1;
export const FORMAT_F16 = 2;
/** Whole numbers, one byte each: codes of the cache. */
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
