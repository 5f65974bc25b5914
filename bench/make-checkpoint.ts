// Writes a checkpoint of any shape with random weights: config.json, generation_config.json, tokenizer files and safetensors.
// The command of src/api/measurement/random-model.ts; prints what it wrote.

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { shapes, writeRandomModel } from "../src/api/measurement/random-model.ts";
import { unknownName } from "../src/did-you-mean.ts";
import { findFormat } from "../src/formats/format.ts";
import type { NumberFormat } from "../src/formats/number-format.ts";
import { checkConfig } from "../src/models/config-check.ts";
import { countParameters } from "../src/models/config-weights.ts";
import { MistralConfig, type MistralConfigOptions } from "../src/models/config.ts";

const help = `Usage: npx node bench/make-checkpoint.ts <folder> [options]

Writes a Mistral checkpoint with random weights.

  --shape NAME        ${Object.keys(shapes).join(", ")} (default tiny)
  --dtype NAME        float32, bfloat16 or float16 (default bfloat16)
  --tokenizer FOLDER  copy the tokenizer files from there
  --seed N            other weights for another number (default 0)
  --shard-gb N        largest file, in GB (default 5)

Changes to the shape:
  --layers N --hidden N --intermediate N --heads N --kv-heads N --head-dim N
  --vocab N --window N (0: none) --positions N --theta N --tied

  --help              this text
`;

const NUMBERS =
  "seed shard-gb layers hidden intermediate heads kv-heads head-dim vocab window positions theta".split(
    " ",
  );
const TEXTS = ["shape", "dtype", "tokenizer", ...NUMBERS];
const SWITCHES = ["tied", "help"];
const flags = new Map<string, string | boolean>();

try {
  const folder = readFlags();
  if (folder === undefined) process.stdout.write(help);
  else await make(folder);
} catch (error) {
  process.stderr.write(
    `make-checkpoint: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
}

/** Fills `flags`; the folder to write, or undefined when help is wanted. */
function readFlags(): string | undefined {
  const { tokens } = parseArgs({
    strict: false,
    tokens: true,
    options: Object.fromEntries([
      ...TEXTS.map((name) => [name, { type: "string" as const }] as const),
      ...SWITCHES.map((name) => [name, { type: "boolean" as const }] as const),
    ]),
  });
  const folders: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") folders.push(token.value);
    if (token.kind !== "option") continue;
    const { name, value, rawName } = token;
    if (!TEXTS.includes(name) && !SWITCHES.includes(name))
      throw new Error(
        unknownName(
          "flag",
          rawName,
          [...TEXTS, ...SWITCHES].map((known) => `--${known}`),
        ),
      );
    if (TEXTS.includes(name) && value === undefined)
      throw new Error(`${rawName}: a value is missing`);
    flags.set(name, value ?? true);
  }
  if (folders.length > 1)
    throw new Error(`one folder is expected, ${folders.length} came: ${folders.join(", ")}`);
  return flags.has("help") ? undefined : folders[0];
}

async function make(folder: string): Promise<void> {
  const dtype = text("dtype") ?? "bfloat16";
  const format = findFormat(dtype);
  if (format === undefined)
    throw new Error(unknownName("dtype", dtype, ["float32", "bfloat16", "float16"]));
  const config = configOf(format);
  checkConfig(config);
  await mkdir(folder, { recursive: true });
  await copyTokenizer(folder);

  const begin = performance.now();
  const shards = await writeRandomModel(folder, config, {
    seed: number("seed"),
    shardBytes: (number("shard-gb") ?? 5) * 1e9,
  });

  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const seconds = (performance.now() - begin) / 1000;
  process.stdout.write(
    `${folder}: ${countParameters(config).toLocaleString("en")} weights in ${format.torch}, ${(bytes / 1e9).toFixed(2)} GB in ` +
      `${shards.length} file${shards.length === 1 ? "" : "s"}, ${seconds.toFixed(1)} s (${(bytes / 1e9 / seconds).toFixed(2)} GB/s)\n`,
  );
}

function configOf(format: NumberFormat): MistralConfig {
  const name = text("shape") ?? "tiny";
  if (!Object.hasOwn(shapes, name))
    throw new Error(unknownName("shape", name, Object.keys(shapes)));
  const window = number("window");
  const changes: MistralConfigOptions = {
    num_hidden_layers: number("layers"),
    hidden_size: number("hidden"),
    intermediate_size: number("intermediate"),
    num_attention_heads: number("heads"),
    num_key_value_heads: number("kv-heads"),
    head_dim: number("head-dim"),
    vocab_size: number("vocab"),
    max_position_embeddings: number("positions"),
    rope_theta: number("theta"),
    sliding_window: window === 0 ? null : window,
    tie_word_embeddings: flags.has("tied") ? true : undefined,
  };
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  return new MistralConfig({
    ...shapes[name],
    ...Object.fromEntries(given),
    architectures: ["MistralForCausalLM"],
    dtype: format.torch,
  });
}

async function copyTokenizer(folder: string): Promise<void> {
  const from = text("tokenizer");
  if (from === undefined) return;
  const files = (await readdir(from)).filter((name) =>
    /^(tokenizer.*|special_tokens_map\.json|chat_template\..*)$/.test(name),
  );
  if (files.length === 0)
    throw new Error(`--tokenizer ${from}: the folder holds no tokenizer files`);
  for (const name of files) await writeFile(join(folder, name), await readFile(join(from, name)));
}

function text(name: string): string | undefined {
  const value = flags.get(name);
  return typeof value === "string" ? value : undefined;
}

function number(name: string): number | undefined {
  const value = text(name);
  if (value === undefined) return undefined;
  const parsed = Number(value);
  if (value.trim() === "" || !Number.isFinite(parsed))
    throw new Error(`--${name} ${value}: expected a number`);
  return parsed;
}
