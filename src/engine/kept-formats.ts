// In which format each weight is kept, and on which road products with it run: from what the file holds and what was asked for.
// A checkpoint that is quantised stays as it is; a plain one is quantised where the method says. Knows no bytes.

import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";
import { weightDType } from "../formats/registry.ts";
import type { WeightFormat } from "../formats/weight-format.ts";
import type { Quantisation } from "./messages.ts";
import { isSkipped } from "./skipped-modules.ts";

/** How products are computed: exactly in f32, in 16-bit fixed point, or with activations of 8 bits. */
export type Compute = "float32" | "fixed16" | "int8";

/** The roads besides the exact one that a family's kernels have. */
const ROADS: Readonly<Record<string, readonly string[]>> = {
  nf4: ["fixed16"],
  fp4: ["fixed16"],
  "nf4-dq": ["fixed16"],
  "fp4-dq": ["fixed16"],
  q4: ["int8"],
  q8: ["int8"],
  q4k: ["int8"],
  q6k: ["int8"],
};

const LINEAR = /_proj\.weight$/;
const HEAD = /(^|\.)(lm_head|score|qa_outputs)\.weight$/;

export type Asked = {
  /** A plain format's name, or "auto": as in the file. */
  readonly dtype: string;
  readonly quantisation?: Quantisation;
  readonly compute?: Compute;
};

/** The dtype of a weight. @param together the rows of a step are those of one call: see DTypeOf */
export function keptAs(leaf: string, stored: StoredWeight, asked: Asked, together = false): string {
  const { quantisation, compute = "float32" } = asked;
  const plain = findFormat(stored.encoding);
  const columns = stored.shape.at(-1) ?? 1;
  const onRoad = ({ name, family, param }: WeightFormat): string => {
    if (family === "int8") return `${name}:${together ? "call" : "row"}`;
    const fits = ROADS[family]?.includes(compute) && columns % BLOCKS[compute](param) === 0;
    return fits ? `${name}:${compute}` : name;
  };
  if (plain === undefined) {
    const isMatrix = LINEAR.test(leaf) || HEAD.test(leaf);
    const regrouped = compute === "int8" && isMatrix ? stored.regrouped : undefined;
    return onRoad(regrouped?.format ?? stored.format);
  }
  const target = quantisation && formatFor(leaf, quantisation);
  if (target !== undefined) return onRoad(weightDType(target).format);
  return asked.dtype === "auto" ? plain.name : asked.dtype;
}

/** What a row's length must be a multiple of, by road: 64 numbers that are summed at a time must share a scale. */
const BLOCKS: Readonly<Record<Compute, (param: number) => number>> = {
  float32: () => 1,
  fixed16: (block) => (block % 64 === 0 ? 64 : Infinity),
  int8: () => 1,
};

function formatFor(leaf: string, q: Quantisation): string | undefined {
  const module = leaf.replace(/\.weight$/, "");
  if (isSkipped(module, q.skip)) return undefined;
  if (LINEAR.test(leaf)) return q.linear;
  if (HEAD.test(leaf)) return q.head;
  return leaf.endsWith("embed_tokens.weight") ? q.embedding : undefined;
}
