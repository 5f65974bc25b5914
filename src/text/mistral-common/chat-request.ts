// From a request, as mistral-common's `ChatCompletionRequest` or OpenAI's API write it, to token ids: its data are read, validated,
// normalized and encoded. Knows nothing of tokenizers' files and of batches.

import { unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { Dict } from "../template/values.ts";
import type { EncodedRequest, RequestEncoder } from "./encode.ts";
import { type Dialect, readMessages, readTools } from "./messages.ts";
import { settingsOf } from "./model-settings.ts";
import { normalize } from "./normalize.ts";
import { refusal } from "./refusal.ts";
import { validate, type ValidationMode } from "./validate.ts";

/** A request for an answer. Fields that only say how to answer are accepted, and change no token. */
export type ChatCompletionRequest = {
  /**
   * `{ role, content }` of role "system", "user", "assistant" or "tool"; content is a text or an array of `{ type: "text", text }` (and
   * of the assistant `{ type: "thinking", thinking }`). An assistant's message may have `tool_calls` and, if it is the last one that
   * the model continues, `prefix: true`; a tool's message has the `tool_call_id` that it answers.
   */
  messages: readonly object[];
  /** `{ type: "function", function: { name, description, parameters } }`; parameters are a JSON schema of Draft 7. */
  tools?: readonly object[] | null;
  /** Whether the model continues the last message, which must be one of the assistant. Default false. */
  continue_final_message?: boolean;
  /** The model's name: needed in mode "serving" only. */
  model?: string | null;
  /** Whether older messages may be dropped to fit `max_model_input_len`. Default false. */
  truncate_for_context_length?: boolean;
  temperature?: number;
  top_p?: number;
  max_tokens?: number | null;
  random_seed?: number | null;
  /** The form of the answer: `{ type: "text" }`, "json_object" or "json_schema". Written into the prompt by models of v15 that know it. */
  response_format?: object;
  tool_choice?: string | object;
  parallel_tool_calls?: boolean;
  /** How much the model thinks before it answers: "none", "low", "high" and so on, as the tokenizer's file lists (v15 only). */
  reasoning_effort?: string | null;
};

const FIELDS = [
  "messages",
  "tools",
  "continue_final_message",
  "model",
  "truncate_for_context_length",
  "temperature",
  "top_p",
  "max_tokens",
  "random_seed",
  "response_format",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning_effort",
];

export type RequestOptions = {
  mode: ValidationMode;
  dialect: Dialect;
  /** How many tokens fit if the request says truncate_for_context_length. */
  maxTokens: number | undefined;
  /** What is being done, for messages. */
  where: string;
};

/** @throws InputError the request is malformed, or what mistral-common refuses */
export function encodeRequest(
  encoder: RequestEncoder,
  request: ChatCompletionRequest,
  { mode, dialect, maxTokens, where }: RequestOptions,
): EncodedRequest {
  const { rules } = encoder;
  for (const name of Object.keys(request)) {
    if (!FIELDS.includes(name)) {
      throw refusal(where, "ValidationError", unknownName("field", name, FIELDS));
    }
  }
  if (!Array.isArray(request.messages)) {
    throw new InputError(`${where}: messages must be an array of { role, content }`);
  }
  if ((request.tools ?? null) !== null && !Array.isArray(request.tools)) {
    throw new InputError(`${where}: tools must be an array of functions`);
  }
  const messages = readMessages(request.messages, { where, dialect });
  if (request.continue_final_message === true) {
    const last = messages.at(-1);
    if (last?.role !== "assistant") {
      const problem = "continue_final_message needs a last message of the assistant";
      throw refusal(where, "InvalidMessageStructureException", problem);
    }
    last.prefix = true;
  }
  const tools = readTools(request.tools, { where, dialect });
  if (mode === "serving" && (request.model ?? null) === null) {
    throw refusal(where, "InvalidRequestException", 'mode "serving" needs the field model');
  }
  validate({ messages, tools, rules, mode, where });
  const settings = modelSettings(encoder, request, where);
  const truncates = request.truncate_for_context_length ?? false;
  if (truncates && maxTokens === undefined) {
    const problem = "truncate_for_context_length needs max_model_input_len";
    throw refusal(where, "TokenizerException", problem);
  }
  return encoder.encodeChat(normalize(messages, rules, where), tools, where, {
    settings,
    maxTokens: truncates ? maxTokens : undefined,
  });
}

function modelSettings(
  { rules, knownSettings }: RequestEncoder,
  request: ChatCompletionRequest,
  where: string,
): Dict | undefined {
  const kind = "InvalidRequestException";
  if (!rules.settings) {
    const effort = request.reasoning_effort ?? null;
    if (effort === null) return undefined;
    const problem = `reasoning_effort ${JSON.stringify(effort)}: ${rules.version} has no such setting`;
    throw refusal(where, kind, problem);
  }
  if (knownSettings === undefined) {
    throw refusal(
      where,
      kind,
      "the tokenizer's file has no model_settings_builder, which v15 needs",
    );
  }
  return settingsOf(knownSettings, request, where);
}
