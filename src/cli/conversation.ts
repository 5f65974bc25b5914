// A conversation: the messages so far, and the model's next answer, through its chat template or, if it has none, as plain text.
// Knows nothing of terminals.

import { EngineError, InputError } from "../errors.ts";
import { Tensor } from "../index.ts";
import type { BatchEncoding, DynamicCache, GenerateOptions } from "../index.ts";
import type { Continuation } from "./continuation.ts";
import { samplingOptions, streamContinuation } from "./continuation.ts";
import type { FlagValues } from "./arguments.ts";
import type { Opened } from "./load.ts";

export type Message = { readonly role: "user" | "assistant"; readonly content: string };

/** The most tokens of an answer unless something else is set. */
export const defaultAnswerTokens = 1024;

export class Conversation {
  readonly #opened: Opened;
  #messages: Message[] = [];
  /** The ids of the last answer and all before it, with their cache: the next answer computes only what is new. */
  #last: { readonly sequence: readonly number[]; readonly cache: DynamicCache } | undefined;

  constructor(opened: Opened) {
    this.#opened = opened;
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Whether the model has a chat template; without one each message is appended to the text. */
  get hasTemplate(): boolean {
    return Boolean(this.#opened.tokenizer.chat_template);
  }

  /** The settings that apply unless flags say otherwise. */
  get own(): GenerateOptions {
    return { ...this.#opened.model.generation_config, ...this.#opened.settings };
  }

  async clear(): Promise<void> {
    this.#messages = [];
    await this.#forget();
  }

  /**
   * Answers `content`, and passes the answer to `onText` piece by piece. Question and answer are added to the messages; if the answer was
   * stopped, as much of it as had come. After an error, or if nothing had come, neither is added.
   */
  async answer(
    content: string,
    flags: FlagValues,
    seed: number,
    signal: AbortSignal,
    onText: (text: string) => Promise<void>,
  ): Promise<Continuation> {
    const asked: Message[] = [...this.#messages, { role: "user", content }];
    let said = "";
    const collect = (text: string): Promise<void> => {
      said += text;
      return onText(text);
    };
    try {
      const inputs = this.#encode(asked);
      const options = {
        max_new_tokens: defaultAnswerTokens,
        ...samplingOptions(flags, seed, this.#opened.settings),
        signal,
        past_key_values: await this.#pastOf(inputs),
      };
      const result = await streamContinuation(
        this.#opened,
        inputs,
        this.hasTemplate ? "answer" : "text",
        options,
        collect,
      );
      const { sequence, cache } = result;
      this.#last = cache && { sequence, cache };
      this.#messages = [...asked, { role: "assistant", content: result.text }];
      return result;
    } catch (error) {
      // A failed call leaves the cache as it was, unless the engine died and took the cache with it.
      if (error instanceof EngineError) this.#last = undefined;
      if (signal.aborted && said !== "") {
        this.#messages = [...asked, { role: "assistant", content: said }];
      }
      throw error;
    }
  }

  /** The cache of the last answer, cropped to the ids that the new input shares with it; undefined if that is not possible. */
  async #pastOf({ input_ids }: BatchEncoding): Promise<DynamicCache | undefined> {
    if (this.#last === undefined) return undefined;
    const { sequence, cache } = this.#last;
    const [ids] = Tensor.from(input_ids).tolist() as number[][];
    const differs = ids.findIndex((id, i) => id !== sequence[i]);
    const shared = Math.min(differs < 0 ? ids.length - 1 : differs, ids.length - 1);
    try {
      if (shared < cache.get_seq_length()) await cache.crop(shared);
      if (cache.get_seq_length() > 0) return cache;
    } catch (error) {
      // With a sliding window, columns that the next token sees may have been released.
      if (!(error instanceof InputError)) throw error;
    }
    await this.#forget();
    return undefined;
  }

  async #forget(): Promise<void> {
    await this.#last?.cache.dispose();
    this.#last = undefined;
  }

  #encode(messages: readonly Message[]): BatchEncoding {
    const { tokenizer } = this.#opened;
    if (!this.hasTemplate) {
      return tokenizer(messages.map(({ content }) => content).join(""), { return_tensors: "pt" });
    }
    return tokenizer.apply_chat_template(messages, {
      add_generation_prompt: true,
      return_tensors: "pt",
    });
  }
}
