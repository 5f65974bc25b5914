// Weights that no file holds: a new head on a checkpoint of a decoder, other numbers of labels, whole models of from_config, and folders
// of another class than the one that is asked for.

import { mkdtempSync, readFileSync, rmSync, writeFileSync, copyFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  afterAll,
  afterEach,
  beforeEach,
  describe,
  expect,
  type MockInstance,
  test,
  vi,
} from "vitest";
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  CheckpointError,
  InputError,
  MistralConfig,
  MistralForQuestionAnswering,
  MistralForSequenceClassification,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const folder = (model: string): string => goldenPath(`models/${model}`);
const input_ids = [[5, 9, 12, 30]];
const root = mkdtempSync(join(tmpdir(), "mistral-new-weights-"));
afterAll(() => rmSync(root, { recursive: true }));

let warn: MockInstance<typeof console.warn>;
beforeEach(() => {
  warn = vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => warn.mockRestore());

describe("a new head", () => {
  test("on a language model: drawn by the seed, with a warning and in missing_keys", async () => {
    const head = async (seed?: number): Promise<ArrayLike<number>> => {
      const { model, loading_info } = await AutoModelForSequenceClassification.from_pretrained(
        folder("base-f32"),
        { output_loading_info: true, num_labels: 4, seed },
      );
      expect(loading_info.missing_keys).toEqual(["score.weight"]);
      expect(loading_info.unexpected_keys).toEqual(["lm_head.weight"]);
      expect(model.config.num_labels).toBe(4);
      const { logits } = await model({ input_ids });
      await model.dispose();
      expect(logits.dims).toEqual([1, 4]);
      return logits.data;
    };
    const [first, again, other] = [await head(), await head(0), await head(1)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(warn).toHaveBeenCalledTimes(3);
    expect(warn.mock.calls[0][0]).toMatch(
      /score\.weight of MistralForSequenceClassification is not in the checkpoint/,
    );
  });

  test("a bias is 0, and every head of its own class draws the same numbers on any body", async () => {
    const logits = await Promise.all(
      ["base-f32", "seqcls-f32"].map(async (name) => {
        const model = await MistralForQuestionAnswering.from_pretrained(folder(name));
        const { start_logits } = await model({
          inputs_embeds: [[Array.from({ length: 64 }, () => 0)]],
        });
        await model.dispose();
        return start_logits.data[0];
      }),
    );
    expect(logits).toEqual([0, 0]); // hidden states of nothing are 0, so that only the bias is left
  });

  test("token classification on a folder of sequence classification keeps the matrix and draws the bias", async () => {
    const { model, loading_info } = await AutoModelForTokenClassification.from_pretrained(
      folder("seqcls-f32"),
      { output_loading_info: true },
    );
    expect(loading_info.missing_keys).toEqual(["score.bias"]);
    const whole = await AutoModelForSequenceClassification.from_pretrained(folder("seqcls-f32"));
    const [tokens, text] = [await model({ input_ids }), await whole({ input_ids })];
    expect([...tokens.logits.data].slice(-3)).toEqual([...text.logits.data]);
    await Promise.all([model.dispose(), whole.dispose()]);
  });

  test("without a bias where the config says so", async () => {
    const config = new MistralConfig({
      ...(JSON.parse(readFileSync(join(folder("seqcls-f32"), "config.json"), "utf8")) as object),
      token_classification_bias: false,
    });
    const { model, loading_info } = await AutoModelForTokenClassification.from_pretrained(
      folder("seqcls-f32"),
      { output_loading_info: true, config },
    );
    expect(loading_info.missing_keys).toEqual([]);
    await model.dispose();
  });

  test("is drawn on quantised bodies too, and stays plain", async () => {
    for (const name of [
      "base-bnb-nf4-dq",
      "base-bnb-int8",
      "base-gptq",
      "base-awq",
      "base-ct-w4a16",
    ]) {
      const model = await MistralForSequenceClassification.from_pretrained(folder(name), {
        num_labels: 3,
      });
      const { logits } = await model({ input_ids });
      expect(logits.data.every((x) => Number.isFinite(x) && x !== 0)).toBe(true);
      await model.dispose();
    }
  });
});

describe("labels as options", () => {
  test("other names keep the head; another number is refused, or draws a new one", async () => {
    const named = await AutoModelForSequenceClassification.from_pretrained(folder("seqcls-f32"), {
      id2label: { 0: "a", 1: "b", 2: "c" },
      problem_type: "regression",
      pad_token_id: 7,
    });
    expect(named.config.id2label).toEqual({ 0: "a", 1: "b", 2: "c" });
    expect([named.config.problem_type, named.config.pad_token_id]).toEqual(["regression", 7]);
    await named.dispose();
    expect(warn).not.toHaveBeenCalled();

    const five = { num_labels: 5 };
    const refused = AutoModelForSequenceClassification.from_pretrained(folder("seqcls-f32"), five);
    await expect(refused).rejects.toThrow(
      /score\.weight has shape \[3, 64\].*num_labels 5.*ignore_mismatched_sizes/,
    );
    const { model, loading_info } = await AutoModelForSequenceClassification.from_pretrained(
      folder("seqcls-f32"),
      { ...five, ignore_mismatched_sizes: true, output_loading_info: true },
    );
    expect(loading_info).toMatchObject({
      missing_keys: [],
      mismatched_keys: [{ key: "score.weight", checkpoint: [3, 64], model: [5, 64] }],
    });
    expect((await model({ input_ids })).logits.dims).toEqual([1, 5]);
    expect(model.config.id2label[4]).toBe("LABEL_4");
    await model.dispose();
  });

  test("that contradict each other, or the config beside them, are refused", async () => {
    const load = (options: object): Promise<unknown> =>
      AutoModelForSequenceClassification.from_pretrained(folder("seqcls-f32"), options);
    await expect(load({ num_labels: 2, id2label: { 0: "a" } })).rejects.toThrow(InputError);
    const config = new MistralConfig();
    await expect(load({ num_labels: 2, config })).rejects.toThrow(/num_labels came beside config/);
    await expect(load({ seed: -1 })).rejects.toThrow(/seed/);
  });
});

describe("a folder of another class", () => {
  test.each([
    ["seqcls-f32", "MistralForSequenceClassification", "AutoModelForSequenceClassification"],
    ["tokcls-f32", "MistralForTokenClassification", "AutoModelForTokenClassification"],
    ["qa-f32", "MistralForQuestionAnswering", "AutoModelForQuestionAnswering"],
  ])("%s opened as a language model says which class it is", async (name, own, auto) => {
    const load = AutoModelForCausalLM.from_pretrained(folder(name));
    await expect(load).rejects.toThrow(CheckpointError);
    await expect(load).rejects.toThrow(`this is a ${own}`);
    await expect(load).rejects.toThrow(`${own}.from_pretrained or ${auto}.from_pretrained`);
  });

  test("whose embedding could serve as the head is refused all the same", async () => {
    const config = JSON.parse(
      readFileSync(join(folder("seqcls-f32"), "config.json"), "utf8"),
    ) as object;
    writeFileSync(
      join(root, "config.json"),
      JSON.stringify({ ...config, tie_word_embeddings: true }),
    );
    copyFileSync(join(folder("seqcls-f32"), "model.safetensors"), join(root, "model.safetensors"));
    const load = AutoModelForCausalLM.from_pretrained(root);
    await expect(load).rejects.toThrow("this is a MistralForSequenceClassification");
  });

  test("of a body that is incomplete is refused, whatever the head", async () => {
    const config = new MistralConfig({
      ...(JSON.parse(readFileSync(join(folder("base-f32"), "config.json"), "utf8")) as object),
      num_hidden_layers: 4,
    });
    for (const Auto of [AutoModel, AutoModelForSequenceClassification]) {
      const load = Auto.from_pretrained(folder("base-f32"), { config });
      await expect(load).rejects.toThrow(/hold no model\.layers\.3/);
    }
  });
});
