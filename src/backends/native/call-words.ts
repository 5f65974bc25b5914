// The words by which WebAssembly tells machine code what to compute: offsets in bytes of 64-bit words, and the numbers of kernels. Read by
// AssemblyScript and by TypeScript, so plain numbers only. Addresses are those of the process, not of the WebAssembly memory.

/** Which kernel: one of the numbers below. */
export const KERNEL = 0;
/** y of the first row and column that are computed, and the bytes from a row to the next. */
export const Y = 8;
export const Y_STRIDE = 16;
/** The first packed row of x, and the bytes from a block of k to the next. */
export const X = 24;
export const X_STRIDE = 32;
export const ROWS = 40;
/** How many rows of x are computed at a time, from a panel: TILE_ROWS at most. */
export const TILE = 48;
/**
 * Weights are read as STREAMS streams, which are computed side by side: a group of eight rows of each, then the next groups, STEPS times.
 * STREAMS is 2; or 4, for FOUR_STREAMS_ROWS rows at most and formats without heads.
 */
export const STREAMS = 112;
export const STEPS = 120;
/** The first group of the first stream; bytes from there to the next stream, and from a group to the next of its stream. */
export const W = 56;
export const W_SECOND = 64;
export const W_STEP = 128;
/** How many columns of y, from the first one on; from there to those of the next stream; and to the next of the same stream. */
export const COLUMNS = 72;
export const COLUMNS_SECOND = 136;
export const COLUMNS_STEP = 144;
/** The scale of the first column's weights, f32; and whether there are any. The kernel changes COLUMNS, STEPS and ROW_SCALES. */
export const ROW_SCALES = 80;
export const HAS_ROW_SCALES = 104;
/** How many blocks of k a row has. */
export const BLOCKS = 88;
/** Room for a panel: PANEL_BLOCK bytes a block. */
export const PANEL = 96;
export const CALL_BYTES = 192;

// A packed block of 32 activations, as pack_rows_int8 makes it for machine code:
//   offset  bytes  content
//        0      4  scale · 2¹¹², f32
//        4      4  −8 · Σx, i32; for q6k two i16, see ../wasm/kernels/pack-rows-int8.ts
//        8     32  the numbers, int8
export const X_BLOCK = 40;
export const X_START = 4;
export const X_CODES = 8;

/** The most rows of a tile. */
export const TILE_ROWS = 12;
/** The most rows that read four streams. */
export const FOUR_STREAMS_ROWS = 2;
/** Bytes of a block of 32 k of a panel of 16 columns. */
export const PANEL_BLOCK = 640;

// The numbers of kernels.
export const NATIVE_Q4 = 0;
export const NATIVE_Q4R = 1;
export const NATIVE_Q6R = 2;
export const NATIVE_Q8 = 3;
export const NATIVE_Q4K = 4;
export const NATIVE_Q6K = 5;
