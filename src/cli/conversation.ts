// A conversation: messages so far, and the next answer from the model, through its chat template or, without one, as plain text.
// Knows nothing of terminals.

import { EngineError, InputError } from "../errors.ts";
import { Tensor } from "../index.ts";
import type { BatchEncoding, DynamicCache } from "../index.ts";
import type { Continuation } from "./continuation.ts";
import { samplingOptions, streamContinuation } from "./continuation.ts";
import type { FlagValues } from "./arguments.ts";
import type { Opened } from "./load.ts";

export type Message = { readonly role: "user" | "assistant"; readonly content: string };

/** The longest answer when nothing else is set. */
export const defaultAnswerTokens = 1024;

export class Conversation {
  readonly #opened: Opened;
  #messages: Message[] = [];
  /** What was computed for the last answer, so that the next one only adds to it. */
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

  /** The model's own settings, for what is not set here. */
  get own(): Opened["model"]["generation_config"] {
    return this.#opened.model.generation_config;
  }

  async clear(): Promise<void> {
    this.#messages = [];
    await this.#forget();
  }

  /**
   * The answer to `content`, piece by piece to `onText`. Both are kept; of an answer that was stopped, what had come; after an
   * error, and when nothing had come, neither.
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
        ...samplingOptions(flags, seed),
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
      // A call that fails leaves the cache as it was, unless the engine died with it.
      if (error instanceof EngineError) this.#last = undefined;
      if (signal.aborted && said !== "") {
        this.#messages = [...asked, { role: "assistant", content: said }];
      }
      throw error;
    }
  }

  /** The cache of the last answer, cut back to where the new ids leave it; none where that cannot be done. */
  async #pastOf({ input_ids }: BatchEncoding): Promise<DynamicCache | undefined> {
    if (this.#last === undefined) return undefined;
    const { sequence, cache } = this.#last;
    const [ids] = Tensor.from(input_ids).tolist() as number[][];
    const parting = ids.findIndex((id, i) => id !== sequence[i]);
    const shared = Math.min(parting < 0 ? ids.length - 1 : parting, ids.length - 1);
    try {
      if (shared < cache.get_seq_length()) await cache.crop(shared);
      if (cache.get_seq_length() > 0) return cache;
    } catch (error) {
      // With a sliding window, what the parting place sees may be gone.
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
