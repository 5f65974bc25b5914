// The words by which WebAssembly asks machine code for products with nf4 and fp4 weights, as call-words.ts has those of the formats in groups
// of eight rows. Read by AssemblyScript and by TypeScript, so plain numbers only. Addresses are those of the process.

// Packed activations of T rows, K / 64 blocks, as pack_rows_int8_halves and pack_rows_fixed16 make them for machine code: parts one after the
// other, in each of them block after block, and of each block row after row.
//   bytes of a block and row  content
//                          4  scale, f32
//                          4  int8 only: −64 · the sum of the block's numbers, i32
//           2 · 32 or 4 · 32  planes. int8: the even numbers, then the odd ones. fixed16: those with k % 4 = 0, 1, 2, 3, as i16
/** Bytes of a block of a plane. */
export const PLANE_BLOCK = 32;
export const INT8_PLANES = 2;
export const FIXED16_PLANES = 4;

// Word 0 chooses the kernel: one of the numbers below.
/** Plane 0 of the first row, the bytes from a plane to the next, and from a block to the next. */
export const FOUR_BIT_X = 8;
export const FOUR_BIT_PLANE = 16;
export const FOUR_BIT_X_STRIDE = 24;
/** Scales of the first row, the bytes from a block to the next, and from a scale to where the block's sum starts. */
export const FOUR_BIT_SCALES = 32;
export const FOUR_BIT_SCALE_STRIDE = 40;
export const FOUR_BIT_STARTS = 48;
/** How many blocks of 64 k. */
export const FOUR_BIT_BLOCKS = 56;
/** absmax of the weights: f32 of the 16 rows of w of each block; for one row of x of four rows of w, group after group. */
export const FOUR_BIT_ABSMAX = 64;
/** What 1 stands for in the integers of the weights, f32. */
export const FOUR_BIT_UNIT = 72;
/** How many rows of x; for one row of x how many groups of four rows of w, GROUPS at most. */
export const FOUR_BIT_ROWS = 80;
/** How many rows of x are computed at a time, from a panel: TILE_ROWS at most. */
export const FOUR_BIT_TILE = 88;
/** y of the first row and column, and the bytes from a row to the next. */
export const FOUR_BIT_Y = 96;
export const FOUR_BIT_Y_STRIDE = 104;
/** A bit for each of the 16 columns that is stored. */
export const FOUR_BIT_STORED = 112;
/** Room for a panel: PLANE_BLOCK · 16 bytes a plane and block. */
export const FOUR_BIT_PANEL = 120;
/** How many bytes ahead of those that are read weights are asked for, when there are several rows. */
export const FOUR_BIT_AHEAD = 128;
/** For one row of x: a bit for each four bytes of codes of the last blocks, if fewer than eight are left. */
export const FOUR_BIT_LAST = 136;
/** 64 bytes: the integers of the 16 codes, again and again. */
export const FOUR_BIT_TABLE = 192;
/** The addresses of 16 rows of w. */
export const FOUR_BIT_W = 256;
/** Room for 64 numbers: scales of a block, and sums of its rows. */
export const FOUR_BIT_SPILLED = 384;
/** For one row of x: the results, four for each group. */
export const FOUR_BIT_RESULTS = 640;
export const FOUR_BIT_CALL_BYTES = 704;

/** Rows of w of a call. */
export const FOUR_BIT_COLUMNS = 16;
/** Groups of four rows of w of a call with one row of x. */
export const GROUPS = 4;

/** The numbers of kernels: one row of x, then several. */
export const FOUR_BIT_INT8_ROW = 32;
export const FOUR_BIT_FIXED16_ROW = 33;
export const FOUR_BIT_INT8_ROWS = 34;
export const FOUR_BIT_FIXED16_ROWS = 35;
