// Heads and losses: which column classifies a sequence, which loss labels ask for, what does not fit, and that the weights which are
// recorded are those that are looked for in a checkpoint.

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { type LeafOf, recordStep, type StepShape } from "../../src/generate/record.ts";
import { Graph, type Op } from "../../src/graph/graph.ts";
import { expectedWeights } from "../../src/models/config-weights.ts";
import type { MistralConfigOptions } from "../../src/models/config.ts";
import { headOf, type ModelClass, pooledColumn } from "../../src/models/heads.ts";
import { type Labels, lossOf, problemType, spanLabels } from "../../src/models/losses.ts";
import { plain } from "../../src/ops/dtypes.ts";
import { stepModel, tinyConfig } from "../tiny-model.ts";

const classes: readonly ModelClass[] = [
  ...(["MistralModel", "MistralForCausalLM", "MistralForSequenceClassification"] as const),
  ...(["MistralForTokenClassification", "MistralForQuestionAnswering"] as const),
];
const SHAPE: Omit<StepShape, "wants"> = {
  T: 4,
  N: 2,
  S: 1,
  P: 1,
  columns: 0,
  embeds: false,
};

describe("what is recorded", () => {
  const leaves = (modelClass: ModelClass, options: MistralConfigOptions, leafOf?: LeafOf) => {
    const config = tinyConfig({ num_labels: 3, ...options });
    const wants = headOf(modelClass, config) === undefined ? { last: true } : { logits: true };
    const model = stepModel(config, "f32", modelClass);
    const { plan } = recordStep({ ...model, ...(leafOf && { leafOf }) }, { ...SHAPE, wants });
    return { plan, expected: expectedWeights(config, modelClass) };
  };

  test.each(
    classes.flatMap((modelClass) => [
      [modelClass, { tie_word_embeddings: false }] as const,
      [modelClass, { tie_word_embeddings: true }] as const,
    ]),
  )("%s, %o: the weights that a checkpoint must hold, in their shapes", (modelClass, options) => {
    const { plan, expected } = leaves(modelClass, options);
    const recorded = [...plan.leaves.values()].filter(({ kind }) => kind === "weight");
    expect(new Map(recorded.map(({ name, shape }) => [name, shape]))).toEqual(expected);
  });

  test("a resolver says which weights are states, and an op may write those only", () => {
    const adapted = /score|layers\.1/;
    const { plan } = leaves("MistralForTokenClassification", {}, (name) => ({
      kind: adapted.test(name) ? "state" : "weight",
      dtype: adapted.test(name) ? "f32" : "bf16",
    }));
    for (const { name, kind, dtype } of plan.leaves.values()) {
      if (kind === "input" || name.startsWith("cache.")) continue;
      expect([name, kind, dtype]).toEqual(
        adapted.test(name) ? [name, "state", "f32"] : [name, "weight", "bf16"],
      );
    }
    const [{ graph }] = plan.outputs;
    const step: Op<object> = {
      ...{ name: "step", takes: [plain], gives: [], writes: [0] },
      shapes: () => [],
      run() {},
    };
    const leaf = (name: string) => graph.leaves.get(name) ?? new Graph().leaf(name, "weight", []);
    graph.emit(step, [leaf("score.bias")], {});
    expect(() => graph.emit(step, [leaf("model.norm.weight")], {})).toThrow(
      /step: input 0 is written, so it must be a state leaf/,
    );
  });

  test("the bare decoder has no logits", () => {
    const model = stepModel(tinyConfig(), "f32", "MistralModel");
    expect(() => recordStep(model, { ...SHAPE, wants: { logits: true } })).toThrow(
      new InputError("MistralModel has no head, so it gives no logits; load another class"),
    );
  });
});

test.each([
  ["padding on the right", [5, 6, 7, 0, 0], 0, 2],
  ["padding on the left", [0, 0, 5, 6, 7], 0, 4],
  ["the pad token inside", [5, 0, 7, 0, 9], 0, 4],
  ["another pad token", [5, 0, 7, 2, 2], 2, 2],
  ["nothing but padding: the first column, as argmax over zeros", [0, 0, 0, 0, 0], 0, 0],
  ["one token, at the first column", [5, 0, 0, 0, 0], 0, 0],
  ["no pad token", [5, 0, 0, 0, 0], null, 4],
  ["embeddings", undefined, 0, 4],
] as const)("the column that classifies: %s", (_, ids, pad, column) => {
  expect(pooledColumn(ids, 5, pad)).toBe(column);
});

test.each([
  [null, 1, Int32Array.of(1), "regression"],
  [null, 1, Float32Array.of(1), "regression"],
  [null, 3, Int32Array.of(1), "single_label_classification"],
  [null, 3, Float32Array.of(1), "multi_label_classification"],
  ["regression", 3, Int32Array.of(1), "regression"],
  ["single_label_classification", 1, Float32Array.of(1), "single_label_classification"],
] as const)(
  "problem_type %s with %i labels and %o is %s",
  (problem_type, num_labels, labels, expected) => {
    expect(problemType({ problem_type, num_labels }, labels)).toBe(expected);
  },
);

test("positions of spans: before the first column the first, behind the last ignored", () => {
  expect([...spanLabels([-5, 0, 3, 4, 200], 4)]).toEqual([0, 0, 3, -100, -100]);
});

describe("labels that do not fit", () => {
  const [B, S] = [2, 3];
  const hint = "; are problem_type and num_labels in config.json right?";
  test.each<[ModelClass, MistralConfigOptions, Labels, string]>([
    [
      "MistralModel",
      {},
      new Int32Array(6),
      "MistralModel has no head, so labels judge nothing; load another class",
    ],
    [
      "MistralForCausalLM",
      {},
      new Int32Array(5),
      `labels: 5 int32 numbers came, expected int32 [2, 3]`,
    ],
    [
      "MistralForCausalLM",
      {},
      Int32Array.of(1, 2, 3, 4, 5, 11),
      "labels: 11: expected classes from 0 to 10, or −100 (ignored)",
    ],
    [
      "MistralForTokenClassification",
      {},
      Int32Array.of(0, 1, 2, 3, -100, 0),
      "labels: 3: expected classes from 0 to 2, or −100 (ignored)",
    ],
    [
      "MistralForTokenClassification",
      {},
      new Float32Array(6),
      `labels: 6 float32 numbers came, expected int32 [2, 3]`,
    ],
    [
      "MistralForSequenceClassification",
      {},
      Int32Array.of(0, -1),
      "labels: -1: expected classes from 0 to 2, or −100 (ignored)",
    ],
    [
      "MistralForSequenceClassification",
      { problem_type: "regression" },
      new Int32Array(6),
      `labels: 6 int32 numbers came, expected float32 [2, 3] for regression${hint}`,
    ],
    [
      "MistralForSequenceClassification",
      {},
      new Float32Array(2),
      `labels: 2 float32 numbers came, expected float32 [2, 3] for multi_label_classification${hint}`,
    ],
    [
      "MistralForQuestionAnswering",
      {},
      new Int32Array(2),
      `labels: 2 int32 numbers came, expected int32 [2, 2]`,
    ],
  ])("%s %o %o", (modelClass, options, labels, message) => {
    const config = tinyConfig({ num_labels: 3, ...options });
    expect(() => lossOf(modelClass, config, labels, { B, S })).toThrow(new InputError(message));
  });
});
