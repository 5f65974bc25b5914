// Packs numbers into a format of groups of 8 rows, a group at a time, over bytes that were not zero; and reads them back.

import type { MatrixShape, WeightFormat } from "../../src/formats/weight-format.ts";

export function packed(
  format: WeightFormat,
  values: Float32Array,
  shape: MatrixShape,
): Uint8Array[] {
  const parts = format.parts(shape.rows, shape.columns).map((n) => new Uint8Array(n).fill(255));
  const packer = format.packer?.(parts, shape);
  const step = format.step(shape.columns);
  for (let from = 0; from < shape.rows; from += step) {
    const to = Math.min(from + step, shape.rows);
    packer?.rows(values.subarray(from * shape.columns, to * shape.columns), from, to);
  }
  packer?.finish();
  return parts;
}

export function unpacked(
  format: WeightFormat,
  parts: Uint8Array[],
  shape: MatrixShape,
): Float32Array {
  const out = new Float32Array(shape.rows * shape.columns);
  format.unpack(parts, shape, 0, shape.rows, out);
  return out;
}
