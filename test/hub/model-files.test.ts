// From a model's name to its files: which files of a repository are fetched for what, and which are not.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  AutoConfig,
  AutoModelForCausalLM,
  AutoTokenizer,
  downloadModel,
  env,
  GenerationConfig,
  hf_hub_download,
  MistralConfig,
  MistralForCausalLM,
  pipeline,
  planDownload,
  quantize,
  removeCachedModel,
  scan_cache_dir,
  snapshot_download,
  verifyCachedModel,
} from "../../src/index.ts";
import type { MockHub } from "./mock-hub.ts";
import { goldenFiles, ID, messageOf, workplace } from "./workplace.ts";

let hub: MockHub;
let cache: string;

beforeEach(async () => {
  ({ hub, cache } = await workplace());
  Object.assign(env, { hubEndpoint: hub.endpoint, cacheDir: cache });
  onTestFinished(() => {
    Object.assign(env, { hubEndpoint: undefined, cacheDir: undefined, fetch: undefined });
  });
});

const GOLDEN = { ...goldenFiles("tokenizers/tiny"), ...goldenFiles("models/base-f32") };
const inputs = { input_ids: [[1, 10, 20]], max_new_tokens: 3, do_sample: false };

/** Paths of the files whose bytes were asked of the hub since the last call. */
function fetched(): string[] {
  const urls = hub.seen.splice(0).map(({ url }) => /\/resolve\/[0-9a-f]{40}\/(.*)$/.exec(url)?.[1]);
  return urls.filter((path) => path !== undefined).toSorted();
}

