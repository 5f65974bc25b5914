// PreTrainedTokenizer: the tokenizer that users hold. It is a function, `tokenizer("text", { padding: true })`, with the methods and
// fields of Transformers 5.23. Does not know what a call does (tokenizer-call.ts), nor chats (apply-chat-template.ts).

import { checkOptions } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { Side } from "../../text/encoding.ts";
import { bosEosTemplate } from "../../text/post-processor.ts";
import { StreamDecoder } from "../../text/stream-decoder.ts";
import type { TextTokenizer } from "../../text/tokenizer.ts";
import {
  applyChatTemplate,
  encodeMessage,
  type ChatMessage,
  type ChatTemplateOptions,
} from "./apply-chat-template.ts";
import { refusePromise } from "../forgotten-await.ts";
import { BatchEncoding, type Rows } from "./batch-encoding.ts";
import { chooseTemplate, type ChatTemplates } from "./chat-templates.ts";
import { type IdsInput, idsOf, isBatch } from "./ids-input.ts";
import { padRows, type PadInput } from "./pad.ts";
import { saveTokenizer } from "./save-tokenizer.ts";
import { SpecialTokens } from "./special-tokens.ts";
import { Tensor } from "../tensor/tensor.ts";
import { callTokenizer, type TextInput } from "./tokenizer-call.ts";
import {
  PAD_OPTIONS,
  sideOf,
  TOKENIZER_OPTIONS,
  type PadOptions,
  type TokenizerOptions,
} from "./tokenizer-options.ts";
import type {
  ForEncoding,
  ForEncodingOfTensors,
  ForIds,
  ForLists,
  ForListsOfTexts,
  ForTensor,
  ForTensors,
  ForText,
} from "./tokenizer-overloads.ts";

export type DecodeOptions = {
  /** Whether to leave special tokens out. Default false. */
  skip_special_tokens?: boolean;
  /** Accepted, and changes nothing, as in Transformers for BPE: it would remove spaces of the text. */
  clean_up_tokenization_spaces?: boolean | null;
};

export type StreamDecodeOptions = DecodeOptions & {
  /** Whether the pieces are together exactly what `decode` gives. Default false: each line is decoded by itself, as TextStreamer does. */
  wholeText?: boolean;
};

const DECODE_OPTIONS: ReadonlySet<string> = new Set([
  "skip_special_tokens",
  "clean_up_tokenization_spaces",
]);
const STREAM_DECODE_OPTIONS: ReadonlySet<string> = new Set([...DECODE_OPTIONS, "wholeText"]);

// One text gives one row, an array of texts one row each; with return_tensors, tensors [B, S].
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface PreTrainedTokenizer {
  (text: TextInput, options: ForTensors): BatchEncoding<Tensor>;
  (text: TextInput, options: ForTensor): BatchEncoding<Tensor>;
  (text: string, options?: ForLists): BatchEncoding<number[]>;
  (text: readonly string[], options?: ForListsOfTexts): BatchEncoding<number[][]>;
  (text: TextInput, options?: TokenizerOptions): BatchEncoding;
}

/**
 * Turns text into token ids and back.
 *
 * Calling it encodes one text (`input_ids`: number[]), an array of texts (number[][]), or either as `Tensor`s [B, S] with
 * `return_tensors`. @throws InputError an unknown option, a text that is no Unicode text, padding without a padding token
 */
export class PreTrainedTokenizer extends SpecialTokens<
  [text: TextInput, options?: TokenizerOptions],
  BatchEncoding
