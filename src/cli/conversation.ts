// A conversation: the messages so far, and the model's next answer, through its chat template or, if it has none, as plain text.
// Knows nothing of terminals.

import { EngineError, InputError, TemplateError } from "../errors.ts";
import { Tensor } from "../index.ts";
import type { BatchEncoding, DynamicCache, GenerateOptions } from "../index.ts";
import type { Continuation } from "./continuation.ts";
import { promptLength, samplingOptions, streamContinuation } from "./continuation.ts";
import type { FlagValues } from "./arguments.ts";
import type { Opened } from "./load.ts";

export type Message = {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
};

/** The most tokens of an answer unless something else is set. */
export const defaultAnswerTokens = 1024;

export type AnswerOptions = {
  readonly flags: FlagValues;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Told how many tokens the conversation has, before they are read. */
  readonly onPrompt?: (tokens: number) => void;
  readonly onProgress?: GenerateOptions["onProgress"];
  /** Gets the answer piece by piece. */
  readonly onText?: (text: string) => Promise<void>;
};

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
    return this.#opened.tokenizer.canChat;
  }

  /** The settings that apply unless flags say otherwise. */
  get own(): GenerateOptions {
    return { ...this.#opened.model.generation_config, ...this.#opened.settings };
  }

  /** What the model is told before the conversation. */
  get system(): string | undefined {
    return this.#messages.find(({ role }) => role === "system")?.content;
  }

  /** Forgets the messages, but not the system message. */
  async clear(): Promise<void> {
    this.#messages = this.#messages.filter(({ role }) => role === "system");
    await this.#forget();
  }

  /**
   * Tells the model `content` before the conversation, from the next answer on; undefined: nothing.
   * @throws InputError the chat template takes no system message
   */
  instruct(content: string | undefined): void {
    const others = this.#messages.filter(({ role }) => role !== "system");
    if (content === undefined) this.#messages = others;
    else {
      checkSystem(this.#opened, content);
      this.#messages = [{ role: "system", content }, ...others];
    }
  }

  /** Goes on from an earlier conversation. @throws InputError its system message does not fit the chat template */
  async restore(messages: readonly Message[]): Promise<void> {
    const system = messages.find(({ role }) => role === "system");
    if (system !== undefined) checkSystem(this.#opened, system.content);
    this.#messages = [...messages];
    await this.#forget();
  }

  /**
   * Answers `content`. Question and answer are added to the messages; if the answer was stopped, as much of it as had come. After an
   * error, or if nothing had come, neither is added.
   */
  async answer(content: string, how: AnswerOptions): Promise<Continuation> {
    const { flags, seed, signal, onPrompt, onProgress, onText } = how;
    const asked: Message[] = [...this.#messages, { role: "user", content }];
    let said = "";
    const collect = async (text: string): Promise<void> => {
      said += text;
      await onText?.(text);
    };
    try {
      const inputs = this.#encode(asked);
      onPrompt?.(promptLength(inputs));
      const options = {
        max_new_tokens: defaultAnswerTokens,
        ...samplingOptions(flags, seed, this.#opened.settings),
        signal,
        onProgress,
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

/** @throws InputError the model's chat template takes no system message */
export function checkSystem({ tokenizer, name }: Opened, content: string): void {
  if (!tokenizer.canChat) {
    throw new InputError(`${name} has no chat template, and so takes no system message`);
  }
  try {
    const messages = [
      { role: "system", content },
      { role: "user", content: "Hi" },
    ];
    tokenizer.apply_chat_template(messages, { tokenize: false });
  } catch (cause) {
    if (!(cause instanceof TemplateError)) throw cause;
    throw new InputError(
      `${name} takes no system message: its chat template says ${cause.message}`,
      {
        cause,
      },
    );
  }
}
