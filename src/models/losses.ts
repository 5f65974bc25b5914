// How logits are judged, as Transformers 5.23 judges them: which loss a model class takes, and what its labels must be.
// Ops give a loss for each row; who calls averages them. N rows, K logits of a row, B sequences of S columns.

import { InputError } from "../errors.ts";
import type { Tensor } from "../graph/graph.ts";
import { bce } from "../ops/bce.ts";
import { crossEntropy, IGNORED_LABEL } from "../ops/cross-entropy.ts";
import { mse } from "../ops/mse.ts";
import { transpose } from "../ops/transpose.ts";
import type { MistralConfig, ProblemType } from "./config.ts";
import { headOf, type ModelClass } from "./heads.ts";

/**
 * What is recorded to judge logits, and the shape of the input `labels`; part of a plan's key.
 * cross_entropy: labels [N] i32, −100 ignored · mse, bce: labels [N, K] f32 · spans: each of the K columns of logits chooses
 * one of the S rows of a sequence, so that all B · S rows must be in one step; labels [B, K] i32, −100 ignored
 */
export type Loss =
  | { readonly kind: "cross_entropy" | "mse" | "bce" }
  | { readonly kind: "spans"; readonly B: number; readonly S: number };

/** Labels as a caller gives them: whole numbers, or f32 numbers. */
export type Labels = Int32Array | Float32Array;

/** Losses [N] (of spans [B · K]) of logits [N, K] against the input `labels`. */
export function recordLosses(logits: Tensor, loss: Loss): Tensor {
  const { graph, shape, live } = logits;
  const targets = (): Tensor => graph.leaf("labels", "input", shape, "f32", live);
  switch (loss.kind) {
    case "cross_entropy":
      return crossEntropy(logits, graph.leaf("labels", "input", [shape[0]], "i32", live));
    case "mse":
      return mse(logits, targets());
    case "bce":
      return bce(logits, targets());
    case "spans": {
      const turned = transpose(logits, loss.B, loss.S);
      return crossEntropy(turned, graph.leaf("labels", "input", [turned.shape[0]], "i32"));
    }
  }
}

/**
 * The loss of a model class against labels: causal and token classification [B, S], sequence classification [B] or [B, K] by
 * the problem type, question answering [B, 2] (start and end).
 * @throws InputError labels that do not fit; nothing has been computed
 */
export function lossOf(
  modelClass: ModelClass,
  c: MistralConfig,
  labels: Labels,
  { B, S }: { B: number; S: number },
): Loss {
  const width = headOf(modelClass, c)?.width ?? 0;
  switch (modelClass) {
    case "MistralModel":
      throw new InputError("MistralModel has no head, so labels judge nothing; load another class");
    case "MistralForCausalLM":
    case "MistralForTokenClassification":
      checkClasses(labels, [B, S], width);
      return { kind: "cross_entropy" };
    case "MistralForQuestionAnswering":
      checkLabels(labels, [B, 2], "int32");
      return { kind: "spans", B, S };
    case "MistralForSequenceClassification": {
      const problem = problemType(c, labels);
      const hint = ` for ${problem}; are problem_type and num_labels in config.json right?`;
      if (problem === "single_label_classification") {
        checkClasses(labels, [B], width, hint);
        return { kind: "cross_entropy" };
      }
      checkLabels(labels, [B, width], "float32", hint);
      return { kind: problem === "regression" ? "mse" : "bce" };
    }
  }
}

/** What a sequence classifier is asked: the config says it, or the labels and their number do. */
export function problemType(
  c: Pick<MistralConfig, "problem_type" | "num_labels">,
  labels: Labels,
): ProblemType {
  if (c.problem_type !== null) return c.problem_type;
  if (c.num_labels === 1) return "regression";
  return labels instanceof Int32Array
    ? "single_label_classification"
    : "multi_label_classification";
}

/** Positions as labels of S columns: what lies before the first column means the first one, what lies behind the last is ignored. */
export const spanLabels = (positions: ArrayLike<number>, S: number): Int32Array =>
  Int32Array.from(positions, (at) => (at >= S ? IGNORED_LABEL : Math.max(0, at)));

/** Labels that name one of `count` classes. */
function checkClasses(labels: Labels, shape: readonly number[], count: number, hint = ""): void {
  checkLabels(labels, shape, "int32", hint);
  const bad = labels.find((x) => x !== IGNORED_LABEL && !(x >= 0 && x < count));
  if (bad === undefined) return;
  throw new InputError(
    `labels: ${bad}: expected classes from 0 to ${count - 1}, or −100 (ignored)`,
  );
}

function checkLabels(
  labels: Labels,
  shape: readonly number[],
  dtype: "int32" | "float32",
  hint = "",
): void {
  const came = labels instanceof Int32Array ? "int32" : "float32";
  if (came === dtype && labels.length === shape.reduce((n, dim) => n * dim, 1)) return;
  throw new InputError(
    `labels: ${labels.length} ${came} numbers came, expected ${dtype} [${shape.join(", ")}]${hint}`,
  );
}
