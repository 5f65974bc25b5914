// The pipeline "text-generation": texts and conversations, continued by a language model. Does not know how tokens are chosen.

import { InputError } from "../../errors.ts";
import { GenerationConfig, type GenerationOptions } from "../../generate/generation-config.ts";
import { fieldNames } from "../../generate/generation-fields.ts";
import { refusePromise } from "../forgotten-await.ts";
import type { ChatMessage, ChatTemplateOptions } from "../tokenizer/apply-chat-template.ts";
import type { MistralForCausalLM } from "../model/causal-lm.ts";
import type { GenerateOptions, GenerateSettings } from "../model/generate.ts";
import type { TokenizerOptions } from "../tokenizer/tokenizer-options.ts";
import { Pipeline, type PipelineCallOptions } from "./pipeline-base.ts";

export type TextGenerationOptions = PipelineCallOptions &
  GenerateSettings & {
    /** Whether the result begins with the prompt, or holds the whole conversation. Default true. */
    return_full_text?: boolean;
    /** Whether ids are returned in place of texts, the prompt's included. Default false. */
    return_tensors?: boolean;
    /** Whether texts are returned, which is the default. Not together with the two above. */
    return_text?: boolean;
    /** Accepted, and changes nothing, as in Transformers for BPE. */
    clean_up_tokenization_spaces?: boolean;
    /** Stands before each prompt; it is not in the result. */
    prefix?: string;
    /** "hole": a prompt too long for the tokenizer's `model_max_length` beside the new tokens loses its beginning. Default: nothing is cut. */
    handle_long_generation?: "hole" | null;
    /** One text or several at which generation ends; the result holds it. */
    stop_sequence?: string | readonly string[];
    /** Whether prompts longer than `max_length`, or the tokenizer's `model_max_length`, are cut. Default false. */
    truncation?: boolean;
    /** Whether the last message of a conversation is continued. Default: whether it is the assistant's. */
    continue_final_message?: boolean;
    /** Whether special tokens are left out of texts. Default true. */
    skip_special_tokens?: boolean;
    /** Whether the bos token stands before a prompt that is no conversation. Default: the tokenizer's setting. */
    add_special_tokens?: boolean;
    /** Tools that the chat template describes. */
    tools?: ChatTemplateOptions["tools"];
    /** Documents that the chat template shows. */
    documents?: ChatTemplateOptions["documents"];
    /** More options of the tokenizer, or of the chat template for conversations. */
    tokenizer_encode_kwargs?: TokenizerOptions & ChatTemplateOptions;
  };

/** What is generated from one prompt: a text, or the conversation with the new message, or ids. */
export type Generated<Text extends string | ChatMessage[] = string | ChatMessage[]> = {
  generated_text: Text;
  /** With `return_tensors`, in place of the text. */
  generated_token_ids?: number[];
};

type Chat = readonly ChatMessage[];
type FullText = TextGenerationOptions & { return_full_text?: true | undefined };
type AnswerOnly = TextGenerationOptions & { return_full_text: false };
type Prompt = string | Chat;

const OWN: readonly string[] = [
  ...["batch_size", "signal", "return_full_text", "return_tensors", "return_text"],
  ...["clean_up_tokenization_spaces", "prefix", "handle_long_generation", "stop_sequence"],
  ...["truncation", "continue_final_message", "skip_special_tokens", "add_special_tokens"],
  ...["tools", "documents", "tokenizer_encode_kwargs"],
];
const KNOWN: ReadonlySet<string> = new Set([
  ...[...OWN, ...fieldNames, "generation_config", "streamer"],
]);

/** What holds unless the call or the model's generation_config.json says otherwise; the temperature only when sampling. */
const DEFAULTS: GenerationOptions = { max_new_tokens: 256, do_sample: true, temperature: 0.7 };

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface TextGenerationPipeline {
  /** Continues one text. */
  (text: string, options?: TextGenerationOptions): Promise<Generated<string>[]>;
  /** Answers in one conversation: the result is the conversation with the answer. */
  (chat: Chat, options?: FullText): Promise<Generated<ChatMessage[]>[]>;
  /** Answers in one conversation: the result is the answer's text, since `return_full_text` is false. */
  (chat: Chat, options: AnswerOnly): Promise<Generated<string>[]>;
  /** Answers in one conversation: the result is the conversation with the answer, or the answer alone without `return_full_text`. */
  (chat: Chat, options?: TextGenerationOptions): Promise<Generated[]>;
  /** Continues several texts. */
  (texts: readonly string[], options?: TextGenerationOptions): Promise<Generated<string>[][]>;
  /** Answers in several conversations: each with its answer. */
  (chats: readonly Chat[], options?: FullText): Promise<Generated<ChatMessage[]>[][]>;
  /** Answers in several conversations: the texts of the answers, since `return_full_text` is false. */
  (chats: readonly Chat[], options: AnswerOnly): Promise<Generated<string>[][]>;
  /** Answers in several conversations. */
  (chats: readonly Chat[], options?: TextGenerationOptions): Promise<Generated[][]>;
}

