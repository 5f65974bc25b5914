// nf4 and fp4 on the compute path of int8 activations, in plain loops: which integers the values and the activations are, and how a
// product is scaled. And the calls of its two kernels.

import { nf4Int8Scratch } from "../../src/backends/wasm/kernels/scratch.ts";
import { fourBitSettings } from "../../src/formats/four-bit.ts";
import { fourBitValues } from "../../src/formats/four-bit-codes.ts";
import { absmaxOf, type Cuts, type Fixed16, ranges } from "./packed-fixed16.ts";
import { putMatrix } from "./packed-matrix.ts";
import type { KernelBench } from "./wasm-kernels.ts";

/** By what a value is multiplied before it is rounded. */
const UNITS = { nf4: 53.01, fp4: 60 } as const;

/** y [T, O] as the compute path defines it, but for the rounding of the sum over blocks of 64, which is left to float64. */
export function reference(given: Fixed16): Float64Array {
  const { sizes, x, matrix } = given;
  const { T, K, O } = sizes;
  const absmax = absmaxOf(given);
  const type = fourBitSettings(matrix.format.name)?.type ?? "nf4";
  const values = Float64Array.from(fourBitValues[type], (v) => Math.round(v * UNITS[type]));
  const code = (i: number): number =>
    i % 2 === 0 ? matrix.parts[0][i >> 1] >> 4 : matrix.parts[0][i >> 1] & 15;
  const y = new Float64Array(T * O);
  for (let t = 0; t < T; t++) {
    for (let k = 0; k < K; k += 64) {
      const row = x.subarray(t * K + k, t * K + k + 64);
      const largest = row.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const inverse = Math.fround(127 / largest);
      const codes = Float64Array.from(row, (v) => roundToEven(Math.fround(v * inverse)));
      const scale = Math.fround(largest / 127) / UNITS[type];
      for (let o = 0; o < O; o++) {
        let sum = 0;
        for (let i = 0; i < 64; i++) sum += codes[i] * values[code(o * K + k + i)];
        y[t * O + o] += sum * absmax[o * K + k] * scale;
      }
    }
  }
  return y;
}

function roundToEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** y [T, O]. @throws Error when a kernel wrote beside its tensors */
export function multiply(
  bench: KernelBench,
  { sizes: { T, K, O }, x, matrix }: Fixed16,
  { columns, rows, native = false }: Omit<Cuts, "wide"> = { columns: 1, rows: 1 },
): Float32Array {
  bench.clear();
  const parts = putMatrix(bench, matrix);
  const [xAt, packed] = [bench.reserve(4 * T * K), bench.reserve((T * K * 112) / 64)];
  const y = bench.reserve(4 * T * O);
  const scratch = bench.reserveScratch(nf4Int8Scratch(K));
  bench.set(xAt, x);
  const { pack_rows_int8_halves, linear_nf4_int8, native_four_bit } = bench.kernels;
  for (const [begin, end] of ranges(T, rows))
    pack_rows_int8_halves(packed, xAt, K, T, native ? 1 : 0, begin, end);
  const args = [y, packed, ...parts, matrix.code, matrix.format.param, K, O, scratch];
  for (const [first, last] of ranges(T, rows)) {
    for (const [begin, end] of ranges(O, columns)) {
      if (native) native_four_bit(0, ...args, T, first, last, begin, end);
      else linear_nf4_int8(...args, first, last, begin, end);
    }
  }
  const damaged = bench.damaged();
  if (damaged !== undefined) throw new Error(`wrote to byte ${damaged}, beside all tensors`);
  return bench.floats(y, T * O);
}
