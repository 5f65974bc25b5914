// quantize(): what it writes is what loading quantises to, and what bitsandbytes writes; it is there complete or not at all.

import {
  cpSync,
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
  AutoModelForCausalLM,
  AutoTokenizer,
  BitsAndBytesConfig,
  CheckpointError,
  defaultModel,
  InputError,
  type QuantizationMethod,
  quantize,
} from "../../src/index.ts";
import { saveSafetensors } from "../../src/checkpoint/save-safetensors.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath } from "../golden-files.ts";

const base = goldenPath("models/base-f32");
const root = mkdtempSync(join(tmpdir(), "quantize-test-"));
const out = join(root, "out");
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => rmSync(out, { recursive: true, force: true }));

const ids = Array.from({ length: 70 }, (_, i) => 1 + ((i * 37) % 600));

async function logits(dir: string, options: object = {}): Promise<Float32Array> {
  const model = await AutoModelForCausalLM.from_pretrained(dir, { threads: 1, ...options });
  try {
    return (await model.forward({ input_ids: ids })).logits.data as Float32Array;
  } finally {
    await model.dispose();
  }
}

const asked: Readonly<Record<QuantizationMethod, object>> = {
  nf4: new BitsAndBytesConfig({ load_in_4bit: true, bnb_4bit_quant_type: "nf4" }),
  "nf4-dq": new BitsAndBytesConfig({
    ...{ load_in_4bit: true, bnb_4bit_quant_type: "nf4", bnb_4bit_use_double_quant: true },
  }),
  fp4: new BitsAndBytesConfig({ load_in_4bit: true }),
  "fp4-dq": new BitsAndBytesConfig({ load_in_4bit: true, bnb_4bit_use_double_quant: true }),
  int8: new BitsAndBytesConfig({ load_in_8bit: true }),
  q4: { method: "q4" },
  q8: { method: "q8" },
};

