// The commands as data: help, parsing and "did you mean" are read from here and from the table of flags.
// Does not know what the commands do.

import { engineFlags, samplingFlags } from "./flags.ts";
import type { FlagName } from "./flags.ts";

export type Command = {
  readonly summary: string;
  /** What follows the command's name. */
  readonly usage: string;
  /** How many words may be given besides flags. */
  readonly positionals: number;
  readonly description: string;
  readonly flags: readonly FlagName[];
  readonly examples: readonly (readonly [command: string, meaning: string])[];
};

export type CommandName = "run" | "chat" | "quantize" | "bench" | "eval" | "doctor" | "help";

export const commands: Readonly<Record<CommandName, Command>> = {
  run: {
    summary: "continue a text, streaming to stdout",
    usage: "[prompt…] [flags]",
    positionals: Number.POSITIVE_INFINITY,
    description: [
      "Prints the prompt and, as it comes, its continuation; speed and seed go to",
      "stderr. Without a prompt it is read from a pipe; when that is empty, and in a",
      "terminal, a story is told. With --chat only the answer is printed. In a terminal",
      "control characters are shown as text; a pipe gets exactly what the model wrote.",
    ].join("\n"),
    flags: [
      "model",
      "chat",
      ...samplingFlags,
      "json",
      "stdin-wait",
      ...engineFlags,
      "quiet",
      "help",
    ],
    examples: [
      ["mistral run", "tell a story"],
      [
        'mistral run "The dragon opened its" --seed 3',
        "continue this text; another seed, another text",
      ],
      ['mistral run --chat "Tell me a story about a cat named Tom."', "answer a request"],
      ['echo "Once there was" | mistral run --greedy --json', "prompt from a pipe, result as JSON"],
      [
        'mistral run -m ./Mistral-7B-v0.3 -n 100 "In 1969"',
        "another checkpoint, at most 100 tokens",
      ],
    ],
  },
  chat: {
    summary: "hold a conversation in the terminal",
    usage: "[model folder] [flags]",
    positionals: 1,
    description: [
      "Type a message and press Enter; /help lists what else can be typed. Ctrl-C stops",
      "an answer; pressed again it leaves. When stdin is a pipe, each line is a message.",
      "What you typed is kept for the arrow keys in a file that only you can read.",
    ].join("\n"),
    flags: ["model", ...samplingFlags, "no-history", ...engineFlags, "quiet", "help"],
    examples: [
      ["mistral chat", "talk to the embedded model"],
      ["mistral chat ./Mistral-7B-Instruct-v0.3 --temperature 0.3", "talk to another one"],
      ['echo "Tell me a story about a frog." | mistral chat', "one message a line"],
    ],
  },
  quantize: {
    summary: "write a model in fewer bits",
    usage: "[model folder] [new folder] --to <how> [flags]",
    positionals: 2,
    description: [
      "nf4, fp4 and int8 are bitsandbytes' (-dq: scales quantised too), and Transformers",
      "reads them; q4 and q8 are made for this program on a CPU, and the fastest. Memory",
      "holds one weight at a time; the new folder appears when it is complete.",
    ].join("\n"),
    flags: ["model", "to", "force", "json", "quiet", "help"],
    examples: [
      ["mistral quantize ./Mistral-7B-v0.3 --to q4", "into ./Mistral-7B-v0.3-q4"],
      ["mistral quantize ./Mistral-7B-v0.3 ./small --to nf4-dq", "where you say"],
    ],
  },
  bench: {
    summary: "measure prefill and decode on this machine",
    usage: "[model folder] [flags]",
    positionals: 1,
    description: [
      "Tokens/s of a prompt (pp) and of generated text (tg), mean ± standard deviation,",
      "with the arithmetic and the memory traffic that they reach, beside what this",
      "machine can do at most; load time and peak memory. Other programs disturb it.",
    ].join("\n"),
    flags: [
      "model",
      "shape",
      "layers",
      "pp",
      "tg",
      "depth",
      "reps",
      ...engineFlags,
      "json",
      "markdown",
      "svg",
      "quiet",
      "help",
    ],
    examples: [
      ["mistral bench", "the embedded model"],
      ["mistral bench ./Mistral-7B-v0.3 --quantization q4", "another one, in 4 bits"],
      ["mistral bench --shape mistral-7b --layers 4 --json", "random weights of a known shape"],
      ["mistral bench --pp 0 --depth 4096 --svg decode.svg", "decode behind a long context"],
    ],
  },
  eval: {
    summary: "measure a model on a text: perplexity, or distance to another model",
    usage: "<ppl|kl> [model folder] --file <text> [flags]",
    positionals: 2,
    description: [
      "ppl: perplexity, by windows that move by a stride, as in Transformers' guide.",
      "kl: KL divergence from the reference's predictions to the model's, per token, and",
      "how often both find the same token likeliest. --dtype, --quantization and what",
      "belongs to it are the model's; the reference is loaded as it is.",
    ].join("\n"),
    flags: [
      "model",
      "file",
      "stride",
      "max-length",
      "reference",
      ...engineFlags,
      "json",
      "quiet",
      "help",
    ],
    examples: [
      ["mistral eval ppl --file story.txt", "the embedded model"],
      ["mistral eval ppl ./Mistral-7B-v0.3 --file story.txt --quantization nf4", "in 4 bits"],
      [
        "mistral eval kl ./Mistral-7B-v0.3 --quantization q4 --file story.txt",
        "what 4 bits cost against the same model as it is",
      ],
    ],
  },
  doctor: {
    summary: "show what this machine offers and what mistral chooses on it",
    usage: "[flags]",
    positionals: 0,
    description: "Checks Node, processor, SIMD, threads, memory and the embedded model.",
    flags: ["json", "threads", "no-revectorize", "help"],
    examples: [
      ["mistral doctor", "for people"],
      ["mistral doctor --json", "for a bug report"],
    ],
  },
  help: {
    summary: "explain a command",
    usage: "[command]",
    positionals: 1,
    description: "The same as `mistral <command> --help`.",
    flags: ["help"],
    examples: [["mistral help run", "everything about run"]],
  },
};
