// linear with a weight of LLM.int8, in plain loops. The method rounds activations too, and models are quantised with that in mind,
// so this product is not that of the unpacked numbers. On the compute path "call" outlier columns are chosen once for all rows,
// otherwise for each row by itself.

import { int8Product } from "../../formats/llm-int8-product.ts";
import { weightDType } from "../../formats/registry.ts";
import { matrixShape, type Parts } from "../../formats/weight-format.ts";
import { floats32 } from "../../formats/words.ts";
import type { DType, Shape, Values } from "../../graph/graph.ts";

/** The format family that this product is for. */
export const LLM_INT8 = "int8";

/** y [T, O] = x [T, K] · w [O, K]ᵀ, where w is given by its parts. */
export function llmInt8Linear(
  y: Values,
  x: Values,
  parts: Parts,
  rows: number,
  { shape, dtype }: { readonly shape: Shape; readonly dtype: DType },
): void {
  const { rows: O, columns: K } = matrixShape(shape);
  const { format, computePath } = weightDType(dtype);
  const [codes, scales] = parts;
  const w = {
    codes: new Int8Array(codes.buffer, codes.byteOffset, codes.length),
    scales: floats32(scales),
  };
  const values = Float32Array.from(x);
  const sharingRows = computePath === "call" ? rows : 1;
  for (let t = 0; t < rows; t += sharingRows) {
    const some = values.subarray(t * K, (t + sharingRows) * K);
    y.set(int8Product(some, w, { T: sharingRows, K, O }, format.param), t * O);
  }
}
