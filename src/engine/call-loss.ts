// The loss of one forward call: which places have a label, which labels each step gets, and the mean of the rows' losses.
// A place is row b and column i of [B, S]. Knows no padding and no steps.

import type { MistralConfig } from "../models/config.ts";
import type { ModelClass } from "../models/heads.ts";
import { type Labels, type Loss, lossOf, spanLabels } from "../models/losses.ts";
import { IGNORED_LABEL } from "../ops/cross-entropy.ts";
import type { ForwardRequest } from "./messages.ts";

type Place = { readonly b: number; readonly i: number };

export type CallLoss = {
  /** What steps record. */
  readonly loss: Loss;
  /** Whether that place has a label, so that the loss needs its logits. */
  judges(place: Place): boolean;
  /** The input `labels` of a step whose wanted rows stand at these places. */
  labels(wanted: readonly Place[]): Labels;
  /** Adds that step's losses. */
  take(wanted: readonly Place[], losses: Float32Array): void;
  /** NaN when no place had a label, as in PyTorch. */
  mean(): number;
};

/**
 * The loss that a request asks for, if it has labels.
 * @param pooled in sequence classification: the column of each row that classifies it
 * @throws InputError labels that do not fit the model class
 */
export function callLoss(
  request: ForwardRequest,
  c: MistralConfig,
  modelClass: ModelClass,
  pooled: readonly number[] | undefined,
): CallLoss | undefined {
  const { labels, S, numItems } = request;
  if (labels === undefined) return undefined;
  const loss = lossOf(modelClass, c, labels, request, request.problemType);
  if (loss.kind === "spans") return spanLoss(loss, spanLabels(labels, S), numItems);
  if (loss.kind !== "cross_entropy") return targetLoss(loss, labels, pooled ?? []);
  return classLoss(({ b, i }) => {
    if (pooled !== undefined) return pooled[b] === i ? labels[b] : IGNORED_LABEL;
    if (modelClass === "MistralForTokenClassification") return labels[b * S + i];
    return i + 1 < S ? labels[b * S + i + 1] : IGNORED_LABEL; // a row predicts the next column's token
  }, numItems);
}

/** Cross-entropy: each place has one class as its label. */
function classLoss(labelOf: (place: Place) => number, numItems: number | undefined): CallLoss {
  let [sum, count] = [0, 0];
  const judges = (place: Place): boolean => labelOf(place) !== IGNORED_LABEL;
  return {
    loss: { kind: "cross_entropy" },
    judges,
    labels: (wanted) => Int32Array.from(wanted, labelOf),
    take(wanted, losses) {
      for (const [n, place] of wanted.entries()) {
        if (!judges(place)) continue;
        sum += losses[n];
        count++;
      }
    },
    mean: () => sum / (numItems ?? count),
  };
}

/** The loss between the pooled row of each sequence and K targets. `numItems` does not matter: PyTorch divides by all of them. */
function targetLoss(loss: Loss, targets: Labels, pooled: readonly number[]): CallLoss {
  const K = targets.length / pooled.length;
  let sum = 0;
  const judges = ({ b, i }: Place): boolean => pooled[b] === i;
  return {
    loss,
    judges,
    labels(wanted) {
      const rows = new Float32Array(wanted.length * K);
      for (const [n, { b }] of wanted.entries())
        rows.set(targets.subarray(b * K, (b + 1) * K), n * K);
      return rows;
    },
    take(wanted, losses) {
      for (const [n, place] of wanted.entries()) if (judges(place)) sum += losses[n];
    },
    mean: () => sum / pooled.length,
  };
}

/** Question answering: start and end are classes over a sequence's columns. The mean of both losses. */
function spanLoss(loss: Loss, labels: Int32Array, numItems: number | undefined): CallLoss {
  let mean = NaN;
  return {
    loss,
    judges: () => true,
    labels: () => labels,
    take(_wanted, losses) {
      const side = (start: 0 | 1): number => {
        const own = (_: number, n: number): boolean => n % 2 === start;
        const count = labels.filter((label, n) => own(label, n) && label !== IGNORED_LABEL).length;
        return losses.filter(own).reduce((sum, x) => sum + x, 0) / (numItems ?? count);
      };
      mean = (side(0) + side(1)) / 2;
    },
    mean: () => mean,
  };
}
