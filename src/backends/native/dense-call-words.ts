// The words by which WebAssembly asks machine code for products with plain weights, as call-words.ts has those of packed weights. A call
// computes eight columns of y. Read by AssemblyScript and by TypeScript, so plain numbers only. Addresses are those of the process.

/** How many columns a call computes, each with a row of weights. */
export const DENSE_COLUMNS = 8;
/** The most rows of x that are computed side by side. */
export const DENSE_TILE = 6;
/** How many k are summed up before they are added to y. */
export const DENSE_BLOCK = 1024;

// Word 0 chooses the kernel: one of the numbers below.
/** The addresses of the eight rows of weights. */
export const DENSE_W = 8;
/** The first row of x, and the bytes from a row to the next. */
export const DENSE_X = 72;
export const DENSE_X_STRIDE = 80;
export const DENSE_ROWS = 88;
/** How many rows are computed side by side, DENSE_TILE at most. */
export const DENSE_ROWS_OF_TILE = 96;
/** How many k. A call with a panel gets one block of k. */
export const DENSE_K = 104;
/** y of the first row and column, and the bytes from a row to the next. */
export const DENSE_Y = 112;
export const DENSE_Y_STRIDE = 120;
/** A bit for each column that is stored. */
export const DENSE_STORED = 128;
/** Which of these are added to what y holds: none in the first block of k. A call without a panel sets the word itself. */
export const DENSE_ADDED = 136;
/** A bit for each of the last k % 8 numbers of a row. */
export const DENSE_LAST = 144;
/** With a panel: the row of weights that the next panel begins with, and the bytes from a row to the next. */
export const DENSE_NEXT = 160;
export const DENSE_W_STRIDE = 168;
/** Where the machine code keeps how many rows, or how many k, are left. */
export const DENSE_LEFT = 152;

// Behind the words, in a thread's scratch:
/** The last k % 8 numbers of the tile's rows of x, filled up to eight. */
export const DENSE_X_TAILS = 192;
/** Without a panel: the sums of a call, eight of each row of x. */
export const DENSE_SUMS = 384;
/** A panel: of each eight k, the f32 of eight rows of weights. */
export const DENSE_PANEL = 576;

/** The numbers of kernels: for few rows, which read the weights where they lie; and for many, which unpack them to a panel. */
export const DENSE_FEW_F32 = 16;
export const DENSE_FEW_BF16 = 17;
export const DENSE_FEW_F16 = 18;
export const DENSE_MANY_F32 = 19;
export const DENSE_MANY_BF16 = 20;
export const DENSE_MANY_F16 = 21;
