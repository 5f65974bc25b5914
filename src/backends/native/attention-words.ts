// The words of calls for attention, as call-words.ts has them for products: offsets in bytes, and the numbers of kernels. Word 0 is KERNEL.
// Read by AssemblyScript and by TypeScript, so plain numbers only.

/** How many queries; scores are computed for SCORES_TOGETHER at a time, so that there must be room until that is full. */
export const ATTENTION_QUERIES = 8;

// Scores of the 16 columns of a page.
/** Scores of the first query, 256 bytes from one to the next; and whether (1) products are added to what is there. */
export const SCORES = 16;
export const SCORES_MORE = 24;
/** A list of the queries' addresses, 64 bits each; and where in each query the first number is, in bytes. */
export const QUERY_LIST = 32;
export const QUERY_OFFSET = 40;
/** Keys, 64 bytes for each number; and how many numbers. */
export const KEYS = 48;
export const KEY_NUMBERS = 56;
export const SCORES_TOGETHER = 8;

// Sums of 16 numbers of the values of the columns that all queries see, times their weights.
/** Sums of the first query, and the bytes from one to the next. */
export const SUMS = 16;
export const SUMS_STRIDE = 24;
/** What the first query's sums are multiplied by beforehand, f32, 12 bytes from one to the next. */
export const SHRINKS = 32;
/** Weights of the first query, 256 bytes from one to the next. */
export const WEIGHTS = 40;
/** The list of runs of columns, see ../wasm/kernels/attend.ts; how many there are; what is added to the addresses of their values. */
export const RUN_LIST = 48;
export const RUN_COUNT = 56;
export const VALUES = 64;

export const ATTENTION_CALL_BYTES = 128;

// The numbers of kernels.
export const ATTENTION_SCORES = 48;
export const ATTENTION_SUMS = 49;
