// Decides in which format each weight is kept in memory, and by which compute path products with it run: from what the file holds and
// what the caller asked for. A quantised checkpoint stays as it is; a plain one is quantised where the method says. Knows no bytes.

import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";
import { fourBitSettings } from "../formats/four-bit.ts";
import { weightDType } from "../formats/registry.ts";
import type { WeightFormat } from "../formats/weight-format.ts";
import { isSkipped } from "./skipped-modules.ts";

/** How products are computed: exactly in f32, in 16-bit fixed point, or with activations of 8 bits. */
export type Compute = "float32" | "fixed16" | "int8";

/** Into which format each kind of weight is quantised; without one, and for modules named in `skip`, it stays plain. */
export type Quantisation = {
  readonly linear: string;
  readonly head?: string;
  readonly embedding?: string;
  readonly skip: readonly string[];
};

/** The compute paths, beside exact products in float32, for which a family of formats has kernels. */
const COMPUTE_PATHS: Readonly<Record<string, readonly string[]>> = {
  nf4: ["fixed16", "int8"],
  fp4: ["fixed16", "int8"],
  "nf4-dq": ["fixed16", "int8"],
  "fp4-dq": ["fixed16", "int8"],
  q4: ["int8"],
  q4r: ["int8"],
  q6r: ["int8"],
  q8: ["int8"],
  q4k: ["int8"],
  q6k: ["int8"],
};

const LINEAR = /_proj\.weight$/;
const HEAD = /(^|\.)(lm_head|score|qa_outputs)\.weight$/;

/** What the caller asked for. */
export type Asked = {
  /** A plain format's name, or "auto": the one in the file. */
  readonly dtype: string;
  readonly quantisation?: Quantisation;
  readonly compute?: Compute;
};

/** The formats of linear layers and of the head in our own methods. */
const OWN = {
  q4: { linear: "q4r", head: "q6r" },
  q8: { linear: "q8", head: "q8" },
} as const;

/** Heads with a few outputs, which our own methods leave as they are. */
const CLASSIFIERS = ["score", "qa_outputs"];

/**
 * What the method "q4" or "q8" quantises.
 * @param tied one matrix is both embedding and head: then it is quantised as the head would be
 */
export function ownQuantisation(
  method: "q4" | "q8",
  tied = false,
  skip: readonly string[] = [],
): Quantisation {
  const { linear, head } = OWN[method];
  return { linear, head, ...(tied && { embedding: head }), skip: [...CLASSIFIERS, ...skip] };
}

/** The dtype of a weight: its format and, behind a colon, the compute path. @param sharedOutliers the rows of a step are those of one call: see LeafOf */
export function keptAs(
  leaf: string,
  stored: StoredWeight,
  asked: Asked,
  sharedOutliers = false,
): string {
  const { quantisation, compute = "float32" } = asked;
  const plain = findFormat(stored.encoding);
  const columns = stored.shape.at(-1) ?? 1;
  const withPath = (format: WeightFormat): string => {
    const { name, family } = format;
    if (family === "int8") return `${name}:${sharedOutliers ? "call" : "row"}`;
    const fits = COMPUTE_PATHS[family]?.includes(compute) && isAligned(format, columns);
    return fits ? `${name}:${compute}` : name;
  };
  if (plain === undefined) {
    const isMatrix = LINEAR.test(leaf) || HEAD.test(leaf);
    const regrouped = compute === "int8" && isMatrix ? stored.regrouped : undefined;
    return withPath(regrouped?.format ?? stored.format);
  }
  const target = quantisation && formatFor(leaf, quantisation);
  if (target !== undefined) return withPath(weightDType(target).format);
  return asked.dtype === "auto" ? plain.name : asked.dtype;
}

/** Whether the 4-bit kernels of the faster paths can read it: they sum 64 numbers at a time, which must share a scale. Others always fit. */
function isAligned({ name, param }: WeightFormat, columns: number): boolean {
  return fourBitSettings(name) === undefined || (param % 64 === 0 && columns % 64 === 0);
}

function formatFor(leaf: string, q: Quantisation): string | undefined {
  const module = leaf.replace(/\.weight$/, "");
  if (isSkipped(module, q.skip)) return undefined;
  if (LINEAR.test(leaf)) return q.linear;
  if (HEAD.test(leaf)) return q.head;
  return leaf.endsWith("embed_tokens.weight") ? q.embedding : undefined;
}
