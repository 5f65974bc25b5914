// A product in 16-bit fixed point for tests: weights in a 4-bit format, rows of numbers, and the calls of its two kernels.

import { fixed16Scratch } from "../../src/backends/wasm/kernels/scratch.ts";
import type { Random } from "../random.ts";
import { packedMatrix, type PackedMatrix, putMatrix } from "./packed-matrix.ts";
import type { KernelBench } from "./wasm-kernels.ts";

export const formatNames: readonly string[] = [
  "nf4-64",
  "nf4-128",
  "fp4-64",
  "nf4-64-dq",
  "fp4-256-dq",
];

export type Fixed16 = {
  readonly sizes: { readonly T: number; readonly K: number; readonly O: number };
  readonly x: Float32Array;
  readonly matrix: PackedMatrix;
};

/**
 * How the kernels are called: in how many ranges, the last one first, and with which tile. `native`: in machine code, which the bench must
 * have.
 */
export type Cuts = {
  readonly columns: number;
  readonly rows: number;
  readonly wide?: boolean;
  readonly native?: boolean;
};

export function fixed16Case(name: string, sizes: Fixed16["sizes"], random: Random): Fixed16 {
  const { T, K, O } = sizes;
  return {
    sizes,
    x: Float32Array.from(random.numbers(T * K), (x) => 10 * x ** 3),
    matrix: packedMatrix(name, O, K, random),
  };
}

/** The same with row `t` of x only. */
export function alone({ sizes, x, matrix }: Fixed16, t: number): Fixed16 {
  const { K } = sizes;
  return { sizes: { ...sizes, T: 1 }, x: x.slice(t * K, (t + 1) * K), matrix };
}

/** Of each number of the matrix, the absmax of its block: what the code of 1 would mean. */
export function absmaxOf({ matrix }: Fixed16): Float32Array {
  const { format, rows, columns, parts } = matrix;
  const [codes, ...others] = parts;
  const ones = new Uint8Array(codes.length).fill(format.family.startsWith("nf4") ? 0xff : 0x33);
  const values = new Float32Array(rows * columns);
  format.unpack([ones, ...others], { rows, columns }, 0, rows, values);
  return values;
}

/** y [T, O]. @throws Error when a kernel wrote beside its tensors */
export function multiply(
  bench: KernelBench,
  { sizes: { T, K, O }, x, matrix }: Fixed16,
  { columns, rows, wide = false, native = false }: Cuts = { columns: 1, rows: 1 },
): Float32Array {
  bench.clear();
  const parts = putMatrix(bench, matrix);
  const [xAt, packed] = [bench.reserve(4 * T * K), bench.reserve((T * K * 33) / 16)];
  const y = bench.reserve(4 * T * O);
  const scratch = bench.reserveScratch(fixed16Scratch(K));
  bench.set(xAt, x);
  const { pack_rows_fixed16, linear_fixed16, native_four_bit } = bench.kernels;
  for (const [begin, end] of ranges(T, rows))
    pack_rows_fixed16(packed, xAt, K, T, native ? 1 : 0, begin, end);
  const args = [y, packed, ...parts, matrix.code, matrix.format.param, K, O, scratch];
  for (const [first, last] of ranges(T, rows)) {
    for (const [begin, end] of ranges(O, columns)) {
      if (native) native_four_bit(1, ...args, T, first, last, begin, end);
      else linear_fixed16(...args, wide ? 1 : 0, first, last, begin, end);
    }
  }
  const damaged = bench.damaged();
  if (damaged !== undefined) throw new Error(`wrote to byte ${damaged}, beside all tensors`);
  return bench.floats(y, T * O);
}

/** [0, size) in `count` ranges, the last one first; empty ones are left out. */
export function ranges(size: number, count: number): [number, number][] {
  return Array.from({ length: count }, (_, i): [number, number] => [
    Math.floor(((count - 1 - i) * size) / count),
    Math.floor(((count - i) * size) / count),
  ]).filter(([begin, end]) => begin < end);
}
