// Methods of a model that examples call besides generate: to, eval, num_parameters, get_memory_footprint.

import { afterEach, beforeAll, expect, test, vi } from "vitest";
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForTokenClassification,
  type MistralForCausalLM,
  torch,
} from "../../src/index.ts";
import { countParameters } from "../../src/models/config-weights.ts";
import { MistralConfig } from "../../src/models/config.ts";
import { goldenPath } from "../golden-files.ts";

let model: MistralForCausalLM;
beforeAll(async () => {
  model = await AutoModelForCausalLM.from_pretrained(goldenPath("models/base-bf16"));
  return () => model.dispose();
});
afterEach(() => vi.restoreAllMocks());

test("to: the model itself, where and how it was loaded", () => {
  vi.spyOn(console, "warn").mockReturnValue(undefined);
  for (const device of ["cuda", "cuda:0", "cpu", "auto", 0, model.device] as const)
    expect(model.to(device)).toBe(model);
  expect(model.to("cuda", torch.bfloat16)).toBe(model);
  expect(model.to({ device: "cpu", dtype: "torch.bfloat16" }).eval()).toBe(model);
});

test.each<[string, () => unknown, RegExp]>([
  ["another backend", () => model.to("reference"), /loaded for "cpu".*device_map: "reference"/],
  ["another dtype", () => model.to(torch.float16), /kept as bfloat16.*dtype: "float16"/],
  ["an unknown name", () => model.to("flot16" as "float16"), /did you mean "float16"/],
])("to refuses %s", (_, run, message) => {
  expect(run).toThrow(
    expect.objectContaining({ name: "InputError", message: expect.stringMatching(message) }),
  );
});

// Right values: num_parameters() of Transformers 5.23 on the same folders.
test.each([
  ["AutoModel", AutoModel, "base-bf16", 170_432, 129_472],
  ["AutoModelForCausalLM", AutoModelForCausalLM, "base-bnb-nf4-dq", 211_392, 170_432],
  [
    "AutoModelForTokenClassification",
    AutoModelForTokenClassification,
    "tokcls-f32",
    127_621,
    86_661,
  ],
] as const)("num_parameters of %s", async (_, auto, name, all, others) => {
  await using loaded = await auto.from_pretrained(goldenPath(`models/${name}`));
  expect([loaded.num_parameters(), loaded.num_parameters(false, true)]).toEqual([all, others]);
});

test("a head that is tied to the embedding counts once", () => {
  const [V, H] = [32_000, 4096];
  const count = (tie_word_embeddings: boolean): number =>
    countParameters(new MistralConfig({ tie_word_embeddings }), "MistralForCausalLM", true);
  expect([count(false), count(true)]).toEqual([7_241_732_096, 7_241_732_096 - V * H]);
});

test("get_memory_footprint: two bytes a number in bfloat16", async () => {
  expect(await model.get_memory_footprint()).toBe(2 * 211_392);
});
