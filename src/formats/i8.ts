// Whole numbers from −128 to 127, one byte each: the codes of an int8 cache. Knows nothing of their scales, which are a leaf of their own.

import type { WeightFormat } from "./weight-format.ts";

export const i8: WeightFormat = {
  name: "i8",
  family: "i8",
  param: 1,
  parts: (rows, columns) => [rows * columns],
  step: () => 1,
  unpack([bytes], { columns }, from, to, out) {
    for (let i = 0; i < (to - from) * columns; i++)
      out[i] = (bytes[from * columns + i] << 24) >> 24;
  },
  packer: ([bytes], { columns }) => ({
    rows: (values, from) => bytes.set(values, from * columns),
    finish() {},
  }),
};
