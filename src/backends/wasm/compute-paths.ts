// The compute paths of products: which weight formats each is for, how it packs the rows of x before the product, and how much
// scratch its kernels need. A weight's dtype names the path after a colon ("nf4-64:fixed16"); without one the product is exact,
// in f32.

import { EngineError } from "../../errors.ts";
import { weightDType } from "../../formats/registry.ts";
import type { WeightFormat } from "../../formats/weight-format.ts";
import { describe, type Tensor } from "../../graph/graph.ts";
import {
  LINEAR_FIXED16,
  LINEAR_INT8,
  LINEAR_LLM_INT8,
  PACK_FIXED16,
  PACK_INT8,
  PACK_INT8_HALVES,
  PACK_LLM_INT8,
  PACK_LLM_INT8_CALL,
} from "./kernels/header.ts";
import {
  eightRowsScratch,
  fixed16Scratch,
  LLM_INT8_SCRATCH,
  nf4Int8Scratch,
  PACK_INT8_SCRATCH,
  packLlmInt8Scratch,
} from "./kernels/scratch.ts";

export type ComputePath = {
  readonly name: string;
  readonly families: readonly string[];
  /** The weight's columns, and its format's parameter, must be multiples of this. */
  readonly step: number;
  /** The product's number in kernels/header.ts, and bytes of its scratch for rows of K numbers. */
  readonly code: number;
  scratch(K: number): number;
  readonly pack: Packing;
};

/** How the rows of x are packed for a compute path. */
export type Packing = {
  /** Its number in kernels/header.ts. */
  readonly mode: number;
  /** 4-byte words that a packed row of K numbers takes. */
  words(K: number): number;
  scratch(K: number): number;
};

const fourBit = { families: ["nf4", "fp4", "nf4-dq", "fp4-dq"], step: 64 } as const;

/** LLM.int8. Layout of a packed row: kernels/pack-rows-llm-int8.ts; every column may be an outlier. */
const llmInt8 = (name: string, mode: number): ComputePath => ({
  ...{ name, families: ["int8"], step: 1 },
  ...{ code: LINEAR_LLM_INT8, scratch: () => LLM_INT8_SCRATCH },
  pack: {
    mode,
    words: (K) => 16 + 8 * Math.ceil(K / 16) + 2 * K,
    scratch: packLlmInt8Scratch,
  },
});

const paths: readonly ComputePath[] = [
  {
    name: "int8",
    ...{ families: ["q4", "q4r", "q6r", "q8", "q4k", "q6k"], step: 1 },
    ...{ code: LINEAR_INT8, scratch: eightRowsScratch },
    pack: {
      mode: PACK_INT8,
      words: (K) => 10 * Math.ceil(K / 32),
      scratch: () => PACK_INT8_SCRATCH,
    },
  },
  {
    name: "int8",
    ...fourBit,
    ...{ code: LINEAR_INT8, scratch: nf4Int8Scratch },
    pack: { mode: PACK_INT8_HALVES, words: (K) => 28 * (K / 64), scratch: () => 0 },
  },
  {
    name: "fixed16",
    ...fourBit,
    ...{ code: LINEAR_FIXED16, scratch: fixed16Scratch },
    pack: { mode: PACK_FIXED16, words: (K) => 33 * (K / 64), scratch: () => 0 },
  },
  llmInt8("row", PACK_LLM_INT8),
  llmInt8("call", PACK_LLM_INT8_CALL),
];

/** The path of products with a weight; undefined: the exact one. @throws EngineError its format has no such path */
export function computePathOf(w: Tensor): ComputePath | undefined {
  const { format, computePath: name } = weightDType(w.dtype);
  if (name === "") return undefined;
  const path = paths.find((p) => p.name === name && p.families.includes(format.family));
  if (path === undefined) {
    throw refused(w, `${format.family} has ${namesOf(format) || "no path but the exact one"}`);
  }
  const columns = w.shape[1];
  if (columns % path.step !== 0 || format.param % path.step !== 0) {
    const came = `${columns} and ${format.param}`;
    throw refused(w, `columns and block must be multiples of ${path.step}, not ${came}`);
  }
  return path;
}

function namesOf({ family }: WeightFormat): string {
  return paths
    .filter(({ families }) => families.includes(family))
    .map(({ name }) => name)
    .join(", ");
}

function refused(w: Tensor, why: string): EngineError {
  return new EngineError(
    `linear: ${describe(w)} is ${w.dtype}, a compute path that the CPU backend does not have for it: ${why}; ` +
      `leave out what follows the colon for exact products`,
  );
}
