// The losses of Transformers 5.23: which one a model class uses, and what its labels must be. Ops give one loss for each row; the caller
// averages them. N rows, K logits of a row, B sequences of S columns. Does not know how rows are run.

import { InputError } from "../errors.ts";
import type { Tensor } from "../graph/graph.ts";
import { bce } from "../ops/bce.ts";
import { crossEntropy, IGNORED_LABEL } from "../ops/cross-entropy.ts";
import { mse } from "../ops/mse.ts";
import { transpose } from "../ops/transpose.ts";
import type { MistralConfig, ProblemType } from "./config.ts";
import { headOf, type ModelClass } from "./heads.ts";

/**
 * The loss that a plan records after the logits [N, K]; part of the plan's key. With spans all B · S rows of the batch must be in one
 * step. The kind decides the shape of the input `labels`:
 *
 * | kind          | labels     | meaning                                                                                         |
 * | ------------- | ---------- | ----------------------------------------------------------------------------------------------- |
 * | cross_entropy | [N] i32    | the class of each row; −100: ignored                                                            |
 * | mse, bce      | [N, K] f32 | targets                                                                                         |
 * | spans         | [B, K] i32 | which of the S rows each column of logits should choose; −100: ignored |
 */
export type Loss =
  | { readonly kind: "cross_entropy" | "mse" | "bce" }
  | { readonly kind: "spans"; readonly B: number; readonly S: number };

/** Labels as a caller gives them: whole numbers, or f32 numbers. */
export type Labels = Int32Array | Float32Array;

/** Records the losses [N] (spans: [B · K]) of logits [N, K] against the input `labels`. */
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
 * The loss of a model class. Labels: [B, S] for causal models and token classification; [B] or [B, K] for sequence classification,
 * according to `problem`; [B, 2], start and end, for question answering.
 * @throws InputError labels of another shape, dtype or range. Nothing has been computed
 */
export function lossOf(
  modelClass: ModelClass,
  c: MistralConfig,
  labels: Labels,
  { B, S }: { B: number; S: number },
  problem: ProblemType = problemType(c, labels),
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

/** The problem type of a sequence classifier: the config's own, or what the number of labels and their dtype imply. */
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

/** Positions as labels among S columns: a position before the first column becomes the first, one behind the last is ignored. */
export const spanLabels = (positions: ArrayLike<number>, S: number): Int32Array =>
  Int32Array.from(positions, (at) => (at >= S ? IGNORED_LABEL : Math.max(0, at)));

/** Checks labels that name one of `count` classes. @throws InputError */
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
