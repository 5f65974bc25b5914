// Writes a checkpoint of any shape with random weights: config.json, generation_config.json, tokenizer files and safetensors.
// Weights are independent draws of a normal distribution (65,536 quantiles, standard deviation initializer_range), norms
// are 1; a seed gives the same files. They stream to the disk: memory holds one piece. Prints what it wrote.

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  planShards,
  saveSafetensors,
  shardIndex,
  type TensorToSave,
} from "../src/checkpoint/save-safetensors.ts";
import { writeText } from "../src/platform/node.ts";
import { unknownName } from "../src/did-you-mean.ts";
import { findFormat, type Format } from "../src/formats/format.ts";
import { checkConfig, countParameters } from "../src/models/config-check.ts";
import { expectedWeights } from "../src/models/config-weights.ts";
import { MistralConfig, type MistralConfigOptions } from "../src/models/config.ts";

const shapes: Readonly<Record<string, MistralConfigOptions>> = {
  "mistral-7b": { rms_norm_eps: 1e-5, max_position_embeddings: 32768 },
  "mistral-7b-v0.3": {
    vocab_size: 32768,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 32768,
    sliding_window: null,
    rope_theta: 1e6,
  },
  small: {
    vocab_size: 32000,
    hidden_size: 1024,
    intermediate_size: 3584,
    num_hidden_layers: 12,
    num_attention_heads: 16,
    num_key_value_heads: 4,
    max_position_embeddings: 8192,
  },
  tiny: {
    vocab_size: 640,
    hidden_size: 64,
    intermediate_size: 160,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 512,
  },
};

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
let kept: Float32Array<ArrayBuffer> | undefined;

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
  await writeText(join(folder, "config.json"), config.to_json_string());
  const { bos_token_id, eos_token_id } = config;
  await writeText(
    join(folder, "generation_config.json"),
    `${JSON.stringify({ bos_token_id, eos_token_id }, undefined, 2)}\n`,
  );
  await copyTokenizer(folder);

  const begin = performance.now();
  const seed = number("seed") ?? 0;
  const tensors = [...expectedWeights(config, "MistralForCausalLM")].map(([name, shape], i) =>
    randomTensor(name, shape, format, config.initializer_range, seed * 100_003 + i),
  );
  const shards = planShards(tensors, (number("shard-gb") ?? 5) * 1e9);
  for (const shard of shards) await saveSafetensors(join(folder, shard.file), shard.tensors);
  if (shards.length > 1)
    await writeText(join(folder, "model.safetensors.index.json"), shardIndex(shards));

  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const seconds = (performance.now() - begin) / 1000;
  process.stdout.write(
    `${folder}: ${countParameters(config).toLocaleString("en")} weights in ${format.torch}, ${(bytes / 1e9).toFixed(2)} GB in ` +
      `${shards.length} file${shards.length === 1 ? "" : "s"}, ${seconds.toFixed(1)} s (${(bytes / 1e9 / seconds).toFixed(2)} GB/s)\n`,
  );
}

function configOf(format: Format): MistralConfig {
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

function randomTensor(
  name: string,
  shape: readonly number[],
  format: Format,
  std: number,
  seed: number,
): TensorToSave {
  const count = shape.reduce((product, size) => product * size, 1);
  const isNorm = shape.length === 1;
  return {
    name,
    dtype: format.safetensors,
    shape,
    data: () =>
      isNorm
        ? [packed(format, new Float32Array(count).fill(1))]
        : randomPieces(count, format, std, seed),
  };
}

/** 65,536 equally likely numbers of the standard normal distribution. */
function quantiles(): Float32Array<ArrayBuffer> {
  kept ??= Float32Array.from({ length: 65536 }, (_, i) => normalQuantile((i + 0.5) / 65536));
  return kept;
}

/** Pieces of packed random numbers; each 16 random bits choose one of 65,536 equally likely numbers. */
function* randomPieces(
  count: number,
  format: Format,
  std: number,
  seed: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const table = words(
    packed(
      format,
      quantiles().map((x) => x * std),
    ),
    format,
  );
  const piece = packed(format, new Float32Array(Math.min(count, 1 << 22)));
  const target = words(piece, format);
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  for (let done = 0; done < count; done += target.length) {
    const here = Math.min(target.length, count - done);
    state = fill(target.subarray(0, here), table, state);
    yield piece.subarray(0, format.bytes(here));
  }
}

/** xorshift32 (Marsaglia 2003): a period of 2^32 - 1 draws, two numbers from each. Gives the next state. */
function fill(target: Words, table: Words, from: number): number {
  let state = from;
  for (let i = 0; i < target.length; i += 2) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    target[i] = table[state & 0xffff];
    target[i + 1] = table[state >>> 16]; // past the end of an odd piece nothing is stored
  }
  return state;
}

function packed(format: Format, values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(format.bytes(values.length));
  format.pack(values, bytes);
  return bytes;
}

type Words = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

function words(bytes: Uint8Array<ArrayBuffer>, format: Format): Words {
  return format.bytes(1) === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
}

/** The inverse of the normal distribution, by bisection on an integral of the density (Zelen and Severo 1964, 26.2.17). */
function normalQuantile(p: number): number {
  let [low, high] = [-6, 6];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function normalShare(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const sum =
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const upper = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * sum;
  return x < 0 ? upper : 1 - upper;
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
