// Plain numbers as a format of matrices: row-major, one part.

import { areFinite, exponents, FINITE_RUN } from "./finite.ts";
import type { NumberFormat } from "./number-format.ts";
import type { WeightFormat } from "./weight-format.ts";

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
