// Messages and tools of a request, read from plain data as OpenAI's API and mistral-common write them, and checked field by field. A
// message is then one of four roles, and its content a text or a list of texts and thoughts. Knows no versions and no tokens.

import { unknownName } from "../../did-you-mean.ts";
import { Dict, type Value } from "../template/values.ts";
import { pythonJson, pythonValue } from "./python-json.ts";
import { refusal } from "./refusal.ts";

export type TextChunk = { type: "text"; text: string };
/** What a model thinks before it answers; `closed` false: it has not ended. */
export type ThinkChunk = { type: "thinking"; thinking: string; closed: boolean };
export type Chunk = TextChunk | ThinkChunk;
export type Content = string | Chunk[];

export type ToolCall = {
  /** "null" where the request gives none, as in mistral-common. */
  id: string;
  name: string;
  /** JSON as text. */
  arguments: string;
};

export type SystemMessage = { role: "system"; content: Content };
export type UserMessage = { role: "user"; content: Content };
export type AssistantMessage = {
  role: "assistant";
  content: Content | null;
  toolCalls: ToolCall[] | null;
  /** The model continues this message: no end token follows it. */
  prefix: boolean;
};
export type ToolMessage = {
  role: "tool";
  content: Content;
  toolCallId: string | null;
  name: string | null;
};
export type Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage;
export type Role = Message["role"];

export type Tool = { name: string; description: string; parameters: Dict };

/**
 * How data are read. "mistral": the fields of mistral-common's own classes, and any other field is refused. "openai": what OpenAI's API
 * sends; fields that are not known are ignored.
 */
export type Dialect = "mistral" | "openai";

type Data = Record<string, unknown>;
type Place = { where: string; dialect: Dialect };

const FIELDS: Readonly<Record<Role, readonly string[]>> = {
  system: ["role", "content"],
  user: ["role", "content"],
  assistant: ["role", "content", "tool_calls", "prefix"],
  tool: ["role", "content", "tool_call_id", "name"],
};
const MEDIA = ["image", "image_url", "input_audio", "audio_url", "audio"];

/** @throws InputError a message is no message */
export function readMessages(messages: readonly unknown[], place: Place): Message[] {
  return messages.map((message, i) =>
    readMessage(message, { ...place, where: `${place.where}: message ${i}` }),
  );
}

function readMessage(value: unknown, place: Place): Message {
  const data = objectOf(value, place.where, "{ role, content }");
  const developer = place.dialect === "openai" && data.role === "developer";
  const role = developer ? "system" : data.role;
  if (typeof role !== "string" || !Object.hasOwn(FIELDS, role)) {
    const roles = Object.keys(FIELDS);
    const problem = role === undefined ? "it has no role" : unknownName("role", role, roles);
    throw wrong(place.where, `${problem}; expected ${roles.join(", ")}`);
  }
  const known = role as Role;
  refuseOthers(data, FIELDS[known], place);
  switch (known) {
    case "system":
      return { role: known, content: readContent(data.content, known, place) };
    case "user":
      return { role: known, content: readContent(data.content, known, place) };
    case "assistant":
      return readAssistant(data, place);
    case "tool":
      if (place.dialect === "openai" && data.tool_call_id === undefined) {
        throw wrong(place.where, "a tool's result needs the tool_call_id that it answers");
      }
      return {
        role: known,
        content: readContent(data.content, known, place),
        toolCallId: optionalText(data, "tool_call_id", place.where),
        name: optionalText(data, "name", place.where),
      };
  }
}

function readAssistant(data: Data, place: Place): AssistantMessage {
  const content = data.content ?? null;
  const calls = data.tool_calls ?? null;
  if (calls !== null && !Array.isArray(calls)) {
    throw wrong(place.where, `tool_calls is ${shown(calls)}; expected an array`);
  }
  const prefix = place.dialect === "mistral" ? (data.prefix ?? false) : false;
  if (typeof prefix !== "boolean") {
    throw wrong(place.where, `prefix is ${shown(prefix)}; expected true or false`);
  }
  const message: AssistantMessage = {
    role: "assistant",
    content: content === null ? null : readContent(content, "assistant", place),
    toolCalls: calls?.map((call: unknown, i) => readToolCall(call, place, i)) ?? null,
    prefix,
  };
  return place.dialect === "openai" ? withReasoning(message, data, place.where) : message;
}

/** The thoughts that other APIs put into a field of their own, as the first part of the content. */
function withReasoning(message: AssistantMessage, data: Data, where: string): AssistantMessage {
  const first = optionalText(data, "reasoning_content", where);
  const second = optionalText(data, "reasoning", where);
  if (first !== null && second !== null && first !== second) {
    throw refusal(where, "ValueError", "reasoning_content and reasoning differ; give one of them");
  }
  const thinking = first ?? second;
  if (thinking === null) return message;
  const { content } = message;
  const chunks: Chunk[] =
    content === null
      ? []
      : typeof content === "string"
        ? [{ type: "text", text: content }]
        : content;
  if (chunks.some((chunk) => chunk.type === "thinking")) {
    const both = "thoughts stand in the content and in reasoning_content; give one of them";
    throw refusal(where, "InvalidAssistantMessageException", both);
  }
  return { ...message, content: [{ type: "thinking", thinking, closed: true }, ...chunks] };
}