/** A text-generation pipeline that was made with `return_full_text: false`: of a conversation it gives the answer alone. */
export type AnswerPipeline = {
  /** Answers in one conversation: the result is the answer's text. */
  (
    chat: Chat,
    options?: TextGenerationOptions & { return_full_text?: false | undefined },
  ): Promise<Generated<string>[]>;
  /** Answers in several conversations: the texts of the answers. */
  (
    chats: readonly Chat[],
    options?: TextGenerationOptions & { return_full_text?: false | undefined },
  ): Promise<Generated<string>[][]>;
} & TextGenerationPipeline;

/**
 * Continues texts and conversations: `await generate("Once upon a time")` gives `[{ generated_text }]`, one object for each of
 * `num_return_sequences`; of a list, a list of these. Options are those of `model.generate`, and the ones above. Unless the model or the
 * call says otherwise, it samples with temperature 0.7, at most 256 new tokens.
 */
export class TextGenerationPipeline extends Pipeline<
  MistralForCausalLM,
  Prompt | readonly Prompt[],
  TextGenerationOptions,
  Generated[] | Generated[][]
> {
  readonly task = "text-generation";
  /** For the library: the names of its calls' options. */
  static readonly options: ReadonlySet<string> = KNOWN;

  async _call(
    prompts: Prompt | readonly Prompt[],
    given?: TextGenerationOptions,
  ): Promise<Generated[] | Generated[][]> {
    const options = this.optionsOf(given, KNOWN);
    checkReturns(options);
    const isOne = typeof prompts === "string" || isChat(prompts);
    const list = (isOne || !Array.isArray(prompts) ? [prompts] : prompts) as readonly Prompt[];
    const settings = this.#settings(options);
    const rows = list.map((prompt) => ({ prompt, ids: this.#ids(prompt, options, settings) }));
    const results = await this.inBatches(rows, options, async (batch) => {
      const { inputs } = this.padded(batch.map(({ ids }) => ids));
      const sequences = await this.model.generate({
        ...inputs,
        ...settings,
        return_dict_in_generate: false,
      });
      const [count, length] = sequences.dims;
      const copies = count / batch.length;
      const S = inputs.input_ids.dims[1];
      return batch.map(({ prompt, ids }, b) =>
        Array.from({ length: copies }, (_, n) => {
          const from = (b * copies + n) * length;
          const row = [...sequences.data.subarray(from, from + length)];
          return this.#record(prompt, ids, row.slice(S), options, row);
        }),
      );
    });
    return isOne ? results[0] : results;
  }

  /** Generation pads on the left, whatever side the tokenizer was made with. */
  protected override get paddingSide(): "left" {
    return "left";
  }

  /** The settings of generate: the call's, and the defaults that neither the call nor the model's own settings name. */
  #settings(options: TextGenerationOptions): GenerateOptions {
    const own = new Set(OWN);
    const given = Object.fromEntries(Object.entries(options).filter(([name]) => !own.has(name)));
    const set: Record<string, unknown> = {
      ...this.model.generation_config.to_diff_dict(),
      ...options.generation_config?.to_diff_dict(),
      ...given,
    };
    const isSet = (name: string): boolean => (set[name] ?? undefined) !== undefined;
    const samples = isSet("do_sample") ? set.do_sample : DEFAULTS.do_sample;
    const added: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(DEFAULTS)) {
      const isReplaced = name === "max_new_tokens" && isSet("max_length");
      if (!isSet(name) && !isReplaced && (name !== "temperature" || samples === true))
        added[name] = value;
    }
    const pad = this.tokenizer.pad_token_id;
    if (!isSet("pad_token_id") && pad !== null) added.pad_token_id = pad;
    const { stop_sequence, signal } = options;
    return {
      ...added,
      ...given,
      ...(stop_sequence !== undefined && {
        stop_strings: typeof stop_sequence === "string" ? [stop_sequence] : [...stop_sequence],
      }),
      tokenizer: this.tokenizer, // for stop strings
      ...(signal && { signal }),
    };
  }

  #ids(prompt: Prompt, options: TextGenerationOptions, settings: GenerateSettings): number[] {
    refusePromise(this.task, prompt);
    const { truncation, max_length, tokenizer_encode_kwargs, prefix = "" } = options;
    const cut = {
      ...(truncation !== undefined && { truncation }),
      ...(truncation && max_length != null && { max_length }),
      ...tokenizer_encode_kwargs,
    };
    let ids: number[];
    if (typeof prompt === "string") {
      const { add_special_tokens } = options;
      const encode = { ...(add_special_tokens !== undefined && { add_special_tokens }), ...cut };
      ids = this.tokenizer(prefix + prompt, { ...encode, padding: false }).input_ids as number[];
    } else if (isChat(prompt)) {
      const continues = continuesFinal(prompt, options);
      ids = this.tokenizer.apply_chat_template(prompt, {
        add_generation_prompt: !continues,
        continue_final_message: continues,
        ...(options.tools !== undefined && { tools: options.tools }),
        ...(options.documents !== undefined && { documents: options.documents }),
        ...cut,
        ...{ tokenize: true, return_dict: false },
      }) as number[];
    } else {
      throw new InputError(
        `${this.task}: got ${JSON.stringify(prompt)?.slice(0, 200)}; expected a text, a conversation (a list of { role, content }), or a list of these`,
      );
    }
    return options.handle_long_generation === "hole" ? this.#withHole(ids, settings) : ids;
  }

  /** Cuts the beginning of a prompt, so that the new tokens find room. */
  #withHole(ids: number[], { max_new_tokens, max_length }: GenerateSettings): number[] {
    const most = this.tokenizer.model_max_length;
    const fresh =
      max_new_tokens ?? (max_length ?? this.model.generation_config.max_length ?? 20) - ids.length;
    if (ids.length + fresh <= most) return ids;
    const kept = most - fresh;
    if (kept > 0 && fresh >= 0) return ids.slice(-kept);
    throw new InputError(
      `${this.task}: handle_long_generation "hole": ${fresh} new tokens leave no room for a prompt in tokenizer.model_max_length (${most}); lower max_new_tokens`,
    );
  }

  #record(
    prompt: Prompt,
    ids: readonly number[],
    fresh: number[],
    options: TextGenerationOptions,
    row: number[],
  ): Generated {
    const { return_tensors, return_full_text = true, skip_special_tokens = true } = options;
    if (return_tensors) {
      const start = row.length - fresh.length - ids.length; // without the padding of a batch
      return { generated_token_ids: row.slice(start) } as Generated;
    }
    const { clean_up_tokenization_spaces } = options;
    const text = this.tokenizer.decode(fresh, {
      skip_special_tokens,
      ...(clean_up_tokenization_spaces !== undefined && { clean_up_tokenization_spaces }),
    });
    if (!return_full_text) return { generated_text: text };
    if (typeof prompt === "string") return { generated_text: prompt + text };
    if (!continuesFinal(prompt, options))
      return { generated_text: [...prompt, { role: "assistant", content: text }] };
    const last = prompt[prompt.length - 1];
    return {
      generated_text: [
        ...prompt.slice(0, -1),
        { ...last, content: `${String(last.content)}${text}` },
      ],
    };
  }
}

function isChat(value: unknown): value is Chat {
  const isMessage = (each: unknown): boolean =>
    typeof each === "object" && each !== null && "role" in each;
  return Array.isArray(value) && value.length > 0 && value.every(isMessage);
}

const continuesFinal = (chat: Chat, { continue_final_message }: TextGenerationOptions): boolean =>
  continue_final_message ?? chat[chat.length - 1].role === "assistant";

function checkReturns(options: TextGenerationOptions): void {
  const { return_full_text, return_tensors, return_text, handle_long_generation } = options;
  const given = Object.entries({ return_full_text, return_tensors, return_text }).filter(
    ([, value]) => value !== undefined,
  );
  if (given.length > 1) {
    throw new InputError(
      `text-generation: ${given.map(([name]) => name).join(" and ")} exclude each other; give one of them`,
    );
  }
  if (handle_long_generation != null && handle_long_generation !== "hole") {
    throw new InputError(
      `text-generation: handle_long_generation: ${JSON.stringify(handle_long_generation)}: expected "hole" or null`,
    );
  }
  const { generation_config } = options;
  if (generation_config !== undefined && !(generation_config instanceof GenerationConfig))
    throw new InputError("text-generation: generation_config: expected a GenerationConfig");
}