describe("by id", () => {
  test("a tokenizer, then a model, which has the tokens of its folder", async () => {
    hub.add(ID, { files: { ...GOLDEN, "README.md": "", "pytorch_model.bin": Buffer.alloc(9) } });
    const tokenizer = await AutoTokenizer.from_pretrained(ID);
    expect(tokenizer.name_or_path).toBe(ID);
    expect(fetched()).toEqual([
      "config.json",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const reports: object[] = [];
    await using model = await AutoModelForCausalLM.from_pretrained(ID, {
      device: "reference",
      onProgress: (progress) => reports.push(progress),
    });
    expect(fetched()).toEqual(["generation_config.json", "model.safetensors"]);
    expect(model.config.name_or_path).toBe(ID);
    expect((await model.generate(inputs)).tolist()).toEqual([[1, 10, 20, 479, 473, 327]]);
    expect(reports.some((report) => "file" in report)).toBe(true);
    expect(reports.some((report) => "tensor" in report)).toBe(true);
    const again = await MistralForCausalLM.from_pretrained(ID, { local_files_only: true });
    await again.dispose();
    expect(hub.seen.filter(({ url }) => !url.includes("/revision/"))).toEqual([]);
  });

  test("a config, generation settings: their files alone", async () => {
    hub.add(ID, { files: GOLDEN });
    expect((await AutoConfig.from_pretrained(ID)).hidden_size).toBe(64);
    expect(fetched()).toEqual(["config.json"]);
    expect((await GenerationConfig.from_pretrained(ID)).eos_token_id).toBe(2);
    expect(fetched()).toEqual(["generation_config.json"]);
    expect(readFileSync(await hf_hub_download(ID, "config.json"), "utf8")).toBe(
      GOLDEN["config.json"],
    );
  });

  test("the shards that the index names, and no other file of weights", async () => {
    const shards = goldenFiles("models/base-sharded");
    const others = ["consolidated.safetensors", "model-00001-of-00009.safetensors", "model.bin"];
    const files = Object.fromEntries(others.map((name) => [name, Buffer.from(name)]));
    hub.add(ID, { files: { ...shards, ...files, "params.json": "{}" } });
    const plan = await planDownload(ID, { parts: ["config", "generation", "weights"] });
    expect(fetched()).toEqual(["model.safetensors.index.json"]);
    expect(plan?.files.map(({ file }) => file).toSorted()).toEqual(
      [...Object.keys(shards), "params.json"].toSorted(),
    );
    const sizes = plan?.files.map(({ file }) => Buffer.byteLength(shards[file] ?? "{}"));
    expect(plan?.files.map(({ bytes }) => bytes)).toEqual(sizes);
    expect(plan?.bytes).toBe(sizes?.reduce((sum, bytes) => sum + bytes, 0));
    expect(plan?.missingBytes).toBe(
      (plan?.bytes ?? 0) - Buffer.byteLength(shards["model.safetensors.index.json"]),
    );
    await using model = await AutoModelForCausalLM.from_pretrained(ID, { device: "reference" });
    expect((await model.generate(inputs)).dims).toEqual([1, 6]);
    expect(fetched()).toEqual(
      [...Object.keys(shards), "params.json"]
        .filter((name) => name !== "model.safetensors.index.json")
        .toSorted(),
    );
    expect((await planDownload(ID, { parts: ["weights"] }))?.missingBytes).toBe(0);
  });

  test("a shard that the index names, but the repository lacks", async () => {
    const { "model-00002-of-00003.safetensors": gone, ...rest } =
      goldenFiles("models/base-sharded");
    hub.add(ID, { files: rest });
    expect(gone).toBeDefined();
    const message = await messageOf(AutoModelForCausalLM.from_pretrained(ID));
    expect(message).toMatch(/has no file "model-00002-of-00003.safetensors"; it has model-00001/);
    expect(fetched()).toEqual(["model.safetensors.index.json"]);
  });

  test("a variant, a subfolder, a revision", async () => {
    const weights = GOLDEN["model.safetensors"];
    const config = GOLDEN["config.json"];
    hub.add(ID, {
      files: {
        "config.json": "{}",
        "sub/config.json": config,
        "sub/model.fp16.safetensors": weights,
        "sub/model.safetensors": Buffer.from("other"),
      },
    });
    const options = {
      subfolder: "sub",
      variant: "fp16",
      device: "reference",
      revision: "refs/pr/1",
    } as const;
    await using model = await AutoModelForCausalLM.from_pretrained(ID, options);
    expect(fetched()).toEqual(["sub/config.json", "sub/model.fp16.safetensors"]);
    expect(model.config.hidden_size).toBe(64);
    expect(await messageOf(AutoConfig.from_pretrained(ID, { subfolder: "../x" }))).toMatch(
      /^InputError: .*subfolder is/,
    );
    expect(await messageOf(AutoConfig.from_pretrained(ID, { subfolder: "none" }))).toMatch(
      /folder none\): config.json: no such file/,
    );
    expect(await messageOf(AutoConfig.from_pretrained(ID, { revision: "../../x" }))).toMatch(
      /^InputError: .*revision/,
    );
  });

  test("a GGUF file, alone", async () => {
    const files = goldenFiles("models/base-gguf");
    const name = "model-q8_0.gguf";
    hub.add(ID, { files: { ...files, "other.gguf": Buffer.from("other") } });
    const tokenizer = await AutoTokenizer.from_pretrained(ID, { gguf_file: name });
    expect(tokenizer.length).toBe(640);
    await using model = await AutoModelForCausalLM.from_pretrained(ID, {
      gguf_file: name,
      device: "reference",
    });
    expect(model.config.hidden_size).toBe(64);
    expect(fetched()).toEqual([name]);
    expect(await messageOf(AutoConfig.from_pretrained(ID, { gguf_file: "none.gguf" }))).toMatch(
      /has no file "none.gguf"; it has model-q8_0.gguf, other.gguf/,
    );
  });

  test("Mistral AI's own layout, if there is no other", async () => {
    const files = {
      "params.json": "{}",
      "consolidated.safetensors": Buffer.from("w"),
      "tekken.json": "{}",
      "README.md": "",
    };
    hub.add(ID, { files });
    const folder = await downloadModel(ID);
    expect(readdirSync(folder).toSorted()).toEqual([
      "consolidated.safetensors",
      "params.json",
      "tekken.json",
    ]);
  });

  test.for([
    [["tokenizer.json", "tokenizer.model", "tekken.json"], ["tokenizer.json"]],
    [
      ["tokenizer.model", "tokenizer_config.json"],
      ["tokenizer.model", "tokenizer_config.json"],
    ],
    [["tokenizer.model.v3", "tekken.json"], ["tekken.json"]],
    [
      ["tokenizer.json", "added_tokens.json", "vocab.txt"],
      ["added_tokens.json", "tokenizer.json"],
    ],
    [
      [
        "tokenizer.json",
        "chat_template.jinja",
        "additional_chat_templates/rag.jinja",
        "additional_chat_templates/x/y.jinja",
      ],
      ["additional_chat_templates/rag.jinja", "chat_template.jinja", "tokenizer.json"],
    ],
  ] as const)("the tokenizer's files of %j", async ([names, expected]) => {
    hub.add(ID, { files: Object.fromEntries(names.map((name) => [name, name])) });
    await downloadModel(ID, { parts: ["tokenizer"] });
    expect(fetched()).toEqual(expected);
  });

  test.for([
    [["config.json", "pytorch_model.bin"], /only pytorch_model.bin, a Python pickle.*never loaded/],
    [
      ["model.Q4_K_M.gguf", "model.Q8_0.gguf"],
      /config.json: no such file, but model.Q4_K_M.gguf \(and 1 more\); name it with the option gguf_file/,
    ],
    [
      ["config.json", "model.fp16.safetensors"],
      /but model.fp16.safetensors; name its middle part with the option variant/,
    ],
    [
      ["config.json", "model-00001-of-00002.safetensors"],
      /index, model.safetensors.index.json, is missing/,
    ],
    [["README.md"], /config.json: no such file/],
  ] as const)("a repository of %j", async ([names, expected]) => {
    hub.add(ID, { files: Object.fromEntries(names.map((name) => [name, Buffer.from(name)])) });
    const message = await messageOf(AutoModelForCausalLM.from_pretrained(ID));
    expect(message).toMatch(expected);
    expect(message).toContain(`AutoModelForCausalLM.from_pretrained: ${ID} (revision "main")`);
    expect(fetched()).toEqual([]);
  });

  test("an adapter is named, not ignored", async () => {
    hub.add(ID, {
      files: {
        "adapter_config.json": '{"base_model_name_or_path":"a/b"}',
        "adapter_model.safetensors": Buffer.from("w"),
      },
    });
    expect(await messageOf(AutoModelForCausalLM.from_pretrained(ID))).toMatch(
      /an adapter of "a\/b"/,
    );
  });

  test("quantize", async () => {
    hub.add(ID, { files: GOLDEN });
    const out = join(mkdtempSync(join(tmpdir(), "quantized-")), "q8");
    onTestFinished(() => rmSync(join(out, ".."), { recursive: true, force: true }));
    await quantize(ID, out, { method: "q8" });
    expect(readdirSync(out)).toEqual(expect.arrayContaining(["config.json", "tokenizer.json"]));
    rmSync(cache, { recursive: true });
    fetched();
    expect(await messageOf(quantize(ID, out, { method: "q8" }))).toMatch(/exists already/);
    expect(fetched()).toEqual(["config.json"]); // refused before the weights are fetched
  });

  test("by the global fetch in place of the own client", async () => {
    hub.add(ID, { files: GOLDEN });
    const asked: string[] = [];
    env.fetch = (url, init) => {
      asked.push(url);
      return fetch(url, init);
    };
    const folder = await snapshot_download(ID);
    expect(
      readFileSync(join(folder, "model.safetensors")).equals(GOLDEN["model.safetensors"] as Buffer),
    ).toBe(true);
    expect(asked.length).toBe(hub.seen.length);
    env.fetch = fetch;
    await snapshot_download(ID, { force_download: true });
    env.fetch = 5 as never;
    expect(await messageOf(snapshot_download(ID))).toMatch(
      /^InputError: env.fetch: number: expected a function/,
    );
  });
});

describe("a name", () => {
  test("of a folder that exists wins over an id", async () => {
    const folder = mkdtempSync("hub-local-");
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    expect(await messageOf(AutoConfig.from_pretrained(folder))).toMatch(
      /config.json: no such file/,
    );
    expect(await planDownload(basename(folder))).toBe(undefined);
    expect(hub.seen).toEqual([]);
  });

  test("of nothing: both places are named", async () => {
    const message = await messageOf(AutoModelForCausalLM.from_pretrained("no/such"));
    expect(message).toMatch(/has no model "no\/such" .*; and there is no folder no\/such here$/);
  });

  test.for(["./no/such", "/no/such", "a/b/c", "no/such.gguf", "a--b/c", "~/model"])(
    "%s is never asked of the hub",
    async (name) => {
      expect(await messageOf(AutoConfig.from_pretrained(name))).toMatch(
        /no such (file|folder); a model is a folder|~ is known to shells only/,
      );
      expect(hub.seen).toEqual([]);
    },
  );

  test.for([5, "", null, undefined, {}])("%j is no name", async (name) => {
    const message = await messageOf(AutoTokenizer.from_pretrained(name as never));
    expect(message).toMatch(
      /^InputError: .*got .*; expected a folder, the path of a GGUF file, or the id/,
    );
  });
});

test("options: unknown ones, wrong types", async () => {
  for (const [options, expected] of [
    [{ revison: "x" }, /unknown option "revison"; did you mean "revision"\?/],
    [{ ignore_patterns: "[z-a]*" }, /ignore_patterns: "\[z-a\]\*": a range in brackets begins/],
    [{ allow_patterns: 5 }, /allow_patterns: expected a pattern/],
    [{ token: 5 }, /token: number: expected a text, true or false/],
    [{ cache_dir: 5 }, /cache_dir: number: expected the path of a folder/],
    [{ force_download: "yes" }, /force_download: "yes": expected true or false/],
    [{ local_files_only: 1 }, /local_files_only: 1: expected true or false/],
  ] as const) {
    expect(await messageOf(snapshot_download(ID, options as object))).toMatch(expected);
  }
  for (const call of [
    scan_cache_dir(5 as never),
    removeCachedModel(ID, { cache_dir: 5 as never }),
    verifyCachedModel(ID, { cache_dir: 5 as never }),
  ]) {
    expect(await messageOf(call)).toMatch(/cache_dir: number: expected the path of a folder/);
  }
  for (const subfolder of [5, "../x"]) {
    const call = AutoTokenizer.from_pretrained(ID, { subfolder: subfolder as never });
    expect(await messageOf(call)).toMatch(/subfolder is .*, expected a folder within the model's/);
  }
  expect(hub.seen).toEqual([]);
});

test.for([
  [{ quantization_config: { method: "int4" } }, /unknown method "int4"; did you mean "q4"\?/],
  [{ quantization_config: { method: "q4", skip: [] } }, /unknown option "skip"/],
  [{ quantization_config: { load_in_4bits: true } }, /did you mean "load_in_4bit"/],
  [{ quantization_config: "q4" }, /got "q4"; write \{ method: "q4" \}/],
  [{ dtype: "float17" }, /unknown dtype "float17"/],
  [{ device_map: "gpu" }, /unknown device "gpu"/],
  [{ device: -1 }, /unknown device -1/],
  [{ attn_implementation: "sdpb" }, /unknown attn_implementation "sdpb"/],
  [{ cacheDtype: "int9" }, /unknown cacheDtype "int9"/],
  [{ compute_dtype: "int9" }, /unknown compute_dtype "int9"/],
  [{ variant: 5 }, /variant: 5: expected/],
  [{ disable_mmap: "no" }, /disable_mmap: "no": expected true or false/],
  [{ problem_type: "other" }, /problem_type/],
  [{ id2label: ["a", "b"] }, /id2label/],
  [{ num_labels: 2, config: new MistralConfig() }, /num_labels came beside config/],
] as const)("%j is refused before anything is asked of the hub", async ([options, expected]) => {
  const load = options as object;
  expect(await messageOf(AutoModelForCausalLM.from_pretrained(ID, load))).toMatch(expected);
  const inPipeline = pipeline("feature-extraction", ID, load);
  expect(await messageOf(inPipeline)).toMatch(expected);
  expect(hub.seen).toEqual([]);
});
