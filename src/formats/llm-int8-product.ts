// The product of LLM.int8 (Dettmers et al. 2022, arXiv:2208.07339), as bitsandbytes computes it on the CPU in evaluation: the
// specification of the kernels, in plain loops. A column of activations with an outlier is multiplied in f32 by widened weights; the
// rest of each row becomes int8 and is multiplied in integers. The caller decides which rows share their outlier columns.

import { quantizeRow, roundToF16, widened } from "./llm-int8.ts";
import { bitsOf, largestMagnitude } from "./magnitude.ts";

/** T rows of K activations, as the product takes them. */
export type Int8Rows = {
  /** [T, K]; 0 in outlier columns. */
  readonly codes: Int8Array;
  /** [T]: the largest magnitude of each row without its outlier columns. */
  readonly scales: Float32Array;
  /** The outlier columns of all rows, ascending. */
  readonly outliers: readonly number[];
};

/**
 * Quantises x [T, K]. The rows share their outlier columns: those where any row has a magnitude of `threshold` or more. Numbers are
 * rounded to float16 first. `threshold` 0: there are no outliers.
 */
export function quantizeActivations(
  x: Float32Array,
  T: number,
  K: number,
  threshold: number,
): Int8Rows {
  const rounded = new Float32Array(x.length);
  roundToF16(x, rounded);

  const outlying = new Set<number>();
  if (threshold > 0) {
    for (let i = 0; i < rounded.length; i++) {
      if (!(Math.abs(rounded[i]) >= threshold)) continue;
      outlying.add(i % K);
      rounded[i] = 0;
    }
  }
  const outliers = [...outlying].toSorted((a, b) => a - b);

  const codes = new Int8Array(T * K);
  const scales = new Float32Array(T);
  for (let t = 0; t < T; t++) {
    const row = rounded.subarray(t * K, (t + 1) * K);
    scales[t] = largestMagnitude(bitsOf(row), 0, K);
    quantizeRow(row, scales[t], codes.subarray(t * K, (t + 1) * K));
    for (const k of outliers) codes[t * K + k] = 0;
  }
  return { codes, scales, outliers };
}

// bitsandbytes' constant for 1 / 127²; it is larger than that by 2 · 10⁻⁵ of it.
const INVERSE_127_SQUARED = Math.fround(6.200124e-5);

/** y [T, O] = x [T, K] · w [O, K]ᵀ. `w`: integers, and SCB [O] as scales. The T rows share their outlier columns. */
export function int8Product(
  x: Float32Array,
  w: { readonly codes: Int8Array; readonly scales: Float32Array },
  sizes: { readonly T: number; readonly K: number; readonly O: number },
  threshold: number,
): Float32Array {
  const { T, K, O } = sizes;
  const rows = quantizeActivations(x, T, K, threshold);
  const y = new Float32Array(T * O);
  for (let t = 0; t < T; t++) {
    for (let o = 0; o < O; o++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += rows.codes[t * K + k] * w.codes[o * K + k];
      const scale = Math.fround(rows.scales[t] * w.scales[o]);
      const inner = Math.fround(Math.fround(Math.fround(sum) * scale) * INVERSE_127_SQUARED);
      let outer = 0;
      for (const k of rows.outliers) {
        outer = Math.fround(
          outer + Math.fround(x[t * K + k] * widened(w.codes[o * K + k], w.scales[o])),
        );
      }
      y[t * O + o] = inner + outer;
    }
  }
  return y;
}
