// The commands as data: help, parsing and "did you mean" are read from here and from the table of flags.
// Does not know what the commands do.

import { flagGroups } from "./flags.ts";
import type { FlagGroup, FlagName } from "./flags.ts";

export type Command = {
  readonly summary: string;
  /** What follows the command's name. */
  readonly usage: string;
  /** How many words may be given besides flags. */
  readonly positionals: number;
  readonly description: string;
  /** Its own flags; those of its groups follow. */
  readonly flags: readonly FlagName[];
  readonly groups: readonly FlagGroup[];
  readonly examples: readonly (readonly [command: string, meaning: string])[];
};

export type CommandName =
  | "run"
  | "chat"
  | "pull"
  | "ls"
  | "rm"
  | "verify"
  | "quantize"
  | "bench"
  | "eval"
  | "doctor"
  | "help";

export const commands: Readonly<Record<CommandName, Command>> = {
  run: {
    summary: "tell a story, or continue or answer a text",
    usage: "[prompt…] [flags]",
    positionals: Number.POSITIVE_INFINITY,
    description: [
      "The embedded model takes a prompt as the request for a story. Any other",
      "model continues its text. The prompt may come from a pipe.",
    ].join("\n"),
    flags: [
      "model",
      "chat",
      "continue",
      "system",
      "max-new-tokens",
      "json",
      "stdin-wait",
      "quiet",
      "help",
    ],
    groups: ["sampling", "loading"],
    examples: [
      ["mistral run A dog and a boat --seed 3", "a story about them"],
      ['mistral run -m ./Mistral-7B-v0.3 -n 100 "In 1969"', "with another model"],
    ],
  },
  chat: {
    summary: "hold a conversation in the terminal",
    usage: "[model] [flags]",
    positionals: 1,
    description: [
      "Type a message and press Enter; /help lists what else can be typed. Ctrl-C stops",
      "an answer; pressed again it leaves. If stdin is a pipe, each line is a message.",
      "What you typed is kept for the arrow keys in a file that only you can read.",
    ].join("\n"),
    flags: ["model", "system", "max-new-tokens", "no-history", "quiet", "help"],
    groups: ["sampling", "loading"],
    examples: [
      ["mistral chat", "talk to the embedded model"],
      ["mistral chat ./Mistral-7B-Instruct-v0.3 --temperature 0.3", "talk to another one"],
      ['echo "Tell me a story about a frog." | mistral chat', "one message a line"],
    ],
  },
  pull: {
    summary: "fetch a model from the hub into the cache",
    usage: "[id] [flags]",
    positionals: 1,
    description: [
      "Fetches the files that loading needs: one form of the weights, no pickles. What",
      "was interrupted goes on where it stopped. Without an id it asks which model. The",
      "cache is that of Python's huggingface_hub, with its settings (HF_HOME,",
      "HF_HUB_CACHE, HF_TOKEN). --include and --exclude take patterns such as *.json;",
      "--json prints an event a line.",
    ].join("\n"),
    flags: ["revision", "gguf-file", "include", "exclude", "force", "yes", "json", "quiet", "help"],
    groups: [],
    examples: [
      ["mistral pull mistralai/Mistral-7B-Instruct-v0.3", "14.5 GB"],
      ["mistral pull someone/some-GGUF --gguf-file a-q4_k_m.gguf", "one file"],
    ],
  },
  ls: {
    summary: "list the models in the cache",
    usage: "[flags]",
    positionals: 0,
    description: "Their size, the day when they were fetched, and their revisions.",
    flags: ["json", "quiet", "help"],
    groups: [],
    examples: [["mistral ls --json", "for programs"]],
  },
  rm: {
    summary: "remove models from the cache",
    usage: "<id…> [flags]",
    positionals: Number.POSITIVE_INFINITY,
    description: "All revisions of each. Asks at a terminal; elsewhere --yes is needed.",
    flags: ["yes", "help"],
    groups: [],
    examples: [["mistral rm mistralai/Mistral-7B-v0.1", "frees 14.5 GB"]],
  },
  verify: {
    summary: "compare a cached model's files with the hub's hashes",
    usage: "<id> [flags]",
    positionals: 1,
    description: "Reads all files. The exit code is 1 if one is damaged or missing. No connection.",
    flags: ["json", "quiet", "help"],
    groups: [],
    examples: [["mistral verify mistralai/Mistral-7B-v0.1", "after a fault of the disk"]],
  },
  quantize: {
    summary: "write a model in fewer bits",
    usage: "[model] [new folder] --to <how> [flags]",
    positionals: 2,
    description: [
      "nf4, fp4 and int8 are bitsandbytes' (-dq: scales quantised too), which also",
      "Transformers reads; q4 and q8 are this program's own, and the fastest on a CPU.",
      "The model is a folder of safetensors, as Transformers or Mistral AI publishes it",
      "(params.json, consolidated.safetensors), or a hub id. Memory holds one weight at",
      "a time; the new folder appears when it is complete.",
    ].join("\n"),
    flags: ["model", "to", "force", "revision", "yes", "json", "quiet", "help"],
    groups: [],
    examples: [
      ["mistral quantize ./Mistral-7B-v0.3 --to q4", "into ./Mistral-7B-v0.3-q4"],
      ["mistral quantize ./Mistral-7B-v0.3 ./small --to nf4-dq", "where you say"],
    ],
  },
  bench: {
    summary: "measure prefill and decode on this machine",
    usage: "[model] [flags]",
    positionals: 1,
    description: [
      "Tokens/s of a prompt (pp) and of generated text (tg), beside what this machine",
      "can do at most; load time and peak memory. Other programs disturb it.",
    ].join("\n"),
    flags: [
      "model",
      "shape",
      "layers",
      "pp",
      "tg",
      "depth",
      "reps",
      "json",
      "markdown",
      "svg",
      "quiet",
      "help",
    ],
    groups: ["loading"],
    examples: [
      ["mistral bench", "the embedded model"],
      ["mistral bench --shape mistral-7b --layers 4 --json", "random weights of a known shape"],
    ],
  },
  eval: {
    summary: "measure a model on a text: perplexity or distance",
    usage: "<ppl|kl> [model] --file <text> [flags]",
    positionals: 2,
    description: [
      "ppl: perplexity, by windows that move by a stride, as in Transformers' guide.",
      "kl: KL divergence from the reference's predictions to the model's, per token,",
      "and how often both find the same token likeliest. --dtype, --quantization and",
      "what belongs to it are the model's; the reference is loaded as it is.",
    ].join("\n"),
    flags: ["model", "file", "stride", "max-length", "reference", "json", "quiet", "help"],
    groups: ["loading"],
    examples: [
      ["mistral eval ppl --file a.txt", "the embedded model"],
      ["mistral eval ppl ./7B --file a.txt --quantization nf4", "in 4 bits"],
      [
        "mistral eval kl ./7B --file a.txt --quantization q4",
        "what 4 bits cost against the same model as it is",
      ],
    ],
  },
  doctor: {
    summary: "show what this machine offers and what mistral chooses on it",
    usage: "[flags]",
    positionals: 0,
    description: "Checks Node, processor, SIMD, threads, memory and the embedded model.",
    flags: ["json", "threads", "no-revectorize", "no-native", "help"],
    groups: [],
    examples: [
      ["mistral doctor", "what this machine offers"],
      ["mistral doctor --json", "for a bug report"],
    ],
  },
  help: {
    summary: "explain a command",
    usage: "[command, sampling or loading]",
    positionals: 1,
    description: "A command, as its --help does, or the flags that several commands share.",
    flags: ["help"],
    groups: [],
    examples: [
      ["mistral help run", "everything about run"],
      ["mistral help sampling", "temperature and the like"],
    ],
  },
};

/** All flags of a command. */
export function flagsOf(name: CommandName): readonly FlagName[] {
  const { flags, groups } = commands[name];
  return [...flags, ...groups.flatMap((group) => flagGroups[group].flags)];
}
