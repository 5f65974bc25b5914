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
};

export const flags = {
  model: {
    type: "text",
    value: "<folder>",
    short: "m",
    help: "folder of a checkpoint (default: the embedded model, which tells short stories)",
  },
  chat: {
    type: "switch",
    help: "take the prompt as a request in a conversation: apply the model's chat template",
  },
  seed: {
    type: "integer",
    value: "<n>",
    short: "s",
    help: "the same seed gives the same text, another seed another",
  },
  temperature: {
    type: "number",
    value: "<x>",
    short: "t",
    help: "below 1 more predictable, above 1 more varied; 0 is --greedy (default: the model's own)",
  },
  "top-k": { type: "integer", value: "<n>", help: "sample among the n likeliest tokens only" },
  "top-p": {
    type: "number",
    value: "<x>",
    help: "sample among the likeliest tokens that together have probability x",
  },
  "max-new-tokens": {
    type: "integer",
    value: "<n>",
    short: "n",
    help: "stop after n tokens",
  },
  stop: {
    type: "texts",
    value: "<text>",
    help: "stop after this text; may be given several times",
  },
  greedy: { type: "switch", help: "always take the likeliest token instead of sampling" },
  json: { type: "switch", help: "print one JSON object instead of text" },
  threads: {
    type: "integer",
    value: "<n>",
    help: "threads that compute (default: physical cores)",
  },
  dtype: {
    type: "text",
    value: "<type>",
    help: "storage of the weights: auto, float32, bfloat16, float16 (default: the checkpoint's)",
  },
  attn: {
    type: "text",
    value: "<name>",
    help: "attention: flash_attention_2, sdpa or eager (default: flash_attention_2)",
    among: ["flash_attention_2", "sdpa", "eager"],
  },
  device: {
    type: "text",
    value: "<name>",
    help: "cpu, or reference: slow, in double precision (default: cpu)",
    among: ["cpu", "reference"],
  },
  "no-revectorize": {
    type: "switch",
    help: "do not ask V8 to join pairs of 128-bit SIMD operations into 256-bit ones",
  },
  "no-history": { type: "switch", help: "neither read nor write the file of earlier questions" },
  "stdin-wait": {
    type: "number",
    value: "<seconds>",
    help: "how long to wait for a prompt on a pipe before telling the default story (default: for ever)",
  },
  quiet: { type: "switch", short: "q", help: "no progress and no timings on stderr" },
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
      "Prints the prompt and, as it is made, its continuation; speed and seed go to stderr.",
      "Without a prompt: reads it from a pipe; in a terminal, or when the pipe is empty, tells a story.",
      "With --chat only the answer is printed. A terminal gets control characters as visible text;",
      "a pipe or file gets exactly what the model wrote.",
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
      "Type a message and press Enter; /help lists what else can be typed. Ctrl-C stops an answer,",
      "Ctrl-C at the prompt leaves when pressed twice. When stdin is a pipe, each line is a message.",
      "Questions are remembered between sessions in a file that only you can read.",
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
