// save_pretrained of models: what is written gives the same bits when it is loaded, of every class and every way of keeping weights;
// and a save that fails or is stopped leaves the folder as it was.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  AutoModelForQuestionAnswering,
  BitsAndBytesConfig,
  InputError,
  MistralConfig,
  MistralForCausalLM,
  type MistralModel,
  quantize,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";
import { readSafetensors } from "../safetensors-file.ts";

const root = mkdtempSync(join(tmpdir(), "mistral-save-"));
const out = join(root, "out");
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => rmSync(out, { recursive: true, force: true }));

const folder = (model: string): string => goldenPath(`models/${model}`);
const input_ids = [Array.from({ length: 30 }, (_, i) => 1 + ((i * 37) % 600))];
const configOf = (dir: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as Record<string, unknown>;

type Loader = { from_pretrained(dir: string, options?: object): Promise<unknown> };
type Any = {
  forward(inputs: object): Promise<object>;
  save_pretrained: MistralModel["save_pretrained"];
  dispose(): Promise<void>;
};

/** All tensors that a forward call gives, as plain arrays. */
async function results(
  Auto: Loader,
  dir: string,
  options: object = {},
  save?: string,
): Promise<unknown> {
  const model = (await Auto.from_pretrained(dir, { threads: 1, ...options })) as Any;
  const given = await model.forward({ input_ids, use_cache: false });
  if (save !== undefined) await model.save_pretrained(save);
  await model.dispose();
  return JSON.parse(JSON.stringify(given));
}

describe("the same bits after loading", () => {
  const nf4 = new BitsAndBytesConfig({
    load_in_4bit: true,
    bnb_4bit_quant_type: "nf4",
    bnb_4bit_use_double_quant: true,
    bnb_4bit_compute_dtype: "bfloat16",
  });
  const cases: readonly [string, Loader, string, object][] = [
    ["a language model", AutoModelForCausalLM, "base-f32", {}],
    ["tied weights", AutoModelForCausalLM, "v03-f32", {}],
    ["bfloat16", AutoModelForCausalLM, "base-bf16", {}],
    ["another dtype than the file's", AutoModelForCausalLM, "base-f32", { dtype: "float16" }],
    ["the bare decoder", AutoModel, "base-f32", {}],
    ["a classifier of texts", AutoModelForSequenceClassification, "seqcls-f32", {}],
    ["a classifier of tokens", AutoModelForTokenClassification, "tokcls-f32", {}],
    ["a question answerer", AutoModelForQuestionAnswering, "qa-f32", {}],
    ["nf4 from a file", AutoModelForCausalLM, "base-bnb-nf4-dq", {}],
    ["int8 from a file", AutoModelForCausalLM, "base-bnb-int8", {}],
    ["nf4 while loading", AutoModelForCausalLM, "base-f32", { quantization_config: nf4 }],
    [
      "fp4 while loading",
      AutoModelForCausalLM,
      "base-f32",
      { quantization_config: { load_in_4bit: true } },
    ],
    [
      "int8 while loading",
      AutoModelForCausalLM,
      "base-f32",
      { quantization_config: { load_in_8bit: true } },
    ],
    ["q4", AutoModelForCausalLM, "base-f32", { quantization_config: { method: "q4" } }],
    [
      "q8 of tied weights",
      AutoModelForCausalLM,
      "v03-f32",
      { quantization_config: { method: "q8" } },
    ],
    [
      "a plain head on q4",
      AutoModelForSequenceClassification,
      "seqcls-f32",
      { quantization_config: { method: "q4" } },
    ],
    [
      "a plain head on nf4",
      AutoModelForTokenClassification,
      "tokcls-f32",
      { quantization_config: nf4 },
    ],
    [
      "a plain head on int8",
      AutoModelForQuestionAnswering,
      "qa-f32",
      { quantization_config: { load_in_8bit: true } },
    ],
  ];
  test.each(cases)("%s", async (_, Auto, name, options) => {
    const before = await results(Auto, folder(name), options, out);
    // The saved folder says all that the options said.
    expect(await results(Auto, out)).toEqual(before);
    expect(existsSync(join(out, "generation_config.json"))).toBe(Auto === AutoModelForCausalLM);
    expect(readdirSync(out).filter((file) => file.includes("partial"))).toEqual([]);
  });

  test("on the reference device too", async () => {
    const device = { device: "reference" };
    const before = await results(AutoModelForCausalLM, folder("base-bnb-nf4-dq"), device, out);
    expect(await results(AutoModelForCausalLM, out, device)).toEqual(before);
  });

  test("a GGUF file is dequantised, as in Transformers", async () => {
    const gguf = {
      gguf_file: readdirSync(folder("base-gguf")).find((file) => file.endsWith(".gguf")),
    };
    const before = (await results(AutoModelForCausalLM, folder("base-gguf"), gguf, out)) as {
      logits: number[][][];
    };
    const after = (await results(AutoModelForCausalLM, out)) as { logits: number[][][] };
    const worst = after.logits.flat(2).map((x, i) => Math.abs(x - before.logits.flat(2)[i]));
    expect(Math.max(...worst)).toBeLessThan(2e-4);
    expect(configOf(out)).not.toHaveProperty("quantization_config");
  });
});

describe("what is written", () => {
  test("is what the checkpoint holds, tensor by tensor", async () => {
    for (const name of ["base-f32", "base-bnb-nf4-dq", "base-bnb-int8"]) {
      const model = await AutoModelForCausalLM.from_pretrained(folder(name));
      await model.save_pretrained(out);
      await model.dispose();
      const [saved, given] = [out, folder(name)].map((dir) =>
        readSafetensors(join(dir, "model.safetensors")),
      );
      expect([...saved.keys()].toSorted()).toEqual([...given.keys()].toSorted());
      for (const [key, { data, dtype }] of given) {
        if (key.includes("quant_state")) continue; // JSON, padded with spaces
        expect([key, saved.get(key)?.dtype]).toEqual([key, dtype]);
        expect(
          [...(saved.get(key)?.data ?? [])].map((x) => x + 0),
          key,
        ).toEqual([...data].map((x) => x + 0));
      }
    }
  });

  test("is what quantize() writes", async () => {
    const model = await AutoModelForCausalLM.from_pretrained(folder("base-f32"), {
      quantization_config: { method: "q4" },
    });
    await model.save_pretrained(out);
    await model.dispose();
    await quantize(folder("base-f32"), join(root, "quantised"), { method: "q4", force: true });
    const file = "model.safetensors";
    expect(readFileSync(join(out, file)).equals(readFileSync(join(root, "quantised", file)))).toBe(
      true,
    );
    expect(configOf(out).quantization_config).toEqual(
      configOf(join(root, "quantised")).quantization_config,
    );
  });

  test("quantize() keeps the head of a classifier", async () => {
    await quantize(folder("seqcls-f32"), out, { method: "q4" });
    const options = { quantization_config: { method: "q4" } };
    expect(await results(AutoModelForSequenceClassification, out)).toEqual(
      await results(AutoModelForSequenceClassification, folder("seqcls-f32"), options),
    );
  });

  test("config.json says class, dtype and labels; names of the bare decoder have no prefix", async () => {
    const model = await AutoModelForSequenceClassification.from_pretrained(folder("seqcls-f32"), {
      dtype: "float16",
      id2label: { 0: "bad", 1: "so so", 2: "good" },
    });
    await model.save_pretrained(out);
    await model.dispose();
    expect(configOf(out)).toMatchObject({
      architectures: ["MistralForSequenceClassification"],
      dtype: "float16",
      id2label: { 0: "bad", 1: "so so", 2: "good" },
      model_type: "mistral",
    });
    const bare = await AutoModel.from_pretrained(folder("base-f32"));
    await bare.save_pretrained(out);
    await bare.dispose();
    expect([...readSafetensors(join(out, "model.safetensors")).keys()]).toContain(
      "layers.0.mlp.up_proj.weight",
    );
    expect(configOf(out).architectures).toEqual(["MistralModel"]);
  });

  test("shards with an index; a later save removes what it replaces, and nothing else", async () => {
    const model = await AutoModelForCausalLM.from_pretrained(folder("base-f32"));
    const before = await model({ input_ids });
    mkdirSync(out);
    writeFileSync(join(out, "tokenizer.json"), "{}");
    await model.save_pretrained(out, { max_shard_size: "200KB" });
    const shards = readdirSync(out).filter((file) => file.endsWith(".safetensors"));
    expect(shards.length).toBeGreaterThan(2);
    const index = JSON.parse(readFileSync(join(out, "model.safetensors.index.json"), "utf8")) as {
      weight_map: Record<string, string>;
    };
    expect([...new Set(Object.values(index.weight_map))].toSorted()).toEqual(shards);
    const again = await AutoModelForCausalLM.from_pretrained(out);
    expect((await again({ input_ids })).logits.data).toEqual(before.logits.data);
    // The folder from which a model was loaded may be written.
    await again.save_pretrained(out, { max_shard_size: 300_000 });
    expect(readdirSync(out).filter((file) => file.endsWith(".safetensors")).length).toBeLessThan(
      shards.length,
    );
    await again.save_pretrained(out, { max_shard_size: "0.2 GiB" });
    await again.save_pretrained(out, { variant: "fp32", max_shard_size: "200KB" });
    await again.dispose();
    const files = readdirSync(out);
    expect(files).toEqual(
      expect.arrayContaining([
        "tokenizer.json",
        "model.safetensors",
        "model.safetensors.index.fp32.json",
      ]),
    );
    expect(files).not.toContain("model.safetensors.index.json");
    expect(files.filter((file) => file.startsWith("model.fp32-00001-of-"))).toHaveLength(1);
    for (const options of [{}, { variant: "fp32" }]) {
      const saved = await AutoModelForCausalLM.from_pretrained(out, options);
      expect((await saved({ input_ids })).logits.data).toEqual(before.logits.data);
      await saved.dispose();
    }
    await model.dispose();
  });
});

describe("from_config", () => {
  const config = new MistralConfig({
    ...{ vocab_size: 640, hidden_size: 64, intermediate_size: 160, num_hidden_layers: 2 },
    ...{ num_attention_heads: 4, num_key_value_heads: 2, pad_token_id: 3, num_labels: 3 },
    ...{ initializer_range: 0.05 },
  });

  test("draws weights as Transformers does, the same for the same seed on every device", async () => {
    const model = await MistralForCausalLM.from_config(config, { seed: 5 });
    await model.save_pretrained(out);
    const { logits } = await model({ input_ids });
    const text = await model.generate({ input_ids, max_new_tokens: 3 });
    expect(text.dims).toEqual([1, 33]);
    await model.dispose();
    const weights = readSafetensors(join(out, "model.safetensors"));
    for (const [name, { data, shape }] of weights) {
      const numbers = [...data];
      if (shape.length === 1) {
        expect(new Set(numbers), name).toEqual(new Set([1]));
        continue;
      }
      const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
      const deviation = Math.sqrt(
        numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length,
      );
      // Five standard errors; the embedding has one row of zeros in 640.
      expect(Math.abs(mean), name).toBeLessThan((5 * 0.05) / Math.sqrt(numbers.length));
      expect(Math.abs(deviation / 0.05 - 1), name).toBeLessThan(
        5 / Math.sqrt(2 * numbers.length) + 1e-3,
      );
      expect(Math.max(...numbers.map(Math.abs))).toBeGreaterThan(0.05 * 3);
    }
    const embedding = weights.get("model.embed_tokens.weight")?.data ?? [];
    expect(new Set([...embedding].slice(3 * 64, 4 * 64))).toEqual(new Set([0]));
    const names = [...weights.keys()];
    expect(weights.get(names[2])?.data).not.toEqual(weights.get(names[3])?.data);

    const reference = await AutoModelForCausalLM.from_config(config, {
      seed: 5,
      device: "reference",
    });
    const same = await reference({ input_ids });
    await reference.dispose();
    const worst = logits.data.map((x, i) => Math.abs(x - same.logits.data[i]));
    expect(Math.max(...worst)).toBeLessThan(1e-4);
    const other = await AutoModelForCausalLM.from_config(config, { seed: 6 });
    expect((await other({ input_ids })).logits.data).not.toEqual(logits.data);
    await other.dispose();
  });

  test("of every class, in another dtype, quantised", async () => {
    for (const [Auto, options, dims] of [
      [AutoModelForSequenceClassification, { dtype: "bfloat16" }, [1, 3]],
      [AutoModelForTokenClassification, { quantization_config: { method: "q8" } }, [1, 30, 3]],
    ] as const) {
      const model = await Auto.from_config(config, options);
      expect(model.dtype).toBe("dtype" in options ? "bfloat16" : "float32");
      const { logits } = await model({ input_ids });
      expect(logits.dims).toEqual(dims);
      await model.save_pretrained(out);
      await model.dispose();
      const again = await Auto.from_pretrained(out);
      expect((await again({ input_ids })).logits.data).toEqual(logits.data);
      await again.dispose();
    }
    const bare = await AutoModel.from_config(config);
    expect((await bare({ input_ids })).last_hidden_state.dims).toEqual([1, 30, 64]);
    await bare.dispose();
  });

  test("refuses what is no config, and options of a checkpoint's files", async () => {
    const call = (...args: unknown[]): Promise<unknown> =>
      (AutoModel.from_config as (...a: unknown[]) => Promise<unknown>)(...args);
    await expect(call({ hidden_size: 64 })).rejects.toThrow(/expected a MistralConfig/);
    await expect(call(config, { subfolder: "a" })).rejects.toThrow(/unknown option "subfolder"/);
    await expect(call(new MistralConfig({ hidden_size: 65 }))).rejects.toThrow(InputError);
  });
});

describe("a save that does not end", () => {
  const listing = (): [string, number][] =>
    readdirSync(out)
      .toSorted()
      .map((file) => [file, readFileSync(join(out, file)).length]);

  test("stopped, or stopped by a progress function that throws: the folder is as before", async () => {
    const model = await AutoModelForCausalLM.from_pretrained(folder("base-f32"));
    const stop = new AbortController();
    const stopped = model.save_pretrained(out, {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    await expect(stopped).rejects.toThrow("enough");
    expect(existsSync(out)).toBe(false);

    await model.save_pretrained(out, { max_shard_size: "200KB" });
    const before = listing();
    const failing = model.save_pretrained(out, {
      max_shard_size: "100KB",
      onProgress: ({ saved, total }) => {
        if (saved > total / 2) throw new Error("no more");
      },
    });
    await expect(failing).rejects.toThrow("no more");
    expect(listing()).toEqual(before);
    await model.dispose();
    await expect(model.save_pretrained(out)).rejects.toThrow(/disposed/);
    expect(listing()).toEqual(before);
  });

  test("what cannot be saved is refused before anything is written", async () => {
    for (const name of ["base-gptq", "base-gptq-desc-act", "base-awq", "base-ct-w4a16"]) {
      const model = await AutoModelForCausalLM.from_pretrained(folder(name));
      await expect(model.save_pretrained(out)).rejects.toThrow(
        /read here but not written; copy the folder/,
      );
      await model.dispose();
    }
    const model = await AutoModelForCausalLM.from_pretrained(folder("base-f32"));
    const file = join(root, "file");
    writeFileSync(file, "");
    for (const [dir, options, message] of [
      [out, { push_to_hub: true }, /push_to_hub: models are not uploaded from here/],
      [out, { max_shard_size: "many" }, /max_shard_size: "many"/],
      [out, { max_shard_size: 0 }, /max_shard_size/],
      [out, { max_shard_sizes: 1 } as object, /did you mean "max_shard_size"/],
      [out, { variant: "../x" }, /variant/],
      [out, { safe_serialization: false }, /pickle/],
      [file, {}, /is a file/],
      ["", {}, /no path/],
    ] as const) {
      await expect(model.save_pretrained(dir, options)).rejects.toThrow(message);
    }
    await expect(model.push_to_hub("me/model")).rejects.toThrow(/not uploaded/);
    expect(existsSync(out)).toBe(false);
    await model.dispose();
  });
});
