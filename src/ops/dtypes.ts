// Names for the sets of dtypes that ops take. An op lists one set for each input (`takes`), and Graph.emit refuses other dtypes: a
// kernel that reads f32 would take the codes of a quantised weight for numbers. Errors end with the remedy given here.

import { findWeightFormat } from "../formats/registry.ts";
import { layoutOf, type Takes } from "../graph/graph.ts";

/** Computed tensors, and leaves that are kept as f32. */
export const f32: Takes = {
  ...oneOf("f32"),
  remedy:
    "only embed, linear, rms_norm and add_bias read weights as they lie: widen it, or keep it as float32",
};

/** Ids, labels, columns, slots, pages: whatever is an index. */
export const i32: Takes = { ...oneOf("i32"), remedy: "give indices as an i32 leaf" };

/** A weight of plain numbers: the weights of norms, and biases. */
export const plain: Takes = {
  ...oneOf("f32", "f16", "bf16"),
  remedy: "keep this weight as float32, float16 or bfloat16",
};

/** A weight of any format, with or without a compute path: "bf16", "nf4-64", "q4r:int8". */
export const weight: Takes = {
  // i8 is a format too, but its codes have their scales in another leaf.
  has: (dtype) => layoutOf(dtype) !== "i8" && findWeightFormat(layoutOf(dtype)) !== undefined,
  words: "a format of weights",
  remedy: "src/formats/registry.ts knows their names",
};

/** A pool of the cache that holds the numbers themselves. */
export const pool: Takes = {
  ...oneOf("f32", "f16", "bf16"),
  remedy: "kv_append_codes writes int8 codes",
};

/** A pool of int8 codes, which has scales beside it. */
export const codePool: Takes = {
  ...oneOf("i8"),
  remedy: "kv_append writes pools of f32, f16 and bf16",
};

/** A pool of either kind. */
export const anyPool: Takes = {
  ...oneOf("f32", "f16", "bf16", "i8"),
  remedy: "cacheDtype is float32, float16, bfloat16 or int8",
};

/** An input that may be left out. */
export function optional(takes: Takes): Takes {
  return { ...takes, optional: true };
}

function oneOf(...dtypes: readonly string[]): Pick<Takes, "has" | "words"> {
  const others = dtypes.slice(0, -1).join(", ");
  const words = others === "" ? dtypes[0] : `${others} or ${dtypes[dtypes.length - 1]}`;
  return { has: (dtype) => dtypes.includes(dtype), words };
}
