// The options of apply_chat_template where mistral-common encodes the conversation: they become requests, and options for rows of ids.
// Those that only a chat template can follow are refused with the reason. Knows no encodings.

import { unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { ChatCompletionRequest } from "../../text/mistral-common/chat-request.ts";
import { CHAT_OPTIONS, type ChatTemplateOptions } from "./apply-chat-template.ts";
import type { TokenizerOptions } from "./tokenizer-options.ts";

export type MistralChatOptions = {
  requests: ChatCompletionRequest[];
  batched: boolean;
  call: TokenizerOptions;
  tokenize: boolean;
  dict: boolean;
};

const OPTIONS: readonly string[] = [...CHAT_OPTIONS, "reasoning_effort", "response_format"];
/** What only a chat template can do. */
const TEMPLATES_ONLY = [
  ...["documents", "return_assistant_tokens_mask", "toolCallArguments", "templateBudget"],
];

/** @throws InputError an unknown option, or one that mistral-common's encodings do not have */
export function readConversation(
  where: string,
  conversation: readonly unknown[],
  options: ChatTemplateOptions,
): MistralChatOptions {
  for (const [name, value] of Object.entries(options)) {
    if (!OPTIONS.includes(name)) {
      throw new InputError(`${where}: ${unknownName("option", name, OPTIONS)}`);
    }
    const given = value !== undefined && value !== null && value !== false;
    if (given && TEMPLATES_ONLY.includes(name)) {
      throw new InputError(
        `${where}: ${name} needs a chat template, and this tokenizer encodes conversations as mistral-common does; pass chat_template, or leave it out`,
      );
    }
  }
  const {
    tools,
    add_generation_prompt = false,
    continue_final_message = false,
    tokenize = true,
    padding = false,
    truncation = false,
    max_length = null,
    return_tensors = null,
    return_dict = tokenize,
    tokenizer_kwargs = {},
    reasoning_effort,
    response_format,
  } = options;
  if (typeof continue_final_message !== "boolean") {
    throw new InputError(
      `${where}: continue_final_message is ${JSON.stringify(continue_final_message)}; mistral-common continues the content only: true or false`,
    );
  }
  if (add_generation_prompt && continue_final_message) {
    throw new InputError(
      `${where}: continue_final_message and add_generation_prompt are not compatible; leave one out`,
    );
  }
  if (!Array.isArray(conversation) || conversation.length === 0) {
    throw new InputError(`${where}: the conversation is no array of messages, or empty`);
  }
  const batched = Array.isArray(conversation[0]);
  const chats = (batched ? conversation : [conversation]) as readonly (readonly object[])[];
  const requests = chats.map((messages, i): ChatCompletionRequest => {
    if (!Array.isArray(messages)) {
      throw new InputError(`${where}: conversation ${i} of the batch is no array`);
    }
    const last = messages.at(-1) as { role?: unknown } | undefined;
    if (add_generation_prompt && last?.role === "assistant") {
      throw new InputError(
        `${where}: the last message is one of the assistant; to let the model continue it, pass continue_final_message in place of add_generation_prompt`,
      );
    }
    return {
      messages,
      tools,
      continue_final_message,
      reasoning_effort: reasoning_effort as string | null | undefined,
      response_format: (response_format ?? undefined) as object | undefined,
    };
  });
  const call = { padding, truncation, max_length, return_tensors, ...tokenizer_kwargs };
  return { requests, batched, call, tokenize, dict: return_dict };
}
