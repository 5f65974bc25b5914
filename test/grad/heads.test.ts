// Losses of the classification heads and their gradients: those of Transformers (PyTorch, f32) in padded batches, of which only the
// real tokens are rows here; and of question answering, which has no stored gradients, the finite differences.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { grad } from "../../src/graph/grad.ts";
import type { Leaf } from "../../src/graph/graph.ts";
import { MistralConfig, type MistralConfigOptions } from "../../src/models/config.ts";
import { type ModelClass, pooledColumn } from "../../src/models/heads.ts";
import { type Loss, lossOf } from "../../src/models/losses.ts";
import { ropeAngles } from "../../src/models/rope.ts";
import { add } from "../../src/ops/add.ts";
import { IGNORED_LABEL } from "../../src/ops/cross-entropy.ts";
import { evaluator } from "../graph/evaluate.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";
import { packedInputs, recordPacked, seededWeights, tinyConfig } from "../tiny-model.ts";
import { gradientErrors, TOLERANCE } from "./difference.ts";

/** goldens-training/README.md: of losses, and of gradients relative to the largest of the tensor. */
const LOSS_TOLERANCE = 1e-5;
const GRADIENT_TOLERANCE = 1e-4;

const names = [
  ...["single_label_classification", "multi_label_classification", "regression"].flatMap(
    (problem) => ["left", "right"].map((side) => `${problem}-${side}-padding`),
  ),
  "token-classification",
];

describe("classification", () => {
  test.each(names)("%s", (name) => {
    const { model, loss } = goldenJson<{ model: string; loss: number }>(
      `goldens-training/gradients/${name}.json`,
    );
    const golden = readSafetensors(goldenPath(`goldens-training/gradients/${name}.safetensors`));
    const folder = goldenPath(`goldens-training/${model}`);
    const config = new MistralConfig(
      JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as MistralConfigOptions,
    );
    const [modelClass] = config.architectures as ModelClass[];
    const batch = (key: string): number[] => Array.from(golden.get(key)?.data ?? []);
    const [B, S] = golden.get("input_ids")?.shape ?? [];
    const [ids, mask, given] = ["input_ids", "attention_mask", "labels"].map(batch);
    const isClass = golden.get("labels")?.dtype === "I32";
    const labels = isClass ? Int32Array.from(given) : Float32Array.from(given);
    const perToken = modelClass === "MistralForTokenClassification";

    // Rows are the real tokens; a row is wanted when it is judged.
    const places = mask.flatMap((real, place) => (real === 1 ? [place] : []));
    const judged = perToken
      ? [...places.keys()].filter((t) => given[places[t]] !== IGNORED_LABEL)
      : Array.from({ length: B }, (_, b) => {
          const row = ids.slice(b * S, (b + 1) * S);
          return places.indexOf(b * S + pooledColumn(row, S, config.pad_token_id));
        });
    const chosen = lossOf(modelClass, config, labels, { B, S });
    const T = places.length;
    const { graph, losses, weights } = recordPacked(config, T, { modelClass, loss: chosen });
    const seed = graph.leaf("seed", "input", [T], "f32", "wanted");
    const at = places.map((place) => place % S);
    const numbers: Record<string, ArrayLike<number>> = {
      ...checkpoint(folder),
      ...ropeAngles(config, at),
      ...{ at, ids: places.map((place) => ids[place]), want: judged },
      seq: places.map((place) => Math.floor(place / S)),
      labels: perToken ? judged.map((t) => given[places[t]]) : given,
      seed: judged.map(() => 1 / judged.length),
    };
    const wrt = [...weights.keys()].flatMap((weight) => graph.leaves.get(weight) ?? []);
    const gradients = grad([[losses, seed]], wrt, add).flatMap((d) => d ?? []);
    expect(gradients).toHaveLength(wrt.length);
    const live = { rows: T, wanted: judged.length };
    const [each, ...ours] = evaluator(graph, [losses, ...gradients])(numbers, live);

    const mean = each.reduce((sum, x) => sum + x, 0) / judged.length;
    expect(Math.abs(mean / loss - 1)).toBeLessThan(LOSS_TOLERANCE);
    const stored = wrt.filter(({ name: weight }) => golden.has(`grad.${weight}`));
    expect(stored.length).toBeGreaterThan(1);
    for (const leaf of stored) {
      const theirs = batch(`grad.${leaf.name}`);
      const scale = Math.max(...theirs.map(Math.abs));
      const got = ours[wrt.indexOf(leaf)];
      const worst = Math.max(...theirs.map((d, i) => Math.abs(got[i] - d)));
      expect([leaf.name, worst / scale < GRADIENT_TOLERANCE]).toEqual([leaf.name, true]);
    }
  });
});

function checkpoint(folder: string): Record<string, Float64Array> {
  const file = readSafetensors(`${folder}/model.safetensors`);
  return Object.fromEntries([...file].map(([name, { data }]) => [name, Float64Array.from(data)]));
}

test("question answering: all gradients of the spans' losses are finite differences", () => {
  const config = tinyConfig();
  const sequences = [
    [1, 4, 7, 2],
    [1, 3, 3, 9],
  ];
  const [B, S] = [2, 4];
  const loss: Loss = { kind: "spans", B, S };
  const modelClass = "MistralForQuestionAnswering";
  const T = B * S;
  const { graph, losses, weights } = recordPacked(config, T, { modelClass, loss });
  const seed = graph.leaf("seed", "input", [B * 2]);
  const numbers = {
    ...packedInputs(config, sequences),
    ...seededWeights(weights, 5),
    ...{ labels: [0, 3, IGNORED_LABEL, 2], seed: [0.5, 0.25, 0.7, 0.25] },
  };
  const wrt = [...weights.keys()].map((name) => graph.leaves.get(name) as Leaf);
  expect(wrt.map(({ name }) => name)).toContain("qa_outputs.bias");
  const live = { rows: T, wanted: T };
  const errors = gradientErrors(graph, [[losses, seed]], wrt, numbers, live);
  for (const { name } of wrt) expect([name, errors[name] < TOLERANCE]).toEqual([name, true]);
});
