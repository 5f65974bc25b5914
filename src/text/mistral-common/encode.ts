// A conversation, or the two sides of a gap, as token ids. Every text is encoded on its own and control tokens are put between
// them by their ids, so that no text of a user becomes a control token. Follows the `InstructTokenizer`s of mistral-common 1.13.
// Knows nothing of files.

import type {
  AssistantMessage,
  Content,
  Message,
  SystemMessage,
  ThinkChunk,
  Tool,
  ToolCall,
  ToolMessage,
} from "./messages.ts";
import type { KnownSettings } from "./model-settings.ts";
import type { Normalized } from "./normalize.ts";
import { pythonJson, readPythonJson } from "./python-json.ts";
import { refusal } from "./refusal.ts";
import type { VersionRules } from "./rules.ts";
import { Dict, type Value } from "../template/values.ts";

/** What this file needs of a tokenizer. */
export type PlainTokenizer = {
  /** The ids of a text in which no control token is looked for, without bos and eos. */
  encodePlain(text: string): ArrayLike<number>;
  /** The id of a control token. @throws CheckpointError the vocabulary has none of this name, and none stands for it */
  controlId(name: string): number;
};

export type EncodedRequest = {
  tokens: number[];
  /** The ids of the last message where the model continues it; otherwise null. */
  prefix_ids: number[] | null;
};

const NO_ID = "null";
// What stands before a suffix while it is encoded, so that no space is put before it; it is two tokens, which are cut off.
const BEFORE_SUFFIX = "☺";

export class RequestEncoder {
  readonly rules: VersionRules;
  /** The settings of v15 that the model knows; undefined: the tokenizer's file says none. */
  readonly knownSettings: KnownSettings | undefined;
  readonly #tokenizer: PlainTokenizer;

  constructor(tokenizer: PlainTokenizer, rules: VersionRules, knownSettings?: KnownSettings) {
    this.#tokenizer = tokenizer;
    this.rules = rules;
    this.knownSettings = knownSettings;
  }

