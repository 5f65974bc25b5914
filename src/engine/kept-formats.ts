// In which format each weight is kept, and on which road products with it run: from what the file holds and what was asked for.
// A checkpoint that is quantised stays as it is; a plain one is quantised where the method says. Knows no bytes.

import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";
import type { Quantisation } from "./messages.ts";

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
  const { quantisation } = asked;
  const plain = findFormat(stored.encoding);
  const compute = asked.compute ?? "float32";
  if (plain === undefined) {
    const regrouped = compute === "int8" && LINEAR.test(leaf) ? stored.regrouped : undefined;
    return withRoad(regrouped?.format.name ?? stored.format.name, compute, together);
  }
  const target = quantisation && formatFor(leaf, quantisation);
  if (target !== undefined) return withRoad(target, compute, together);
  return asked.dtype === "auto" ? plain.name : asked.dtype;
}

function formatFor(leaf: string, q: Quantisation): string | undefined {
  const module = leaf.replace(/\.weight$/, "");
  if (
    q.skip.some(
      (name) => module === name || module.endsWith(`.${name}`) || module.startsWith(`${name}.`),
    )
  )
    return undefined;
  if (LINEAR.test(leaf)) return q.linear;
  if (HEAD.test(leaf)) return q.head;
  return leaf.endsWith("embed_tokens.weight") ? q.embedding : undefined;
}

function withRoad(format: string, compute: Compute, together: boolean): string {
  const family = format.replace(/-\d+(\.\d+)?/, "");
  if (family === "int8") return `${format}:${together ? "call" : "row"}`;
  return ROADS[family]?.includes(compute) ? `${format}:${compute}` : format;
}
