// The arguments of tool calls in a conversation, as text or as objects: APIs send a JSON text, Transformers' own examples an object,
// and a chat template may suit only one of them. Knows no template.

import { InputError } from "../../errors.ts";
import { Float, renderChatTemplate } from "../../text/chat-template.ts";

export type ToolArguments = "text" | "object";

type Message = Record<string, unknown>;

/** The messages with every `tool_calls[i].function.arguments` as text, or as an object. @throws InputError a text that is no JSON object */
export function withToolArguments(messages: Message[], form: ToolArguments): Message[] {
  return messages.map((message, at) => {
    const { tool_calls: calls } = message;
    if (!Array.isArray(calls)) return message;
    const convert = form === "text" ? asText : asObject(`message ${at}`);
    return { ...message, tool_calls: calls.map((call: unknown) => converted(call, convert)) };
  });
}

function converted(call: unknown, convert: (given: unknown) => unknown): unknown {
  if (!isRecord(call)) return call;
  if (isRecord(call.function)) return { ...call, function: converted(call.function, convert) };
  return call.arguments === undefined ? call : { ...call, arguments: convert(call.arguments) };
}

/** The JSON that `tojson` of a template writes. */
const asText = (given: unknown): unknown =>
  typeof given === "string" ? given : renderChatTemplate("{{ given | tojson }}", { given }).text;

const asObject =
  (where: string) =>
  (given: unknown): unknown => {
    if (typeof given !== "string") return given;
    const value = given.trim() === "" ? {} : parsed(given, where);
    if (isRecord(value)) return value;
    throw new InputError(
      `apply_chat_template: toolCallArguments: the arguments of a tool call in ${where} are ${JSON.stringify(given)}; ` +
        "expected the JSON of an object",
    );
  };

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text, keepNumbers) as unknown;
  } catch (error) {
    throw new InputError(
      `apply_chat_template: toolCallArguments: the arguments of a tool call in ${where} are no JSON (${(error as Error).message})`,
      { cause: error },
    );
  }
}

/** Numbers as Python reads them: 1.0 stays a float, and large ints keep all digits. */
function keepNumbers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || context?.source === undefined) return value;
  if (/[.eE]/.test(context.source)) return new Float(value);
  return Number.isSafeInteger(value) ? value : BigInt(context.source);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
