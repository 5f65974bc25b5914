// Which conversations mistral-common accepts, in each version: the order of roles, calls of tools and their results, ids, names and
// schemas. Follows `MistralRequestValidator` of mistral-common 1.13. Knows nothing of how they are encoded.

import { schemaProblem } from "./json-schema.ts";
import type { AssistantMessage, Content, Message, Role, Tool, ToolCall } from "./messages.ts";
import { refusal, type RefusalKind } from "./refusal.ts";
import type { VersionRules } from "./rules.ts";

/**
 * "test": what a program asks a model. "serving": as "test", and every call of a tool has its result. "finetuning": a text to train on,
 * which ends with the assistant. "agnostic": any end.
 */
export type ValidationMode = "test" | "serving" | "finetuning" | "agnostic";

export const VALIDATION_MODES: readonly ValidationMode[] = [
  "test",
  "serving",
  "finetuning",
  "agnostic",
];

const FOLLOWERS: Readonly<Record<Role, readonly Role[]>> = {
  system: ["user", "assistant", "system"],
  user: ["assistant", "system", "user"],
  assistant: ["assistant", "user", "tool"],
  tool: ["assistant", "tool", "user"],
};
// Python's $ also matches before a line end at the end of a text
const FUNCTION_NAME = /^[a-zA-Z0-9_-]{1,64}\n?$/;
const NINE = /^[a-zA-Z0-9]{9}\n?$/;
const NO_ID = "null";
const STRUCTURE = "InvalidMessageStructureException";

export type Judged = {
  messages: readonly Message[];
  tools: readonly Tool[];
  rules: VersionRules;
  mode: ValidationMode;
  /** What is being done, for messages. */
  where: string;
};

/** @throws InputError mistral-common refuses the conversation */
export function validate(judged: Judged): void {
  validateStructure(judged);
  judged.messages.forEach((message, i) => validateMessage(message, i, judged));
  judged.tools.forEach((tool, i) => {
    const where = `${judged.where}: tool ${i}`;
    const problem = schemaProblem(tool.parameters);
    if (problem !== undefined) {
      throw refusal(
        where,
        "InvalidToolSchemaException",
        `parameters are no JSON schema: ${problem}`,
      );
    }
    checkName(tool.name, where, "InvalidToolException");
  });
}

function validateStructure(judged: Judged): void {
  const { messages, mode, rules, where } = judged;
  const last = messages.at(-1);
  if (last === undefined) {
    throw refusal(where, STRUCTURE, "the conversation is empty; expected at least one message");
  }
  if (messages.length === 1 && last.role !== "user" && last.role !== "system") {
    const expected = "a conversation of one message must be one of the user or the system";
    throw refusal(where, STRUCTURE, `the only message is of role ${last.role}; ${expected}`);
  }
  if (mode === "finetuning" || messages.length > 1) validateLast(last, judged);
  messages.forEach(({ role }, i) => {
    const before = messages[i - 1]?.role;
    if (before !== undefined && !FOLLOWERS[before].includes(role)) {
      const expected = FOLLOWERS[before].join(", ");
      const problem = `role ${role} follows role ${before}; expected ${expected}`;
      throw refusal(`${where}: message ${i}`, STRUCTURE, problem);
    }
  });
  if (rules.matchesIds) matchIds(judged);
  else countResults(judged);
}

function validateLast(last: Message, judged: Judged): void {
  const { mode, rules, where } = judged;
  if (mode === "agnostic") return;
  const assistant = last.role === "assistant" ? last : undefined;
  if (mode !== "finetuning") {
    if (assistant === undefined || assistant.prefix) return;
    const remedy =
      "end with a message of the user or a tool's result, or let the model continue the assistant's message (continue_final_message)";
    throw refusal(where, STRUCTURE, `the last message is one of the assistant; ${remedy}`);
  }
  if (assistant === undefined) {
    const problem = `the last message is of role ${last.role}; for training it must be one of the assistant`;
    throw refusal(where, STRUCTURE, problem);
  }
  if (assistant.prefix) {
    throw refusal(where, STRUCTURE, "the last message cannot be continued in mode finetuning");
  }
  if (rules.callId === "any") return;
  for (const call of assistant.toolCalls ?? [])
    validateCall(call, true, `${where}: last message`, judged);
}

const different = (at: string): Error =>
  refusal(at, STRUCTURE, "not the same number of tool calls and results");

/** The first message counts for nothing, as in mistral-common. */
function countResults({ messages, mode, where }: Judged): void {
  let expected = 0;
  messages.slice(1).forEach((message, i) => {
    if (message.role === "tool") expected--;
    else if (message.role === "assistant") {
      if (expected !== 0) throw different(`${where}: message ${i + 1}`);
      expected = message.toolCalls?.length ?? expected;
    }
  });
  if (expected !== 0 && mode === "serving") throw different(where);
  if (expected < 0 && mode === "finetuning") {
    throw refusal(where, STRUCTURE, "more results of tools than calls");
  }
}