> {
  /** The length to which `truncation: true` cuts rows if there is no `max_length`, in tokens; 1e30: no limit. */
  model_max_length = 1e30;
  /** The template of `apply_chat_template`, or several by name. */
  chat_template: ChatTemplates | null = null;
  /** Whether special tokens that are written in texts are plain text. */
  split_special_tokens = false;
  /** The fields that a call returns. */
  model_input_names: string[] = ["input_ids", "attention_mask"];
  /** Where it was loaded from. */
  name_or_path = "";
  #paddingSide: Side = "right";
  #truncationSide: Side = "right";

  constructor(backend: TextTokenizer) {
    super(backend);
    // a function has a length and a name of its own, which hide those of the class
    Reflect.deleteProperty(this, "length");
    Reflect.deleteProperty(this, "name");
  }

  /** The side on which rows are filled. Generation in batches needs "left". */
  get padding_side(): Side {
    return this.#paddingSide;
  }
  set padding_side(side: Side) {
    this.#paddingSide = sideOf("tokenizer", "padding_side", side);
  }

  /** The side on which rows are cut. */
  get truncation_side(): Side {
    return this.#truncationSide;
  }
  set truncation_side(side: Side) {
    this.#truncationSide = sideOf("tokenizer", "truncation_side", side);
  }

  /** Whether every text gets the bos token in front. */
  get add_bos_token(): boolean {
    return this.#around(0) === this.bos_token_id;
  }
  set add_bos_token(add: boolean) {
    this.#setAround(add, this.add_eos_token);
  }

  /** Whether every text gets the eos token behind it. */
  get add_eos_token(): boolean {
    return this.#around(-1) === this.eos_token_id;
  }
  set add_eos_token(add: boolean) {
    this.#setAround(this.add_bos_token, add);
  }

  /** The number of tokens in the vocabulary, without added tokens. */
  get vocab_size(): number {
    return this.backend_tokenizer.vocabSize;
  }

  /** The number of all tokens: `len(tokenizer)` in Python. */
  get length(): number {
    return this.backend_tokenizer.size;
  }

  get is_fast(): true {
    return true;
  }

  override _call(text: TextInput, options: TokenizerOptions = {}): BatchEncoding {
    checkOptions("tokenizer", options, TOKENIZER_OPTIONS);
    const { text_target, ...rest } = options;
    if (text_target === undefined || text_target === null) {
      return callTokenizer(this.backend_tokenizer, text, rest, this);
    }
    const target = callTokenizer(
      this.backend_tokenizer,
      text_target,
      { ...rest, text_pair: null },
      this,
    );
    if (text === undefined || text === null) return target;
    const encoding = callTokenizer(this.backend_tokenizer, text, rest, this);
    return Object.assign(encoding, { labels: target.input_ids });
  }

  /** The ids of one text, special tokens included. Options as of a call. @throws InputError `return_tensors`, or several texts */
  encode(text: string | readonly string[], options: TokenizerOptions = {}): number[] {
    refusePromise("tokenizer.encode", text);
    const ids = this(text, { ...options, return_overflowing_tokens: false }).input_ids;
    if (Array.isArray(ids) && !Array.isArray(ids[0])) return ids as number[];
    throw new InputError("tokenizer.encode gives the ids of one text; call tokenizer(…) for more");
  }

  /**
   * The text of ids: a string for one row, an array for several. Ids that are no token are left out.
   *
   * @throws InputError an id that is no integer of 0 or more
   */
  decode(
    token_ids: number | bigint | ArrayLike<number> | ArrayLike<bigint>,
    options?: DecodeOptions,
  ): string;
  decode(token_ids: readonly ArrayLike<number>[], options?: DecodeOptions): string[];
  decode(token_ids: IdsInput, options?: DecodeOptions): string | string[];
  decode(token_ids: IdsInput, options: DecodeOptions = {}): string | string[] {
    refusePromise("tokenizer.decode", token_ids);
    checkOptions("tokenizer.decode", options, DECODE_OPTIONS);
    const skip = options.skip_special_tokens ?? false;
    const text = (row: unknown): string => this.backend_tokenizer.decode(idsOf(row), skip);
    const ids = token_ids instanceof Tensor ? token_ids.tolist() : token_ids;
    return isBatch(ids) ? Array.from(ids, text) : text(ids);
  }

  /** As `decode`, but always an array: one text for each row. */
  batch_decode(sequences: IdsInput, options: DecodeOptions = {}): string[] {
    refusePromise("tokenizer.batch_decode", sequences);
    const texts = this.decode(sequences, options);
    return typeof texts === "string" ? [texts] : texts;
  }

  /** A decoder for ids that come one by one: each `put` returns the text that can no longer change, as TextStreamer prints it. */
  stream_decoder(options: StreamDecodeOptions = {}): StreamDecoder {
    checkOptions("tokenizer.stream_decoder", options, STREAM_DECODE_OPTIONS);
    const { skip_special_tokens: skipSpecial = false, wholeText } = options;
    return new StreamDecoder(this.backend_tokenizer, { skipSpecial, wholeText });
  }

  /** The tokens of a text. Default: without special tokens around it. */
  tokenize(
    text: string,
    options: { pair?: string | null; add_special_tokens?: boolean } & TokenizerOptions = {},
  ): string[] {
    const { pair, ...rest } = options;
    const text_pair = pair ?? rest.text_pair;
    return this(text, { add_special_tokens: false, ...rest, text_pair }).tokens();
  }

  /** The id of a token; for a text that is no token the id of the unknown token, or null if there is none. */
  convert_tokens_to_ids(tokens: string): number | null;
  convert_tokens_to_ids(tokens: readonly string[]): (number | null)[];
  convert_tokens_to_ids(tokens: string | readonly string[]): number | null | (number | null)[] {
    const id = (token: string): number | null =>
      this.backend_tokenizer.tokenToId(token) ?? this.unk_token_id;
    return typeof tokens === "string" ? id(tokens) : tokens.map(id);
  }

  /** The token of an id; null for an id that is no token. */
  convert_ids_to_tokens(ids: number, options?: { skip_special_tokens?: boolean }): string | null;
  convert_ids_to_tokens(
    ids: ArrayLike<number> | Tensor,
    options?: { skip_special_tokens?: boolean },
  ): (string | null)[];
  convert_ids_to_tokens(
    ids: number | ArrayLike<number> | Tensor,
    { skip_special_tokens = false }: { skip_special_tokens?: boolean } = {},
  ): string | null | (string | null)[] {
    const token = (id: number): string | null => this.backend_tokenizer.idToToken(id) ?? null;
    if (typeof ids === "number") return token(ids);
    const skipped = new Set(skip_special_tokens ? this.all_special_ids : []);
    const row = ids instanceof Tensor ? ids.data : ids;
    return idsOf(row)
      .filter((id) => !skipped.has(id))
      .map(token);
  }

  /** The text that tokens make up. */
  convert_tokens_to_string(tokens: readonly string[]): string {
    return this.backend_tokenizer.decoder.decode(tokens);
  }

  /**
   * Fills rows of ids to one length.
   *
   * @param encoded `{ input_ids, attention_mask?, … }` of one row or several, or an array of such objects with one row each
   * @param options padding (default true), max_length, pad_to_multiple_of, padding_side, return_attention_mask,
   *                return_tensors
   * @throws InputError no padding token, or fields with different numbers of rows
   */
  pad(encoded: PadInput | readonly PadInput[], options: PadOptions = {}): BatchEncoding {
    checkOptions("tokenizer.pad", options, PAD_OPTIONS);
    return padRows(encoded, options, this);
  }

  /** All tokens with their ids. A Map, since a token may be called "__proto__". */
  get_vocab(): Map<string, number> {
    return this.backend_tokenizer.vocabulary();
  }

  /** Added tokens with their ids, in the order of ids. */
  get_added_vocab(): Map<string, number> {
    const added = [...this.backend_tokenizer.added].toSorted(([a], [b]) => a - b);
    return new Map(added.map(([id, { content }]) => [content, id]));
  }

  /** For each id 1 if it is a special token, else 0. As in Transformers, only for rows that have their special tokens already. */
  get_special_tokens_mask(
    token_ids: ArrayLike<number>,
    { already_has_special_tokens = false }: { already_has_special_tokens?: boolean } = {},
  ): number[] {
    if (!already_has_special_tokens) {
      throw new InputError(
        "tokenizer.get_special_tokens_mask: set already_has_special_tokens, or call tokenizer(…, { return_special_tokens_mask: true })",
      );
    }
    const special = new Set(this.all_special_ids);
    return idsOf(token_ids).map((id) => (special.has(id) ? 1 : 0));
  }

  /** How many special tokens are put around one text, or around two. */
  num_special_tokens_to_add({ pair = false }: { pair?: boolean } = {}): number {
    return this.backend_tokenizer.addedBy(pair);
  }

  /** Whether `apply_chat_template` can work without the option `chat_template`. */
  get canChat(): boolean {
    return this.chat_template !== null && this.chat_template !== "";
  }

  /** The template that `apply_chat_template` uses. @throws InputError there is none, or several and none is "default" */
  get_chat_template(name: string | null = null, tools: readonly object[] | null = null): string {
    return chooseTemplate(this.chat_template, name, tools);
  }

  /**
   * The text or ids of a conversation, or of an array of conversations.
   *
   * @throws InputError    options that contradict each other
   * @throws TemplateError the template is wrong, refuses the conversation, or exceeds its budget
   */
  apply_chat_template(conversation: readonly ChatMessage[], options: ForText): string;
  apply_chat_template(
    conversation: readonly (readonly ChatMessage[])[],
    options: ForText,
  ): string[];
  apply_chat_template(
    conversation: readonly ChatMessage[] | readonly (readonly ChatMessage[])[],
    options: ForIds,
  ): Rows;
  apply_chat_template(
    conversation: readonly ChatMessage[] | readonly (readonly ChatMessage[])[],
    options: ForEncodingOfTensors,
  ): BatchEncoding<Tensor>;
  apply_chat_template(
    conversation: readonly ChatMessage[] | readonly (readonly ChatMessage[])[],
    options?: ForEncoding,
  ): BatchEncoding;
  apply_chat_template(
    conversation: readonly ChatMessage[] | readonly (readonly ChatMessage[])[],
    options?: ChatTemplateOptions,
  ): string | string[] | Rows | BatchEncoding;
  apply_chat_template(
    conversation: readonly ChatMessage[] | readonly (readonly ChatMessage[])[],
    options: ChatTemplateOptions = {},
  ): string | string[] | Rows | BatchEncoding {
    return this.encodeConversation(conversation, options);
  }

  /** What `apply_chat_template` does. A tokenizer that writes conversations in another way replaces it. */
  protected encodeConversation(
    conversation: readonly ChatMessage[] | readonly (readonly ChatMessage[])[],
    options: ChatTemplateOptions,
  ): string | string[] | Rows | BatchEncoding {
    return applyChatTemplate(this, conversation, options);
  }

  /** The ids that a message adds to a conversation. Not exact for every template. @throws InputError `add_generation_prompt` is given */
  encode_message_with_chat_template(
    message: ChatMessage,
    conversation_history: readonly ChatMessage[] = [],
    options: ChatTemplateOptions = {},
  ): number[] {
    const encode = (messages: readonly ChatMessage[]): number[] =>
      this.apply_chat_template(messages, { ...options, return_dict: false }) as number[];
    return encodeMessage(encode, message, conversation_history, options);
  }

  /**
   * Writes tokenizer.json, tokenizer_config.json and chat_template.jinja, for this library and for Transformers 5.
   *
   * @param dir the folder; it is made if it does not exist
   * @returns the paths written
   * @throws CheckpointError a file cannot be written
   */
  save_pretrained(dir: string): Promise<string[]> {
    return saveTokenizer(this, dir);
  }

  #around(at: 0 | -1): number | undefined {
    const piece = this.backend_tokenizer.template.single.at(at);
    return piece !== undefined && "ids" in piece ? piece.ids.at(at) : undefined;
  }

  #setAround(bos: boolean, eos: boolean): void {
    this.backend_tokenizer.template = bosEosTemplate(
      (bos ? this.bos_token_id : null) ?? undefined,
      (eos ? this.eos_token_id : null) ?? undefined,
    );
  }
}
