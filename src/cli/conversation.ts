// A conversation: messages so far, and the next answer from the model, through its chat template or, without one, as plain text.
// Knows nothing of terminals.

import type { BatchEncoding } from "../index.ts";
import type { Continuation } from "./continuation.ts";
import { samplingOptions, streamContinuation } from "./continuation.ts";
import type { FlagValues } from "./arguments.ts";
import type { Opened } from "./load.ts";

export type Message = { readonly role: "user" | "assistant"; readonly content: string };

const defaultNewTokens = 1024;

export class Conversation {
  readonly #opened: Opened;
  #messages: Message[] = [];

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

  clear(): void {
    this.#messages = [];
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
    const options = { max_new_tokens: defaultNewTokens, ...samplingOptions(flags, seed), signal };
    try {
      const result = await streamContinuation(this.#opened, this.#encode(asked), options, collect);
      this.#messages = [...asked, { role: "assistant", content: result.text }];
      return result;
    } catch (error) {
      if (signal.aborted && said !== "") {
        this.#messages = [...asked, { role: "assistant", content: said }];
      }
      throw error;
    }
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
