// The flags of the command line as data: how each is read, and its line in the help. A flag means the same in every command.
// Knows no command.

import { quantizationMethods } from "../api/quantization/quantization-methods.ts";

/** How a flag's text is read. A switch has no value; `texts` may be given several times. */
export type FlagType = "switch" | "text" | "texts" | "integer" | "number";

export type Flag = {
  readonly type: FlagType;
  /** How the help writes the value. */
  readonly value?: string;
  readonly short?: string;
  readonly help: string;
  /** The values that a text may have. */
  readonly among?: readonly string[];
  /** The least and the greatest number. */
  readonly range?: readonly [from: number, to: number];
};

export const flags = {
  model: {
    type: "text",
    value: "<model>",
    short: "m",
    help: "folder, .gguf file or hub id (default: the embedded)",
  },
  chat: { type: "switch", help: "have the prompt answered, by the chat template" },
  continue: { type: "switch", help: "have the prompt's text continued" },
  system: { type: "text", value: "<text>", help: "what the model is told before it answers" },
  seed: {
    type: "integer",
    value: "<n>",
    short: "s",
    help: "the same seed gives the same text",
    range: [0, 2_147_483_647],
  },
  temperature: {
    type: "number",
    value: "<x>",
    short: "t",
    help: "above 1: more varied; below: less; 0: --greedy",
    range: [0, 1000],
  },
  "top-k": {
    type: "integer",
    value: "<n>",
    help: "sample among the n likeliest tokens",
    range: [0, 2_147_483_647],
  },
  "top-p": {
    type: "number",
    value: "<x>",
    help: "… the likeliest that hold x of the probability",
    range: [0, 1],
  },
  "min-p": {
    type: "number",
    value: "<x>",
    help: "… those at least x times as likely as the best",
    range: [0, 1],
  },
  "typical-p": {
    type: "number",
    value: "<x>",
    help: "… the typical that hold x of the probability",
    range: [0, 1],
  },
  "repetition-penalty": {
    type: "number",
    value: "<x>",
    help: "above 1: tokens that have come are less likely",
    range: [0.01, 100],
  },
  "no-repeat-ngram-size": {
    type: "integer",
    value: "<n>",
    help: "never repeat a sequence of n tokens",
    range: [0, 2_147_483_647],
  },
  "min-new-tokens": {
    type: "integer",
    value: "<n>",
    help: "go on for at least n tokens",
    range: [0, 2_147_483_647],
  },
  "max-new-tokens": {
    type: "integer",
    value: "<n>",
    short: "n",
    help: "stop after n tokens (default: 300; chat: 1024)",
    range: [1, 2_147_483_647],
  },
  stop: { type: "texts", value: "<text>", help: "stop after this text; may be given again" },
  greedy: { type: "switch", help: "take the likeliest token, do not sample" },
  json: { type: "switch", help: "print JSON instead of text" },
  threads: {
    type: "integer",
    value: "<n>",
    help: "threads to use (default: physical cores)",
    range: [1, 64],
  },
  dtype: {
    type: "text",
    value: "<type>",
    help: "auto, float32, bfloat16, float16 (default: auto)",
    among: ["auto", "float32", "bfloat16", "float16"],
  },
  quantization: {
    type: "text",
    value: "<how>",
    help: "fewer bits: nf4, nf4-dq, fp4, fp4-dq, int8, q4, q8",
    among: quantizationMethods as typeof quantizationMethods,
  },
  "compute-dtype": {
    type: "text",
    value: "<type>",
    help: "matrix products: float32, bfloat16, float16, int8",
    among: ["float32", "bfloat16", "float16", "int8"],
  },
  "cache-dtype": {
    type: "text",
    value: "<type>",
    help: "keys and values: float32, bfloat16, float16, int8",
    among: ["float32", "bfloat16", "float16", "int8"],
  },
  "gguf-file": { type: "text", value: "<name>", help: "a GGUF file in the model's folder" },
  attn: {
    type: "text",
    value: "<name>",
    help: "attention: default sdpa; flash_attention_2, eager",
    among: ["flash_attention_2", "sdpa", "eager"],
  },
  device: {
    type: "text",
    value: "<name>",
    help: "cpu (default), or reference (slow, in float64)",
    among: ["cpu", "reference"],
  },
  "no-revectorize": { type: "switch", help: "do without 256-bit SIMD, if it makes trouble" },
  "no-native": { type: "switch", help: "do without machine code beside WebAssembly" },
  "no-history": { type: "switch", help: "keep no file of what you type" },
  file: { type: "text", value: "<path>", short: "f", help: "the text, in UTF-8" },
  reference: {
    type: "text",
    value: "<model>",
    help: "kl: the other model (default: the same, as stored)",
  },
  stride: {
    type: "integer",
    value: "<n>",
    help: "tokens from one window to the next (default: 512)",
    range: [2, 2_147_483_647],
  },
  "max-length": {
    type: "integer",
    value: "<n>",
    help: "tokens of a window (default: 2048, or all it takes)",
    range: [2, 2_147_483_647],
  },
  shape: {
    type: "text",
    value: "<name>",
    help: "random weights: mistral-7b, mistral-7b-v0.3, small, tiny",
    among: ["mistral-7b", "mistral-7b-v0.3", "small", "tiny"],
  },
  layers: {
    type: "integer",
    value: "<n>",
    help: "layers of the random model (default: all)",
    range: [1, 10_000],
  },
  pp: {
    type: "integer",
    value: "<n>",
    help: "prompt tokens (default: 512; 0: leave out)",
    range: [0, 1_000_000],
  },
  tg: {
    type: "integer",
    value: "<n>",
    help: "generated tokens (default: 128; 0: leave out)",
    range: [0, 1_000_000],
  },
  depth: {
    type: "integer",
    value: "<n>",
    help: "tokens in the cache beforehand (default: 0)",
    range: [0, 1_000_000],
  },
  reps: {
    type: "integer",
    value: "<n>",
    short: "r",
    help: "repetitions after one to warm up (default: 5)",
    range: [1, 1000],
  },
  to: {
    type: "text",
    value: "<how>",
    help: "nf4, nf4-dq, fp4, fp4-dq, int8, q4, q8",
    among: quantizationMethods as typeof quantizationMethods,
  },
  force: { type: "switch", help: "replace what is there already" },
  revision: { type: "text", value: "<name>", help: "of a model on the hub: branch, tag or commit" },
  yes: { type: "switch", short: "y", help: "fetch or remove models without asking" },
  include: {
    type: "texts",
    value: "<glob>",
    help: "only files of this pattern; may be given again",
  },
  exclude: { type: "texts", value: "<glob>", help: "no files of this pattern; may be given again" },
  markdown: { type: "switch", help: "print a table in Markdown" },
  svg: { type: "text", value: "<path>", help: "draw the result as a picture" },
  "stdin-wait": {
    type: "number",
    value: "<s>",
    help: "wait at most so many seconds for a piped prompt",
    range: [0, 86_400],
  },
  quiet: { type: "switch", short: "q", help: "no progress, no timings" },
  help: { type: "switch", short: "h", help: "show this help" },
} as const;

export type FlagName = keyof typeof flags;

export type FlagGroup = "sampling" | "loading";

/** Flags that several commands share. A command's help names them; `help <group>` explains them. */
export const flagGroups: Readonly<
  Record<FlagGroup, { readonly title: string; readonly flags: readonly FlagName[] }>
> = {
  sampling: {
    title: "How text is sampled (defaults: the model's generation_config.json)",
    flags: [
      "seed",
      "temperature",
      "top-k",
      "top-p",
      "min-p",
      "typical-p",
      "greedy",
      "repetition-penalty",
      "no-repeat-ngram-size",
      "min-new-tokens",
      "stop",
    ],
  },
  loading: {
    title: "How a model is loaded",
    flags: [
      "device",
      "threads",
      "dtype",
      "quantization",
      "compute-dtype",
      "cache-dtype",
      "gguf-file",
      "revision",
      "yes",
      "attn",
      "no-revectorize",
      "no-native",
    ],
  },
};
