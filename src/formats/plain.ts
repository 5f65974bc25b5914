// Matrices of plain numbers (f32, f16, bf16) as a weight format: row by row, in one part. Does not know how a number lies in bytes.

import { areFinite, exponents, FINITE_RUN } from "./finite.ts";
import type { NumberFormat } from "./number-format.ts";
import type { WeightFormat } from "./weight-format.ts";

/** The weight format of matrices of these numbers. */
export function plainFormat(format: NumberFormat): WeightFormat {
  return {
    name: format.name,
    family: format.name,
    param: 1,
    parts: (rows, columns) => [format.bytes(rows * columns)],
    step: () => 1,
    isFinite: ([bytes], look = areFinite) => look(bytes, exponents[format.name], FINITE_RUN),
    unpack([bytes], { columns }, from, to, out) {
      format.unpack(bytes.subarray(format.bytes(from * columns), format.bytes(to * columns)), out);
    },
    packer: ([bytes], { columns }) => ({
      rows(values, from, to) {
        format.pack(
          values,
          bytes.subarray(format.bytes(from * columns), format.bytes(to * columns)),
        );
      },
      finish() {},
    }),
  };
}
