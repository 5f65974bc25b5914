// q4r: the format that `{ method: "q4" }` quantises layers to. 4 bits a weight, an 8-bit factor for each 32 weights of a row and an f32
// for each row: 4.25 bits in all. A number is scale · (code − 8), with the codes of q4 and the scales `ofRows`.
// Does not know how blocks and rows lie: eight-rows.ts, eight-rows-scales.ts.

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