function matchIds({ messages, mode, where }: Judged): void {
  const expected = new Set<string>();
  const seen = new Set<string | null>();
  messages.slice(1).forEach((message, i) => {
    const at = `${where}: message ${i + 1}`;
    if (message.role === "tool") {
      const id = message.toolCallId;
      if (seen.has(id))
        throw refusal(at, STRUCTURE, `a second result for the tool call ${shown(id)}`);
      if (id === null || !expected.has(id)) {
        throw refusal(at, STRUCTURE, `a result for the tool call ${shown(id)}, which was not made`);
      }
      seen.add(id);
    } else if (message.role === "assistant") {
      if (expected.size !== seen.size) throw different(at);
      expected.clear();
      seen.clear();
      for (const { id } of message.toolCalls ?? []) {
        if (expected.has(id))
          throw refusal(at, STRUCTURE, `two tool calls have the id ${shown(id)}`);
        expected.add(id);
      }
    }
  });
  if (expected.size !== seen.size && mode === "serving") throw different(where);
  if (expected.size < seen.size && (mode === "finetuning" || mode === "agnostic")) {
    throw refusal(where, STRUCTURE, "more results of tools than calls");
  }
}

const KINDS: Readonly<Record<Role, RefusalKind>> = {
  system: "InvalidSystemPromptException",
  user: "InvalidUserMessageException",
  assistant: "InvalidAssistantMessageException",
  tool: "InvalidToolMessageException",
};

function validateMessage(message: Message, index: number, judged: Judged): void {
  const { rules } = judged;
  const where = `${judged.where}: message ${index}`;
  checkThoughts(message.role, message.content, rules, where);
  if (message.role === "assistant") {
    validateAssistant(message, index === judged.messages.length - 1, where, judged);
  } else if (message.role === "tool") {
    if (message.name !== null) checkName(message.name, where, "InvalidToolMessageException");
    const id = message.toolCallId;
    if (rules.callId === "nine" && id === null) {
      throw refusal(where, "InvalidRequestException", "a tool's result needs its tool_call_id");
    }
    checkId(id, rules, where, "InvalidToolMessageException");
  }
}

function checkThoughts(
  role: Role,
  content: Content | null,
  rules: VersionRules,
  where: string,
): void {
  if (typeof content === "string" || content === null) return;
  const allowed = (rules.thinks as readonly Role[]).includes(role);
  if (!allowed && content.some((chunk) => chunk.type === "thinking")) {
    throw refusal(
      where,
      KINDS[role],
      `${rules.version} has no thoughts in messages of role ${role}`,
    );
  }
}

function validateAssistant(
  message: AssistantMessage,
  last: boolean,
  where: string,
  judged: Judged,
): void {
  const { content, toolCalls } = message;
  const says = content !== null && content.length > 0;
  const calls = (toolCalls?.length ?? 0) > 0;
  if (!judged.rules.textBesideCalls && says === calls) {
    const problem = `it has ${says ? "both content and tool_calls" : "neither content nor tool_calls"}`;
    throw refusal(where, KINDS.assistant, `${problem}; ${judged.rules.version} needs one of them`);
  }
  for (const call of toolCalls ?? []) validateCall(call, last, where, judged);
  if (message.prefix && !last) {
    throw refusal(where, KINDS.assistant, "only the last message can be continued (prefix)");
  }
}

function validateCall(call: ToolCall, last: boolean, where: string, judged: Judged): void {
  const { rules, mode } = judged;
  const kind = "InvalidFunctionCallException";
  if (rules.callId === "nine" && call.id === NO_ID) {
    const training = mode === "finetuning" || mode === "agnostic";
    if (!(training && last)) throw refusal(where, kind, "a tool call needs an id");
  } else checkId(call.id, rules, where, kind);
  checkName(call.name, where, kind);
}

function checkId(
  id: string | null,
  { callId, version }: VersionRules,
  where: string,
  kind: RefusalKind,
): void {
  if (callId === "nine" && !NINE.test(id ?? "")) {
    const expected = `${version} needs nine letters and digits (a-z, A-Z, 0-9)`;
    throw refusal(where, kind, `the id of the tool call is ${shown(id)}; ${expected}`);
  }
  if (callId === "some" && (id === null || id === "" || id === NO_ID)) {
    throw refusal(where, kind, `the id of the tool call is ${shown(id)}; expected a text`);
  }
}

function checkName(name: string, where: string, kind: RefusalKind): void {
  if (FUNCTION_NAME.test(name)) return;
  const expected = "expected 1 to 64 letters, digits, _ and -";
  throw refusal(where, kind, `the function's name is ${shown(name)}; ${expected}`);
}

const shown = (value: string | null): string => JSON.stringify(value);
