// Checks the kernels when V8 joins their 128-bit operations into 256-bit ones: that pass of its compiler is experimental, and a
// wrong bit must not go unseen. linear gets small integers, whose f32 sums are exact in any order, so that it has one right
// answer. All other kernels here must give the same bits after V8 has optimised them as before.

import type { Kernels } from "./kernel-module.ts";
import { int8Products } from "./wide-check-int8.ts";
import { packedProducts } from "./wide-check-packed.ts";
import { quantizedBytes } from "./wide-check-quantize.ts";

/** K is a block of 1024 and one of 19, which leaves 3 for a tail; 16 rows are enough for the tiles of many rows. */
const [T, K, O] = [16, 1043, 13];
/** At least so many rounds, and so many milliseconds: enough for V8 to optimise the kernels and to use the new code. */
const ROUNDS = 40;
const LEAST_MS = 25;

// Byte addresses.
const [SCRATCH, X, PRODUCTS, W, W16, Y, ROWS, Q] = [
  65_536, 131_072, 204_800, 262_144, 327_680, 393_216, 458_752, 475_136,
];

/** What else must give the same bits after V8 has optimised it. */
const kinds = [int8Products, packedProducts, quantizedBytes];

/** A memory for the check. */
export function checkMemory(shared: boolean): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 8, maximum: 8, shared });
}

/** Whether products, glu, paged_attention and quantize of an instance over `memory` give the right bits. Takes some 80 ms. */
export function wideVectorsAgree(kernels: Kernels, memory: WebAssembly.Memory): boolean {
  const expected = exactSums();
  fill(memory);
  const attended = attend(kernels, memory);
  const places = { scratch: SCRATCH, x: X, weights: W16, to: PRODUCTS };
  const first = kinds.map((of) => of(kernels, memory, places));
  const begin = performance.now();
  let agree = sumsAgree(kernels, memory, expected);
  for (let round = 0; agree && (round < ROUNDS || performance.now() - begin < LEAST_MS); round++) {
    agree =
      sumsAgree(kernels, memory, expected) &&
      attend(kernels, memory).every((bits, i) => bits === attended[i]) &&
      kinds.every((of, kind) =>
        of(kernels, memory, places).every((bits, i) => bits === first[kind][i]),
      );
  }
  return agree;
}

const integer = (i: number): number => ((i * 37) % 17) - 8;

/** [T, O] sums of integer(row · K + k) · integer(column · K + k + 5) */
function exactSums(): Float32Array {
  return Float32Array.from({ length: T * O }, (_, i) => {
    const [x, w] = [Math.floor(i / O) * K, (i % O) * K + 5];
    let sum = 0;
    for (let k = 0; k < K; k++) sum += integer(x + k) * integer(w + k);
    return sum;
  });
}

function fill(memory: WebAssembly.Memory): void {
  new Float32Array(memory.buffer, X, T * K).set(
    Float32Array.from({ length: T * K }, (_, i) => integer(i)),
  );
  const weights = Float32Array.from({ length: O * K }, (_, i) => integer(i + 5));
  new Float32Array(memory.buffer, W, O * K).set(weights);
  const halves = new Uint16Array(weights.buffer).filter((_, i) => i % 2 === 1);
  new Uint16Array(memory.buffer, W16, O * K).set(halves);
}

/** linear with f32 and bf16 weights, of many rows, two and one. */
function sumsAgree(
  { linear_f32, linear_bf16 }: Kernels,
  memory: WebAssembly.Memory,
  expected: Float32Array,
): boolean {
  const y = new Float32Array(memory.buffer, Y, T * O);
  return [T, 2, 1].every((rows) =>
    [
      () => linear_f32(Y, X, W, K, O, SCRATCH, 1, 0, rows, 0, O),
      () => linear_bf16(Y, X, W16, K, O, SCRATCH, 1, 0, rows, 0, O),
    ].every((multiply) => {
      y.fill(NaN);
      multiply();
      return y.subarray(0, rows * O).every((sum, i) => sum === expected[i]);
    }),
  );
}

/** The bits of glu and of paged attention: 4 rows, 4 heads of size 32 on one key-value head, five pages of 16 columns. */
function attend({ glu, paged_attention }: Kernels, memory: WebAssembly.Memory): Uint32Array {
  const [heads, D, rows] = [4, 32, 4];
  const numbers = new Float32Array(memory.buffer, Q, 8192);
  for (let i = 0; i < numbers.length; i++) numbers[i] = Math.sin(i);
  // seq [4], at [4], then the page table: pages 0 … 4, all columns but some of one.
  const table = [0, 0xffff, 1, 0xf0f7, 2, 0xffff, 3, 0xffff, 4, 0xffff];
  new Int32Array(memory.buffer, ROWS, 18).set([0, 0, 0, 0, 79, 79, 79, 69, ...table]);
  const [keys, values] = [Q + 2048, Q + 12288];
  paged_attention(
    Y,
    Q,
    keys,
    values,
    ROWS,
    ROWS + 16,
    ROWS + 32,
    0,
    0,
    heads,
    1,
    D,
    0,
    5,
    0.2,
    0,
    rows,
    rows,
    1,
    1,
    SCRATCH,
    0,
    1,
  );
  glu(Y + rows * heads * D * 4, Q, Q + 8192, 0, 0, 1000);
  return new Uint32Array(memory.buffer.slice(Y, Y + (rows * heads * D + 1000) * 4));
}
