// What mistral-common makes of a conversation before it is encoded: messages of one role in a row become one, the parts of a message
// one text, and JSON is written anew. Follows `InstructRequestNormalizer` of mistral-common 1.13. Knows no tokens.

import type {
  AssistantMessage,
  Chunk,
  Content,
  Message,
  Role,
  ToolCall,
  ToolMessage,
} from "./messages.ts";
import { pythonJson, readPythonJson } from "./python-json.ts";
import { refusal } from "./refusal.ts";
import type { VersionRules } from "./rules.ts";

/** A conversation as it is encoded. */
export type Normalized = {
  messages: Message[];
  /** All system messages together, in versions that write them into a user message; null: none. */
  system: string | null;
};

const MESSAGES_APART = "\n\n";

/** @throws InputError text beside calls of tools where the version has no place for both */
export function normalize(
  messages: readonly Message[],
  rules: VersionRules,
  where: string,
): Normalized {
  const own = rules.system === "own";
  const out: Message[] = [];
  let calls: string[] = [];
  for (let from = 0; from < messages.length;) {
    const { role } = messages[from];
    let to = from + 1;
    while (to < messages.length && messages[to].role === role) to++;
    const run = messages.slice(from, to);
    const joined = joinRun(role, run, calls, { rules, where });
    out.push(...joined);
    const [first] = joined;
    if (first?.role === "assistant") calls.push(...(first.toolCalls ?? []).map(({ id }) => id));
    // the results of one turn are ordered by the calls since the last results
    if (role === "tool") calls = [];
    from = to;
  }
  if (out.length === 0 || (!own && out[0].role !== "user")) {
    out.unshift({ role: "user", content: "" });
  }
  return { messages: out, system: own ? null : systemPrompt(messages, rules) };
}

type Context = { rules: VersionRules; where: string };

function joinRun(
  role: Role,
  run: readonly Message[],
  calls: readonly string[],
  context: Context,
): Message[] {
  const { rules } = context;
  const content = (messages: readonly Message[]): Content =>
    joinContents(
      messages.map((message) => message.content),
      rules.joinsParts,
    );
  switch (role) {
    case "system":
      return rules.system === "own"
        ? run.map((message) => ({ role, content: content([message]) }))
        : [];
    case "user":
      return [{ role, content: content(run) }];
    case "assistant":
      return [joinAssistant(run as readonly AssistantMessage[], content(run), context)];
    case "tool": {
      const results = (run as readonly ToolMessage[]).map((message) => {
        const text = content([message]);
        const rewritten = rules.rewritesResults && typeof text === "string";
        return { ...message, content: rewritten ? rewrittenJson(text, context.where) : text };
      });
      return rules.matchesIds ? ordered(results, calls) : results;
    }
  }
}

function joinAssistant(
  run: readonly AssistantMessage[],
  content: Content,
  { rules, where }: Context,
): AssistantMessage {
  const toolCalls: ToolCall[] = [];
  for (const message of run) {
    const calls = message.toolCalls ?? [];
    if (!rules.textBesideCalls && calls.length > 0 && (message.content ?? "").length > 0) {
      throw refusal(where, "ValueError", "a message has both content and tool_calls");
    }
    for (const call of calls) {
      toolCalls.push({ ...call, arguments: rewrittenJson(call.arguments, where) });
    }
  }
  return {
    role: "assistant",
    content,
    toolCalls: toolCalls.length === 0 ? null : toolCalls,
    prefix: run.some((message) => message.prefix),
  };
}

/** Results in the order of their calls; those of unknown calls last, and otherwise as they came. */
function ordered(results: readonly ToolMessage[], calls: readonly string[]): ToolMessage[] {
  const places = new Map(calls.map((id, i) => [id, i]));
  const came = new Map(results.map(({ toolCallId }, i) => [toolCallId, i]));
  // an absent or empty id counts as "null"
  const place = ({ toolCallId }: ToolMessage): number =>
    places.get(toolCallId === null || toolCallId === "" ? "null" : toolCallId) ?? Infinity;
  return results.toSorted((a, b) => {
    const [x, y] = [place(a), place(b)];
    if (x !== y) return x < y ? -1 : 1;
    return (came.get(a.toolCallId) ?? 0) - (came.get(b.toolCallId) ?? 0);
  });
}

function systemPrompt(messages: readonly Message[], rules: VersionRules): string | null {
  const prompts: string[] = [];
  for (const { role, content } of messages) {
    if (role !== "system" || content.length === 0) continue;
    const text = joinContents([content], rules.joinsParts);
    // such versions have no thoughts in system messages, so that it is one text
    if (typeof text === "string") prompts.push(text);
  }
  return prompts.length === 0 ? null : prompts.join(MESSAGES_APART);
}

/**
 * The contents of messages of one role as one: texts joined, thoughts between them kept apart.
 *
 * @param partsApart what stands between the text parts of one message
 */
function joinContents(contents: readonly (Content | null)[], partsApart: string): Content {
  const chunks: Chunk[] = [];
  let text: string | undefined;
  const flush = (): void => {
    if (text !== undefined) chunks.push({ type: "text", text });
    text = undefined;
  };
  for (const content of contents) {
    let apart = MESSAGES_APART;
    const parts =
      typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
    for (const part of parts ?? []) {
      if (part.type === "thinking") {
        flush();
        chunks.push(part);
      } else if (part.text !== "") {
        text = text === undefined ? part.text : text + apart + part.text;
        apart = partsApart;
      }
    }
  }
  if (chunks.length === 0) return text ?? "";
  flush();
  return chunks;
}

/** JSON as Python writes it; a text that is no JSON stays as it is, and an empty one becomes {}. */
function rewrittenJson(text: string, where: string): string {
  if (text === "") return "{}";
  const value = readPythonJson(text, where);
  return value === undefined ? text : pythonJson(value, where);
}
