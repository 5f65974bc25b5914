// The whole surface of the command line as data: every flag, every command. Help, parsing and "did you mean" are read from here.
// A flag means the same wherever it is taken. Knows nothing of what the commands do.

/** How a flag's text is read: a switch takes no value, `texts` may be given several times. */
export type FlagType = "switch" | "text" | "texts" | "integer" | "number";

export type Flag = {
  readonly type: FlagType;
  /** What stands for the value in the help. */
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
    value: "<folder>",
    short: "m",
    help: "a checkpoint (default: the embedded storyteller)",
  },
  chat: { type: "switch", help: "answer the prompt, by the model's chat template" },
  seed: {
    type: "integer",
    value: "<n>",
    short: "s",
    help: "same seed, same text; another seed, another",
    range: [0, 2_147_483_647],
  },
  temperature: {
    type: "number",
    value: "<x>",
    short: "t",
    help: "more varied above 1, less below (default: model's)",
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
    help: "… among the likeliest that add up to x",
    range: [0, 1],
  },
  "max-new-tokens": {
    type: "integer",
    value: "<n>",
    short: "n",
    help: "stop after n tokens (default: 300, chat 1024)",
    range: [1, 2_147_483_647],
  },
  stop: { type: "texts", value: "<text>", help: "stop after this text; may be given again" },
  greedy: { type: "switch", help: "take the likeliest token, do not sample" },
  json: { type: "switch", help: "print one JSON object instead of text" },
  threads: {
    type: "integer",
    value: "<n>",
    help: "that compute (default: physical cores)",
    range: [1, 64],
  },
  dtype: {
    type: "text",
    value: "<type>",
    help: "auto, float32, bfloat16, float16 (default: auto)",
  },
  attn: {
    type: "text",
    value: "<name>",
    help: "flash_attention_2, sdpa (default) or eager",
    among: ["flash_attention_2", "sdpa", "eager"],
  },
  device: {
    type: "text",
    value: "<name>",
    help: "cpu (default); reference: slow, in float64",
    among: ["cpu", "reference"],
  },
  "no-revectorize": { type: "switch", help: "leave V8's 256-bit SIMD off" },
  "no-history": { type: "switch", help: "keep no file of earlier questions" },
  "stdin-wait": {
    type: "number",
    value: "<s>",
    help: "seconds to wait for a silent pipe (default: ever)",
    range: [0, 86_400],
  },
  quiet: { type: "switch", short: "q", help: "no progress, no timings" },
  help: { type: "switch", short: "h", help: "show this help" },
} as const;

export type FlagName = keyof typeof flags;

export type Command = {
  readonly summary: string;
  /** What follows the command's name. */
  readonly usage: string;
  /** How many words may stand beside the flags. */
  readonly positionals: number;
  readonly description: string;
  readonly flags: readonly FlagName[];
  readonly examples: readonly (readonly [command: string, meaning: string])[];
};

export type CommandName = "run" | "chat" | "doctor" | "help";

const engineFlags: readonly FlagName[] = ["device", "threads", "dtype", "attn", "no-revectorize"];
const samplingFlags: readonly FlagName[] = [
  "seed",
  "temperature",
  "top-k",
  "top-p",
  "max-new-tokens",
  "stop",
  "greedy",
];

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
  doctor: {
    summary: "show what this machine offers and what mistral makes of it",
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