function readContent(value: unknown, role: Role, place: Place): Content {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) {
    const came = value === undefined ? "missing" : shown(value);
    throw wrong(place.where, `the content is ${came}; expected a text or an array of parts`);
  }
  return value.map((part: unknown, i) => {
    const where = `${place.where}: part ${i}`;
    const chunk = readChunk(part, { ...place, where });
    const thinks = role === "assistant" || role === "system";
    if (chunk.type === "text" || thinks) return chunk;
    throw refusal(where, "ValidationError", `a message of role ${role} cannot have thoughts`);
  });
}

function readChunk(value: unknown, place: Place): Chunk {
  const { where } = place;
  const data = objectOf(value, where, '{ type: "text", text }');
  const { type } = data;
  if (type === "text") {
    refuseOthers(data, ["type", "text"], place);
    return { type, text: text(data, "text", where) };
  }
  if (type === "thinking") {
    refuseOthers(data, ["type", "thinking", "closed"], place);
    const closed = data.closed === undefined ? true : data.closed;
    if (typeof closed !== "boolean") {
      throw wrong(where, `closed is ${shown(closed)}; expected true or false`);
    }
    return { type, thinking: text(data, "thinking", where), closed };
  }
  if (typeof type === "string" && MEDIA.includes(type)) {
    throw wrong(
      where,
      `${JSON.stringify(type)}: this library's models read text only; leave images and audio out`,
    );
  }
  const problem =
    type === undefined ? "it has no type" : unknownName("type", type, ["text", "thinking"]);
  throw wrong(where, `${problem}; expected "text" or "thinking"`);
}

function readToolCall(value: unknown, place: Place, index: number): ToolCall {
  const where = `${place.where}: tool call ${index}`;
  const data = objectOf(value, where, "{ id, function: { name, arguments } }");
  refuseOthers(data, ["id", "type", "function"], { ...place, where });
  checkType(data, where);
  const id = data.id === undefined ? "null" : text(data, "id", where);
  const call = objectOf(data.function, `${where}: function`, "{ name, arguments }");
  refuseOthers(call, ["name", "arguments"], { ...place, where });
  return { id, name: text(call, "name", where), arguments: readArguments(call, where) };
}

function readArguments(call: Data, where: string): string {
  const { arguments: given } = call;
  if (typeof given === "string") return given;
  if (given === null) return "{}";
  const value = given === undefined ? undefined : pythonValue(given, where);
  if (value instanceof Dict) return pythonJson(value, where);
  throw wrong(where, `arguments is ${shown(given)}; expected JSON as text, or an object`);
}

/** @throws InputError a tool is no function with a name */
export function readTools(tools: readonly unknown[] | null | undefined, place: Place): Tool[] {
  return (tools ?? []).map((tool, i) =>
    readTool(tool, { ...place, where: `${place.where}: tool ${i}` }),
  );
}

function readTool(value: unknown, place: Place): Tool {
  const { where } = place;
  const openai = place.dialect === "openai";
  const data = objectOf(value, where, '{ type: "function", function: { name, … } }');
  refuseOthers(data, ["type", "function"], place);
  checkType(data, where);
  const tool = objectOf(data.function, `${where}: function`, "{ name, description, parameters }");
  refuseOthers(tool, ["name", "description", "parameters", "strict"], place);
  const strict =
    tool.strict === undefined || (openai && tool.strict === null) ? false : tool.strict;
  if (typeof strict !== "boolean") {
    throw wrong(where, `strict is ${shown(strict)}; expected true or false`);
  }
  const given = tool.description;
  const described =
    given === undefined || (openai && given === null) ? "" : text(tool, "description", where);
  const parameters: Value = pythonValue(
    openai ? (tool.parameters ?? {}) : tool.parameters,
    `${where}: parameters`,
  );
  if (!(parameters instanceof Dict)) {
    throw wrong(where, `parameters is ${shown(tool.parameters)}; expected a JSON schema object`);
  }
  return { name: text(tool, "name", where), description: described, parameters };
}

function checkType(data: Data, where: string): void {
  if (data.type !== undefined && data.type !== "function") {
    throw wrong(where, `its type is ${shown(data.type)}; expected "function"`);
  }
}

function refuseOthers(data: Data, known: readonly string[], { where, dialect }: Place): void {
  if (dialect === "openai") return;
  for (const [name, value] of Object.entries(data)) {
    if (value !== undefined && !known.includes(name)) {
      throw wrong(where, unknownName("field", name, known));
    }
  }
}

function objectOf(value: unknown, where: string, expected: string): Data {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Data;
  throw wrong(
    where,
    `it is ${value === undefined ? "missing" : shown(value)}; expected ${expected}`,
  );
}

function text(data: Data, name: string, where: string): string {
  const value = data[name];
  if (typeof value === "string") return value;
  const came = value === undefined ? "missing" : shown(value);
  throw wrong(where, `${name} is ${came}; expected a text`);
}

function optionalText(data: Data, name: string, where: string): string | null {
  return (data[name] ?? null) === null ? null : text(data, name, where);
}

const wrong = (where: string, message: string): Error => refusal(where, "ValidationError", message);

function shown(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const written = JSON.stringify(value) ?? typeof value;
  return written.length > 60 ? `${written.slice(0, 60)}…` : written;
}
