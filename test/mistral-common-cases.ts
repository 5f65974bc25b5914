// Cases of requests with what mistral-common gives for them, as test/full/mistral_common_cases.py writes them, and what this library
// gives. Used by the test of stored cases and by the full test, which makes new ones.

import type { ChatMessage } from "../src/api/tokenizer/apply-chat-template.ts";
import {
  MistralCommonBackend,
  type SpecialTokenPolicy,
  type Tokenized,
} from "../src/api/tokenizer/mistral-common-backend.ts";
import { InputError } from "../src/errors.ts";
import type { ChatCompletionRequest } from "../src/text/mistral-common/chat-request.ts";
import type { ValidationMode } from "../src/text/mistral-common/validate.ts";

type Failure = { error: string; message: string };
type Outcome<T> = T | Failure;

export type RequestCase = {
  request: ChatCompletionRequest;
  limit: number | null;
  mode: ValidationMode;
  openai: { continue_final_message: boolean };
  fim: { prompt: string; suffix: string | null };
  text: string;
  results: Record<string, Results>;
};

type Results = {
  chat: Outcome<Tokenized>;
  template: Outcome<Tokenized>;
  fim: Outcome<Tokenized>;
  encode: Outcome<number[]>;
  ids: number[];
  decode: Record<SpecialTokenPolicy, Outcome<string>>;
};

export type StoredCases = { tokenizers: string[]; cases: RequestCase[] };

/** What was got for a case and a tokenizer, with an error as `{ error: kind }`; mistral-common's errors without a kind are "error". */
export function ours(t: MistralCommonBackend, one: RequestCase, name: string): object {
  const { request, limit, openai, fim, text } = one;
  const { ids } = one.results[name];
  return {
    chat: outcome(() =>
      t.encode_chat_completion(request, { max_model_input_len: limit ?? undefined }),
    ),
    template: outcome(() => {
      const messages = request.messages as ChatMessage[];
      const options = { tools: request.tools, ...openai };
      const tokens = t.apply_chat_template(messages, { ...options, return_dict: false });
      return { tokens, text: t.apply_chat_template(messages, { ...options, tokenize: false }) };
    }),
    fim: outcome(() => t.encode_fim(fim)),
    encode: outcome(() => t(text).input_ids),
    decode: Object.fromEntries(
      (["ignore", "keep", "raise"] as const).map((policy) => [
        policy,
        outcome(() => t.decode(ids, { special_token_policy: policy })),
      ]),
    ),
  };
}

/** What mistral-common gave, in the same form. */
export function theirs(one: RequestCase, name: string): object {
  const { chat, template, fim, encode, decode } = one.results[name];
  const shown = (result: Outcome<Tokenized>): object =>
    "error" in result ? failure(result) : { tokens: result.tokens, text: result.text };
  return {
    chat: "error" in chat ? failure(chat) : chat,
    template: shown(template),
    fim: "error" in fim ? failure(fim) : fim,
    encode,
    decode: Object.fromEntries(
      Object.entries(decode).map(([policy, result]) => [
        policy,
        typeof result === "string" ? result : { error: "error" },
      ]),
    ),
  };
}

// exceptions of Python itself, which mistral-common meets where it does not expect a request so
const PYTHON = ["AssertionError", "AttributeError", "IndexError", "KeyError", "TypeError"];
const UNNAMED = [...PYTHON, "ValueError", "ValidationError"];

const failure = ({ error }: Failure): object => ({
  error: UNNAMED.includes(error) ? "error" : error,
});

function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const kind = /\(mistral-common: (\w+)\)$/.exec(error.message)?.[1] ?? "error";
    return { error: UNNAMED.includes(kind) ? "error" : kind };
  }
}