/** Everything but the weights, by name. */
const settingsOf = (dir: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as Record<string, unknown>;

describe.each(Object.keys(asked) as QuantizationMethod[])("%s", (method) => {
  test("a quantised folder gives the bits of quantising while loading, of a tied model too", async () => {
    for (const dir of [base, await defaultModel()]) {
      await quantize(dir, out, { method, force: true });
      const [saved, loaded] = [
        await logits(out),
        await logits(dir, { quantization_config: asked[method] }),
      ];
      expect(saved).toEqual(loaded);
      expect(saved).not.toEqual(await logits(dir));
    }
  });
});

test.each([
  ["nf4-dq", "base-bnb-nf4-dq"],
  ["int8", "base-bnb-int8"],
] as const)("%s: the tensors that bitsandbytes and Transformers wrote", async (method, golden) => {
  await quantize(base, out, { method });
  const [ours, theirs] = [out, goldenPath(`models/${golden}`)].map((dir) =>
    readSafetensors(join(dir, "model.safetensors")),
  );
  expect([...ours.keys()].toSorted()).toEqual([...theirs.keys()].toSorted());
  for (const [name, { dtype, shape, data }] of theirs) {
    const found = ours.get(name);
    if (name.includes("quant_state")) {
      const [a, b] = [found?.data, data].map((bytes) =>
        JSON.parse(new TextDecoder().decode(bytes as Uint8Array)),
      );
      expect({ name, state: a }).toEqual({ name, state: b });
    } else expect({ name, ...found }).toEqual({ name, dtype, shape, data });
  }
  const [settings, expected] = [out, goldenPath(`models/${golden}`)].map(
    (dir) => settingsOf(dir).quantization_config,
  );
  expect(settings).toEqual(expected);
});

test("q4: matrices as bytes with their shapes, the head in 6 bits, the rest as it was", async () => {
  const steps: number[] = [];
  const result = await quantize(base, out, {
    method: "q4",
    onProgress: ({ loaded, total }) => steps.push(loaded / total),
  });
  expect(result).toMatchObject({ path: out, files: ["model.safetensors"] });
  expect(steps).toEqual(steps.toSorted((a, b) => a - b));
  expect(steps.at(-1)).toBe(1);
  const tensors = readSafetensors(join(out, "model.safetensors"));
  const q = "model.layers.0.self_attn.q_proj.weight";
  expect(tensors.get(q)).toMatchObject({ dtype: "U8", shape: [(64 / 8) * (64 / 32) * 136] });
  expect(tensors.get(`${q}.q4r_shape`)).toMatchObject({
    dtype: "I32",
    data: Int32Array.of(64, 64),
  });
  expect(tensors.get("lm_head.weight")?.shape).toEqual([(640 / 8) * (64 / 32) * 200]);
  expect(tensors.get(`${q}.q4r_scales`)).toMatchObject({ dtype: "F32", shape: [64] });
  expect(tensors.get("lm_head.weight.q6r_shape")?.data).toEqual(Int32Array.of(640, 64));
  expect(tensors.get("model.embed_tokens.weight")).toMatchObject({
    dtype: "F32",
    shape: [640, 64],
  });
  const bytes = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  expect(result.bytes).toBe(bytes);
  const { quantization_config, ...others } = settingsOf(out);
  expect(quantization_config).toEqual({
    ...{ quant_method: "mistral_q4", version: 2, compute_dtype: "int8" },
  });
  expect(others).toEqual(settingsOf(base));
});

test("a tied matrix is q6r and serves as table and head; tokenizer and notice come along", async () => {
  await quantize(await defaultModel(), out, { method: "q4" });
  const files = readdirSync(out);
  expect(files).toEqual(expect.arrayContaining(["NOTICE", "generation_config.json"]));
  const [a, b] = [
    await AutoTokenizer.from_pretrained(out),
    await AutoTokenizer.from_pretrained(await defaultModel()),
  ];
  expect(a("A story.").input_ids).toEqual(b("A story.").input_ids);
  const names = [...readSafetensors(join(out, "model.safetensors")).keys()];
  expect(names).toContain("model.embed_tokens.weight.q6r_shape");
  expect(names.filter((name) => name.startsWith("lm_head"))).toEqual([]);
});

test("several files with an index, whatever falls into which", async () => {
  const { files } = await quantize(base, out, { method: "nf4-dq", max_shard_size: 30_000 });
  expect(files.length).toBeGreaterThan(3);
  expect(readdirSync(out)).toContain("model.safetensors.index.json");
  const sharded = await logits(out);
  await quantize(base, out, { method: "nf4-dq", force: true });
  expect(readdirSync(out)).not.toContain("model.safetensors.index.json");
  expect(sharded).toEqual(await logits(out));
});

describe("complete or not at all", () => {
  test("a folder that is there is refused and stays; with force a checkpoint is replaced whole", async () => {
    await quantize(base, out, { method: "nf4" });
    const before = readdirSync(out);
    writeFileSync(join(out, "model-00002-of-00002.safetensors"), "old");
    await expect(quantize(base, out, { method: "q8" })).rejects.toThrow(/exists already/);
    await quantize(base, out, { method: "q8", force: true });
    expect(readdirSync(out)).toEqual(before);
    expect(readdirSync(root)).toEqual(["out"]);
  });

  test("what is no checkpoint is not replaced, even with force", async () => {
    const force = true;
    mkdirSync(join(out, "project"), { recursive: true });
    for (const name of ["mine.txt", "notes.md", "thesis.tex"]) writeFileSync(join(out, name), "x");
    const before = readdirSync(out);
    await expect(quantize(base, out, { method: "q8", force })).rejects.toThrow(
      /holds more than a checkpoint's files \(mine\.txt, notes\.md, project and 1 more\), which would be lost/,
    );
    expect(readdirSync(out)).toEqual(before);
    // The folder above the model, such as "." where the model lies.
    const model = join(out, "project", "model");
    cpSync(base, model, { recursive: true });
    for (const above of [out, join(out, "project")])
      await expect(quantize(model, above, { method: "q8", force })).rejects.toThrow(/be lost/);
    const file = quantize(base, join(out, "mine.txt"), { method: "q8", force });
    await expect(file).rejects.toThrow(/is no folder/);
    expect(readdirSync(model)).toEqual(readdirSync(base));
  });

  test.each([0, 0.5])(
    "stopped at %d of it, nothing stays, and what was there does",
    async (share) => {
      mkdirSync(out);
      const controller = new AbortController();
      const stop = (): void => controller.abort(new Error("enough"));
      if (share === 0) stop();
      const run = quantize(base, out, {
        ...{ method: "nf4", force: true, signal: controller.signal },
        onProgress: ({ loaded, total }) => (loaded > share * total ? stop() : undefined),
      });
      await expect(run).rejects.toThrow("enough");
      expect(readdirSync(root)).toEqual(["out"]);
      expect(readdirSync(out)).toEqual([]);
    },
  );

  test("a weight that is not finite stops it, by name", async () => {
    const damaged = join(root, "damaged");
    cpSync(base, damaged, { recursive: true });
    const tensors = readSafetensors(join(base, "model.safetensors"));
    tensors.get("model.layers.1.mlp.up_proj.weight")?.data.fill(NaN, 1000, 1001);
    rmSync(join(damaged, "model.safetensors"));
    await saveSafetensors(
      join(damaged, "model.safetensors"),
      [...tensors].map(([name, { dtype, shape, data }]) => ({
        ...{ name, dtype, shape },
        data: () => [new Uint8Array(data.buffer)],
      })),
    );
    for (const method of ["q4", "nf4", "int8"] as const)
      await expect(quantize(damaged, out, { method })).rejects.toThrow(CheckpointError);
    rmSync(damaged, { recursive: true });
    expect(readdirSync(root)).toEqual([]);
  });

  test.each([
    [{ method: "q5" }, /did you mean "q4"/],
    [{ method: "q4", forced: true }, /did you mean "force"/],
    [{ method: "q4", max_shard_size: -1 }, /max_shard_size: -1/],
  ])("%j is refused", async (options, message) => {
    const run = quantize(base, out, options as { method: "q4" });
    await expect(run).rejects.toThrow(InputError);
    await expect(run).rejects.toThrow(message);
    expect(existsSync(out)).toBe(false);
  });

  test("its own folder and a quantised model are refused", async () => {
    const force = true;
    await expect(quantize(base, base, { method: "q4", force })).rejects.toThrow(/own folder/);
    const again = quantize(goldenPath("models/base-awq"), out, { method: "q4" });
    await expect(again).rejects.toThrow(/quantised already \(awq\)/);
    const gguf = quantize(goldenPath("models/base-gguf/model-q8_0.gguf"), out, {
      method: "q4",
    });
    await expect(gguf).rejects.toThrow(/is a GGUF file, which runs as it is/);
  });
});

describe("a q4 checkpoint that is damaged is refused by name", () => {
  const name = "model.layers.0.mlp.up_proj.weight";
  const edits: [string, (tensors: ReturnType<typeof readSafetensors>) => void, RegExp][] = [
    [
      "no shapes at all",
      (t) => [...t.keys()].filter((n) => n.endsWith("_shape")).forEach((n) => t.delete(n)),
      /no tensor is called/,
    ],
    ["a weight without bytes", (t) => t.delete(name), /up_proj.weight" is missing; expected U8 of/],
    ["no scales", (t) => t.delete(`${name}.q4r_scales`), /q4r_scales" is missing; expected F32 of/],
    ["another shape", (t) => t.get(`${name}.q4r_shape`)?.data.set([64, 160]), /\[64, 160\]/],
    [
      "a negative shape",
      (t) => t.get(`${name}.q4r_shape`)?.data.set([-1, 64]),
      /its shape is \[-1, 64\]/,
    ],
    [
      "two shapes",
      (t) => t.set(`${name}.q8_shape`, { dtype: "I32", shape: [2], data: Int32Array.of(160, 64) }),
      /two shapes/,
    ],
    [
      "a scale that is NaN",
      (t) => t.get(`${name}.q4r_scales`)?.data.set([NaN], 70),
      /up_proj.weight \(q4r\): a scale is NaN or infinite/,
    ],
  ];

  test.each(edits)("%s", async (_, edit, message) => {
    await quantize(base, out, { method: "q4" });
    const path = join(out, "model.safetensors");
    const tensors = readSafetensors(path);
    edit(tensors);
    await saveSafetensors(
      path,
      [...tensors].map(([tensor, { dtype, shape, data }]) => ({
        ...{ name: tensor, dtype, shape },
        data: () => [new Uint8Array(data.buffer)],
      })),
    );
    await expect(logits(out)).rejects.toThrow(CheckpointError);
    await expect(logits(out)).rejects.toThrow(message);
  });

  test("of a version to come", async () => {
    await quantize(base, out, { method: "q4" });
    const config = settingsOf(out);
    const quantization_config = { ...(config.quantization_config as object), version: 3 };
    writeFileSync(join(out, "config.json"), JSON.stringify({ ...config, quantization_config }));
    await expect(logits(out)).rejects.toThrow(/version is 3, expected 2/);
  });
});
