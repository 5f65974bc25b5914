// q4r: what `{ method: "q4" }` makes of layers: 4 bits a weight, for 32 of a row a scale of 8 bits under one of the row; 4.25 bits.
// A number is scale · (code − 8), as in q4, whose codes it has. Layout: eight-rows.ts, eight-rows-scales.ts.

import { ofRows } from "./eight-rows-scales.ts";
import { eightRowsFormat, fittedScale } from "./eight-rows.ts";
import { nibbles } from "./q4.ts";
import type { WeightFormat } from "./weight-format.ts";

export const q4r: WeightFormat = eightRowsFormat({
  ...nibbles,
  name: "q4r",
  scales: ofRows,
  scaleOf: (values, from) => fittedScale(values, from, 8),
});
