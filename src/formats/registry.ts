// Finds every weight format by its name, which includes its parameters: plain numbers, and the families of quantised formats.
// Does not know which format a model should use.

import { EngineError } from "../errors.ts";
import { formats } from "./format.ts";
import { fourBitFormat } from "./four-bit.ts";
import { ggufFamily } from "./gguf-types.ts";
import { i8 } from "./i8.ts";
import { int4Family } from "./int4.ts";
import { int8Format } from "./llm-int8.ts";
import { plainFormat } from "./plain.ts";
import { q4 } from "./q4.ts";
import { q4k } from "./q4k.ts";
import { q4r } from "./q4r.ts";
import { q6k } from "./q6k.ts";
import { q6r } from "./q6r.ts";
import { q8 } from "./q8.ts";
import { matrixShape, type Parts, type WeightFormat } from "./weight-format.ts";

/** A family makes the formats of its kind from their names: "nf4-64" → nf4 with blocks of 64. */
type Family = (name: string) => WeightFormat | undefined;

const families: readonly Family[] = [ggufFamily, fourBitFormat, int8Format, int4Family];

const known = new Map<string, WeightFormat>(
  [...[...formats.values()].map(plainFormat), i8, q4, q4r, q6r, q8, q4k, q6k].map((format) => [
    format.name,
    format,
  ]),
);

/** A weight's dtype: the format in which it lies, and the compute path of products with it ("": exact, in f32). */
export type WeightDType = { readonly format: WeightFormat; readonly computePath: string };

/** The parts of a dtype such as "nf4-64:fixed16". @throws EngineError no format has that name */
export function weightDType(dtype: string): WeightDType {
  const [name, computePath = ""] = dtype.split(":");
  const format = findWeightFormat(name);
  if (format === undefined) throw new EngineError(`no weight format is called ${name}`);
  return { format, computePath };
}

/** How many bytes each part of a weight takes. */
export function partBytes(dtype: string, shape: readonly number[]): readonly number[] {
  const { rows, columns } = matrixShape(shape);
  return weightDType(dtype).format.parts(rows, columns);
}

/** Unpacks all numbers of a weight to f32. */
export function unpackAll(dtype: string, shape: readonly number[], parts: Parts): Float32Array {
  const matrix = matrixShape(shape);
  const numbers = new Float32Array(matrix.rows * matrix.columns);
  weightDType(dtype).format.unpack(parts, matrix, 0, matrix.rows, numbers);
  return numbers;
}

/** The format of that name ("f32", "nf4-64-dq", "Q4_K" …), or undefined. */
export function findWeightFormat(name: string): WeightFormat | undefined {
  const found = known.get(name);
  if (found !== undefined) return found;
  for (const family of families) {
    const made = family(name);
    if (made === undefined) continue;
    known.set(name, made);
    return made;
  }
  return undefined;
}
