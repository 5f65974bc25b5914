// What can be typed in a chat besides messages: /help, /clear, /save, /set, /exit. Each command returns the text to show.
// Knows nothing of terminals and of generation.

import { writeFile } from "node:fs/promises";
import { unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import type { FlagValues } from "./arguments.ts";
import { parseArguments } from "./arguments.ts";
import { defaultAnswerTokens } from "./conversation.ts";
import type { Conversation } from "./conversation.ts";

/** What commands read and change. */
export type ChatState = {
  readonly conversation: Pick<Conversation, "messages" | "clear" | "own">;
  /** Sampling settings; /set replaces them. */
  flags: FlagValues;
  /** The seed of the next answer. */
  seed: number;
};

type Outcome = { readonly show: string; readonly leave?: true };

type ChatCommand = {
  readonly usage: string;
  readonly meaning: string;
  readonly run: (state: ChatState, rest: string) => Outcome | Promise<Outcome>;
};

const settable = [
  "temperature",
  "top-k",
  "top-p",
  "max-new-tokens",
  "stop",
  "greedy",
  "seed",
] as const;
type Settable = (typeof settable)[number];

const table: Readonly<Record<string, ChatCommand>> = {
  help: { usage: "/help", meaning: "this list", run: () => ({ show: helpText() }) },
  clear: {
    usage: "/clear",
    meaning: "forget the conversation",
    async run(state) {
      await state.conversation.clear();
      return { show: "The conversation starts anew." };
    },
  },
  save: {
    usage: "/save <file>",
    meaning: "write the conversation to a new JSON file",
    run: save,
  },
  set: {
    usage: "/set [name value]",
    meaning: "change how answers are sampled; alone: show what can be set",
    run: set,
  },
  exit: { usage: "/exit", meaning: "leave (or Ctrl-D)", run: () => ({ show: "", leave: true }) },
};

/** "/help", "/clear" …, which Tab completes. */
export const chatCommands: readonly string[] = Object.keys(table).map((name) => `/${name}`);

/** Whether a line is a command. Text of several lines, such as a paste, never is. */
export function isChatCommand(line: string): boolean {
  return /^\s*\/[^\n]*$/.test(line);
}

/** Runs a command. @throws InputError an unknown command, setting or value; the file exists or cannot be written */
export async function runChatCommand(line: string, state: ChatState): Promise<Outcome> {
  const [, name, rest] = /^\s*\/(\S*)\s*(.*?)\s*$/.exec(line) ?? ["", "", ""];
  if (!Object.hasOwn(table, name)) {
    throw new InputError(`${unknownName("command", `/${name}`, chatCommands)} (/help lists all)`);
  }
  return await table[name].run(state, rest);
}

function helpText(): string {
  const width = Math.max(...Object.values(table).map(({ usage }) => usage.length));
  return [
    ...Object.values(table).map(({ usage, meaning }) => `  ${usage.padEnd(width)}  ${meaning}`),
    "Anything else is a message. Ctrl-C stops an answer, arrow-up brings messages back.",
  ].join("\n");
}

async function save({ conversation }: ChatState, file: string): Promise<Outcome> {
  if (file === "") throw new InputError("/save needs a file name, such as /save chat.json");
  try {
    const text = `${JSON.stringify(conversation.messages, undefined, 2)}\n`;
    await writeFile(file, text, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const why = code === "EEXIST" ? "it exists already" : String(code ?? cause);
    throw new InputError(`/save ${file}: ${why}; give another name`, { cause });
  }
  const count = conversation.messages.length;
  return { show: `Saved ${count} message${count === 1 ? "" : "s"} to ${file}.` };
}

function set(state: ChatState, rest: string): Outcome {
  const [, name, value] = /^(\S*)\s*(.*)$/.exec(rest) ?? ["", "", ""];
  if (name === "") return { show: settings(state) };
  const known = settable.find((setting) => setting === name.replaceAll("_", "-"));
  if (known === undefined) throw new InputError(`/set: ${unknownName("setting", name, settable)}`);
  if (known === "greedy") {
    if (value !== "on" && value !== "off") throw new InputError("/set greedy: expected on or off");
    const untempered = { temperature: undefined, "top-k": undefined, "top-p": undefined };
    state.flags =
      value === "on"
        ? { ...state.flags, ...untempered, greedy: true }
        : { ...state.flags, greedy: false };
  } else {
    if (value === "") throw new InputError(`/set ${known}: a value is missing`);
    const { flags } = parseArguments("chat", [`--${known}=${value}`]);
    if (known === "seed") state.seed = flags.seed ?? state.seed;
    else state.flags = { ...state.flags, greedy: false, [known]: flags[known] };
  }
  return { show: `${known} = ${settingText(state, known)}` };
}

function settings(state: ChatState): string {
  return settable.map((name) => `  ${name.padEnd(14)} ${settingText(state, name)}`).join("\n");
}

function settingText({ flags, seed, conversation }: ChatState, name: Settable): string {
  if (name === "seed") return String(seed);
  if (name === "greedy") return flags.greedy ? "on" : "off";
  if (name === "stop") return flags.stop.length === 0 ? "none" : JSON.stringify(flags.stop);
  if (name === "max-new-tokens") return String(flags[name] ?? defaultAnswerTokens);
  const { temperature, top_k, top_p } = conversation.own;
  const ofModel = { temperature, "top-k": top_k, "top-p": top_p }[name];
  return String(flags[name] ?? `${ofModel ?? "unset"} (the model's own)`);
}