  /**
   * The ids of a conversation that was validated and normalized.
   *
   * @param settings  of v15, written before a user message; undefined: none
   * @param maxTokens older messages are dropped until at most so many ids are left (from v7 on), bos not counted
   * @throws InputError what mistral-common's encoding of this version cannot express
   */
  encodeChat(
    { messages, system }: Normalized,
    tools: readonly Tool[],
    where: string,
    { settings, maxTokens }: { settings?: Dict; maxTokens?: number } = {},
  ): EncodedRequest {
    if (this.rules.toolResults === "one") this.#checkOneResult(messages, where);
    const first = messages.findIndex(({ role }) => role === "user");
    const last = messages.findLastIndex(({ role }) => role === "user");
    const place = { messages, tools, settings, system, first, last, where };
    const parts = messages.map((_, i): number[] | undefined => this.#message(i, place));
    const end = messages.at(-1);
    const continued = end?.role === "assistant" && end.prefix;
    const prefix_ids = continued ? (parts.at(-1) ?? null) : null;
    if (maxTokens !== undefined && this.rules.truncates) {
      dropMessages(parts, messages, maxTokens, last, where);
    }
    return { tokens: [this.#id("<s>"), ...parts.flatMap((part) => part ?? [])], prefix_ids };
  }

  /** The ids of a prompt whose continuation leads to `suffix`: fill in the middle. @throws InputError v1 has none */
  encodeFim(prompt: string, suffix: string | null, where: string): EncodedRequest {
    if (this.rules.tools === undefined) {
      const problem = `${this.rules.version} has no tokens to fill in the middle; use a model with version v2 or newer`;
      throw refusal(where, "TokenizerException", problem);
    }
    const behind =
      suffix === null || suffix === "" ? [] : this.#encode(BEFORE_SUFFIX + suffix).slice(2);
    const ids = [this.#id("[SUFFIX]"), ...behind, this.#id("[PREFIX]"), ...this.#encode(prompt)];
    return { tokens: [this.#id("<s>"), ...ids], prefix_ids: null };
  }

  #message(index: number, place: Place): number[] {
    const message = place.messages[index];
    switch (message.role) {
      case "user":
        return this.#user(message.content, index, place);
      case "system":
        return this.#system(message, place.where);
      case "assistant":
        return this.#assistant(message, index < place.last, place.where);
      case "tool":
        return this.#toolResult(message, index < place.last, place.where);
    }
  }

  #user(content: Content, index: number, place: Place): number[] {
    const { rules } = this;
    const { system, tools, settings, first, last, where } = place;
    const at = rules.system === "inFirstUser" ? first : rules.system === "inLastUser" ? last : -1;
    const before = index === at && system ? `${system}\n\n` : "";
    const text = before + textOf(content);
    if (rules.tools === undefined) return this.#encode(`[INST] ${text} [/INST]`);
    const said = this.#between("[INST]", text, "[/INST]");
    if (index !== (rules.tools === "first" ? first : last)) return said;
    const [list, set] = [tools.map(toolJson), settings].map((value) =>
      value === undefined || (Array.isArray(value) && value.length === 0)
        ? undefined
        : pythonJson(value, where),
    );
    return [
      ...(list === undefined ? [] : this.#between("[AVAILABLE_TOOLS]", list, "[/AVAILABLE_TOOLS]")),
      ...(set === undefined ? [] : this.#between("[MODEL_SETTINGS]", set, "[/MODEL_SETTINGS]")),
      ...said,
    ];
  }

  #system({ content }: SystemMessage, where: string): number[] {
    const inside = this.#content(content, where);
    return [this.#id("[SYSTEM_PROMPT]"), ...inside, this.#id("[/SYSTEM_PROMPT]")];
  }

  #assistant(message: AssistantMessage, past: boolean, where: string): number[] {
    const { rules } = this;
    const calls = message.toolCalls ?? [];
    const says = message.content !== null && message.content.length > 0;
    if (rules.toolCalls === "refused" && calls.length > 0) {
      throw refusal(where, "TokenizerException", `${rules.version} has no calls of tools`);
    }
    if (!says && calls.length === 0) {
      throw refusal(where, "TokenizerException", "a message of the assistant is empty");
    }
    if (!rules.textBesideCalls && says && calls.length > 0) {
      const problem = `messages of the assistant in a row have both content and tool_calls; ${rules.version} has no place for both`;
      throw refusal(where, "ValueError", problem);
    }
    if (rules.forgetsTools && calls.length > 0 && past) return [];
    const content = message.content ?? "";
    const trimmed = rules.trimsAssistant && typeof content === "string";
    return [
      ...(says ? this.#content(trimmed ? withoutTrailingSpaces(content) : content, where) : []),
      ...(calls.length > 0 ? this.#toolCalls(calls, where) : []),
      ...(message.prefix ? [] : [this.#id("</s>")]),
    ];
  }

  #toolCalls(calls: readonly ToolCall[], where: string): number[] {
    const kind = this.rules.toolCalls;
    if (kind === "json" || kind === "jsonWithIds") {
      const list = calls.map(
        (call) =>
          new Dict([
            ["name", call.name],
            ["arguments", parsed(call.arguments, where)],
            ...(kind === "jsonWithIds" && hasId(call) ? [["id", call.id] as const] : []),
          ]),
      );
      return [this.#id("[TOOL_CALLS]"), ...this.#encode(pythonJson(list, where))];
    }
    return calls.flatMap((call) => [
      this.#id("[TOOL_CALLS]"),
      ...this.#encode(call.name),
      ...(kind === "tokens" && hasId(call)
        ? [this.#id("[CALL_ID]"), ...this.#encode(call.id)]
        : []),
      this.#id("[ARGS]"),
      ...this.#encode(pythonJson(parsed(call.arguments, where), where)),
    ]);
  }

  #toolResult(message: ToolMessage, past: boolean, where: string): number[] {
    const { rules } = this;
    const text = textOf(message.content);
    if (rules.toolResults === "refused") {
      throw refusal(where, "TokenizerException", `${rules.version} has no results of tools`);
    }
    if (rules.toolResults === "one" && past) return [];
    return [
      this.#id("[TOOL_RESULTS]"),
      ...this.#result(message, text, where),
      this.#id("[/TOOL_RESULTS]"),
    ];
  }

  #result({ name, toolCallId }: ToolMessage, text: string, where: string): number[] {
    switch (this.rules.toolResults) {
      case "one": {
        const content = parsed(text, where);
        const list = [new Dict([["name", name] as const, ["content", content] as const])];
        return this.#encode(pythonJson(list, where));
      }
      case "json": {
        const content = parsed(text, where);
        const dict = new Dict([["content", content] as const, ["call_id", toolCallId] as const]);
        return this.#encode(pythonJson(dict, where));
      }
      case "tokens":
        return [
          ...this.#encode(toolCallId ?? ""),
          this.#id("[TOOL_CONTENT]"),
          ...this.#encode(text),
        ];
      default:
        return this.#encode(text);
    }
  }

  #content(content: Content, where: string): number[] {
    if (typeof content === "string") return this.#encode(content);
    return content.flatMap((chunk) =>
      chunk.type === "text" ? this.#encode(chunk.text) : this.#thoughts(chunk, where),
    );
  }

  #thoughts({ thinking, closed }: ThinkChunk, where: string): number[] {
    if (!this.rules.encodesThoughts) {
      const problem = `${this.rules.version} has no tokens for thoughts; leave them out`;
      throw refusal(where, "TokenizerException", problem);
    }
    const ids = [this.#id("[THINK]"), ...this.#encode(thinking)];
    return closed ? [...ids, this.#id("[/THINK]")] : ids;
  }

  /** In v2 at most one result follows a turn of the assistant, from the last user message on. */
  #checkOneResult(messages: readonly Message[], where: string): void {
    const last = messages.findLastIndex(({ role }) => role === "user");
    let called = false;
    let results = 0;
    for (const message of messages.slice(Math.max(last, 0))) {
      if (message.role === "tool") {
        if (called) results++;
      } else {
        called = message.role === "assistant" && message.toolCalls !== null;
        results = 0;
      }
      if (results > 1) {
        const problem = `${this.rules.version} can have one result of a tool for each turn of the assistant`;
        throw refusal(where, "UnsupportedTokenizerFeatureException", problem);
      }
    }
  }

  #between(begin: string, text: string, end: string): number[] {
    return [this.#id(begin), ...this.#encode(text), this.#id(end)];
  }

  #encode(text: string): number[] {
    return Array.from(this.#tokenizer.encodePlain(text));
  }

  #id(name: string): number {
    return this.#tokenizer.controlId(name);
  }
}

type Place = {
  messages: readonly Message[];
  tools: readonly Tool[];
  settings: Dict | undefined;
  system: string | null;
  /** The first and the last user message; −1: none. */
  first: number;
  last: number;
  where: string;
};

/** The text of a content that has no thoughts: one text, or none. */
function textOf(content: Content): string {
  if (typeof content === "string") return content;
  return content.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("");
}

/** As Python's rstrip(" "); not by a regular expression, whose time could grow with the square of a text of spaces. */
function withoutTrailingSpaces(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === " ") end--;
  return text.slice(0, end);
}

const hasId = ({ id }: ToolCall): boolean => id !== "" && id !== NO_ID;

/** The value of JSON; a text that is no JSON is a string. */
function parsed(text: string, where: string): Value {
  const value = readPythonJson(text, where);
  return value === undefined ? text : value;
}

function toolJson({ name, description, parameters }: Tool): Dict {
  const entries = [
    ["name", name],
    ["description", description],
    ["parameters", parameters],
  ] as const;
  return new Dict([
    ["type", "function"],
    ["function", new Dict(entries)],
  ]);
}

/** Drops the oldest turns, each with the answers to it, but no system message and not the last user message. */
function dropMessages(
  parts: (number[] | undefined)[],
  messages: readonly Message[],
  maxTokens: number,
  last: number,
  where: string,
): void {
  let excess = parts.reduce((sum, part) => sum + (part?.length ?? 0), 0) - maxTokens;
  const drop = (index: number): number => {
    if (messages[index].role === "system" || index === last) return 0;
    const count = parts[index]?.length ?? 0;
    parts[index] = undefined;
    return count;
  };
  for (let at = 0; excess > 0 && at < messages.length;) {
    excess -= drop(at++);
    if (messages[at - 1].role !== "user") continue;
    while (at < messages.length && messages[at].role !== "user") excess -= drop(at++);
  }
  if (excess > 0) {
    const problem = `the last messages take ${excess} tokens more than the ${maxTokens} that are allowed`;
    throw refusal(where, "TokenizerException", problem);
  }
}
