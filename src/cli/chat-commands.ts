// What can be typed in a chat besides messages: /help, /system, /set, /save, /load, … Each command returns the text to show.
// Knows nothing of terminals and of generation.

import { readFile, writeFile } from "node:fs/promises";
import { unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import type { GenerateOptions } from "../index.ts";
import type { FlagValues } from "./arguments.ts";
import { parseArguments } from "./arguments.ts";
import { chanceFlags, tokenFlags } from "./continuation.ts";
import { defaultAnswerTokens } from "./conversation.ts";
import type { Conversation, Message } from "./conversation.ts";

/** What commands read and change. */
export type ChatState = {
  readonly conversation: Pick<
    Conversation,
    "messages" | "clear" | "own" | "system" | "instruct" | "restore"
  >;
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

const settable = [...chanceFlags, ...tokenFlags, "stop", "greedy", "seed"] as const;
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
  system: {
    usage: "/system [text]",
    meaning: "tell the model how to answer; off: nothing; alone: show it",
    run: system,
  },
  save: {
    usage: "/save <file>",
    meaning: "write the conversation to a new JSON file",
    run: save,
  },
  load: {
    usage: "/load <file>",
    meaning: "go on from a conversation that /save wrote",
    run: load,
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
  const [, typed, rest] = /^\s*\/(\S*)\s*(.*?)\s*$/.exec(line) ?? ["", "", ""];
  const name = ["bye", "quit"].includes(typed) ? "exit" : typed;
  if (!Object.hasOwn(table, name)) {
    throw new InputError(`${unknownName("command", `/${name}`, chatCommands)} (/help lists all)`);
  }
  return await table[name].run(state, rest);
}

function helpText(): string {
  const width = Math.max(...Object.values(table).map(({ usage }) => usage.length));
  return [
    ...Object.values(table).map(({ usage, meaning }) => `  ${usage.padEnd(width)}  ${meaning}`),
    'Anything else is a message; """ before and after it: of several lines.',
    "Ctrl-C stops an answer, arrow-up brings messages back.",
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

/** @throws InputError the file cannot be read, or is no conversation; the conversation stays as it was */
async function load({ conversation }: ChatState, file: string): Promise<Outcome> {
  if (file === "") throw new InputError("/load needs a file name, such as /load chat.json");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : cause;
    throw new InputError(`/load ${file}: cannot be read (${String(code)}); is the path right?`, {
      cause,
    });
  }
  const messages = parsedMessages(file, text);
  await conversation.restore(messages);
  const count = messages.length;
  return { show: `Loaded ${count} message${count === 1 ? "" : "s"} from ${file}.` };
}

function parsedMessages(file: string, text: string): Message[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`/load ${file}: not JSON; expected a file that /save wrote`, { cause });
  }
  const roles = ["system", "user", "assistant"];
  const isMessage = (one: unknown): one is Message => {
    const { role, content } = (one ?? {}) as Partial<Message>;
    return roles.includes(role ?? "") && typeof content === "string";
  };
  if (Array.isArray(value) && value.every(isMessage)) {
    return value.map(({ role, content }) => ({ role, content }));
  }
  throw new InputError(
    `/load ${file}: expected an array of { "role": "system", "user" or "assistant", "content": text }, as /save writes it`,
  );
}

function system({ conversation }: ChatState, text: string): Outcome {
  if (text !== "") conversation.instruct(text === "off" ? undefined : text);
  const now = conversation.system;
  return { show: now === undefined ? "No system message." : `System message: ${now}` };
}

function set(state: ChatState, rest: string): Outcome {
  const [, name, value] = /^(\S*)\s*(.*)$/.exec(rest) ?? ["", "", ""];
  if (name === "") return { show: settings(state) };
  const known = settable.find((setting) => setting === name.replaceAll("_", "-"));
  if (known === undefined) throw new InputError(`/set: ${unknownName("setting", name, settable)}`);
  if (known === "greedy") {
    if (value !== "on" && value !== "off") throw new InputError("/set greedy: expected on or off");
    const byChance = Object.fromEntries(chanceFlags.map((flag) => [flag, undefined]));
    state.flags =
      value === "on"
        ? { ...state.flags, ...byChance, greedy: true }
        : { ...state.flags, greedy: false };
  } else {
    if (value === "") throw new InputError(`/set ${known}: a value is missing`);
    const { flags } = parseArguments("chat", [`--${known}=${value}`]);
    if (known === "seed") state.seed = flags.seed ?? state.seed;
    else {
      const greedy = state.flags.greedy && !chanceFlags.some((flag) => flag === known);
      state.flags = { ...state.flags, greedy, [known]: flags[known] };
    }
  }
  return { show: `${known} = ${settingText(state, known)}` };
}

function settings(state: ChatState): string {
  return settable.map((name) => `  ${name.padEnd(20)} ${settingText(state, name)}`).join("\n");
}

function settingText({ flags, seed, conversation }: ChatState, name: Settable): string {
  if (name === "seed") return String(seed);
  if (name === "greedy") return flags.greedy ? "on" : "off";
  if (name === "stop") return flags.stop.length === 0 ? "none" : JSON.stringify(flags.stop);
  if (name === "max-new-tokens") return String(flags[name] ?? defaultAnswerTokens);
  const ofModel = conversation.own[name.replaceAll("-", "_") as keyof GenerateOptions];
  return String(
    flags[name] ?? `${typeof ofModel === "number" ? ofModel : "unset"} (the model's own)`,
  );
}
