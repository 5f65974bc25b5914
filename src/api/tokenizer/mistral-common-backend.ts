// MistralCommonBackend: a tokenizer of Mistral AI's own files, whose conversations are encoded as Mistral AI's package mistral-common
// encodes them, not by a chat template. Names are those of Transformers 5.23. Does not know how requests become ids.

import { copyFile, joinPath, makeFolder } from "#platform";
import { checkOptions, unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { Side } from "../../text/encoding.ts";
import type { ChatCompletionRequest } from "../../text/mistral-common/chat-request.ts";
import type { EncodedRequest } from "../../text/mistral-common/encode.ts";
import type { Dialect } from "../../text/mistral-common/messages.ts";
import { VALIDATION_MODES, type ValidationMode } from "../../text/mistral-common/validate.ts";
import { encodingVersion, type EncodingVersion } from "../../text/mistral-common/version.ts";
import { bosEosTemplate } from "../../text/post-processor.ts";
import { decodeAsSentencePiece } from "../../text/sentencepiece-decode.ts";
import { refusePromise } from "../forgotten-await.ts";
import type { ChatMessage, ChatTemplateOptions } from "./apply-chat-template.ts";
import type { BatchEncoding, Rows } from "./batch-encoding.ts";
import { encodingOfRows } from "./id-rows.ts";
import { type IdsInput, idsOf, isBatch } from "./ids-input.ts";
import { locateModel, type ModelFileOptions, PLACE_OPTIONS } from "../model-files.ts";
import { type MistralTokenizerFile, openMistralTokenizer } from "./mistral-common-files.ts";
import { readConversation } from "./mistral-common-options.ts";
import { Tensor } from "../tensor/tensor.ts";
import { applyBatchSettings, TokenizerSettings } from "./tokenizer-settings.ts";
import { type DecodeOptions, PreTrainedTokenizer } from "./tokenizer.ts";

/** Settings of a tokenizer of Mistral AI's own files. */
export type MistralCommonOptions = {
  /**
   * Which conversations are accepted. "test" (default): those that a program asks a model. "serving": as "test", with a model's name and
   * a result for every call of a tool. "finetuning": those to train on, which end with the assistant; texts then end with eos. "agnostic":
   * any.
   */
  mode?: ValidationMode;
  /** The encodings of conversations. Default: the version that the file says, in tekken.json or after `.model.`; v1 for tokenizer.model. */
  version?: EncodingVersion;
  /** The side on which rows are filled. Default "left". */
  padding_side?: Side;
  /** The side on which rows are cut. Default "right". */
  truncation_side?: Side;
  /** The length to which `truncation: true` cuts rows, in tokens. Default 1e30: no limit. */
  model_max_length?: number;
  /** The fields that a call returns. Default input_ids and attention_mask. */
  model_input_names?: string[];
} & Omit<ModelFileOptions, "variant" | "gguf_file">;

const OPTIONS: ReadonlySet<string> = new Set([
  "mode",
  "version",
  "padding_side",
  "truncation_side",
  "model_max_length",
  "model_input_names",
  ...PLACE_OPTIONS.filter((name) => name !== "gguf_file"),
]);

/** What becomes of control tokens in decoded text: left out, written by their names, or refused. */
export type SpecialTokenPolicy = "ignore" | "keep" | "raise";
const POLICIES: readonly SpecialTokenPolicy[] = ["ignore", "keep", "raise"];

export type MistralDecodeOptions = DecodeOptions & {
  /**
   * Decodes as mistral-common does. For tekken.json "keep" and "ignore" are the same as `skip_special_tokens` false and true; for
   * SentencePiece "keep" gives the pieces as they are, such as `<s>▁Hello`.
   */
  special_token_policy?: SpecialTokenPolicy;
};

/** A request to fill in what is missing between two texts. */
export type FIMRequest = {
  /** The text before the gap. */
  prompt: string;
  /** The text behind the gap. Default: none. */
  suffix?: string | null;
};

/** What mistral-common calls `Tokenized`. */
export type Tokenized = EncodedRequest & {
  /** The tokens as text, with control tokens by their names. */
  text: string;
};

/**
 * A tokenizer of tekken.json or of a SentencePiece model as Mistral AI publishes it. Control tokens that a text names are plain text,
 * and `apply_chat_template` encodes conversations as mistral-common does in the version that the file says. With `chat_template`, given
 * or set, it renders that template, as every tokenizer does.
 *
 * @see Transformers 5.23 `MistralCommonBackend`, mistral-common 1.13 `MistralTokenizer`
 */
export class MistralCommonBackend extends PreTrainedTokenizer {
  readonly #file: MistralTokenizerFile;
  readonly #mode: ValidationMode;
  readonly #size: number;

  constructor(file: MistralTokenizerFile, mode: ValidationMode = "test") {
    super(file.backend);
    this.#file = file;
    this.#mode = mode;
    this.#size = file.backend.size;
    this.name_or_path = file.path;
    this.padding_side = "left";
    this.split_special_tokens = true;
    const known = (token: string): string | null => (file.backend.isSpecial(token) ? token : null);
    this.bos_token = known("<s>");
    this.eos_token = known("</s>");
    this.unk_token = known("<unk>");
    // SentencePiece models have no <pad>; mistral-common's id for it is that of <unk>
    this.pad_token = known("<pad>") ?? this.unk_token;
    file.backend.template = bosEosTemplate(
      this.bos_token_id ?? undefined,
      mode === "finetuning" ? (this.eos_token_id ?? undefined) : undefined,
    );
  }

  /**
   * The tokenizer of a model: its tekken.json, else the SentencePiece model whose name is the last in the order of letters (such as
   * tokenizer.model.v3), also beside a tokenizer.json.
   *
   * @param dir a folder, or the id of a model on the hub, of which that file is fetched
   * @throws InputError      an unknown option
   * @throws CheckpointError no folder, no such file in it, or one that is malformed
   */
  static async from_pretrained(
    dir: string,
    options: MistralCommonOptions = {},
  ): Promise<MistralCommonBackend> {
    const where = "MistralCommonBackend.from_pretrained";
    checkOptions(where, options, OPTIONS);
    const { mode = "test", version } = options;
    if (!VALIDATION_MODES.includes(mode)) {
      throw new InputError(`${where}: ${unknownName("mode", mode, VALIDATION_MODES)}`);
    }
    if (version !== undefined) encodingVersion(version, where);
    const { folder } = await locateModel(where, dir, options, ["mistralTokenizer"]);
    const tokenizer = new MistralCommonBackend(await openMistralTokenizer(folder, version), mode);
    tokenizer.name_or_path = dir;
    const { padding_side, truncation_side, split_special_tokens } = tokenizer;
    const own = { padding_side, truncation_side, split_special_tokens };
    const given = {
      padding_side: options.padding_side ?? undefined,
      truncation_side: options.truncation_side ?? undefined,
      model_max_length: options.model_max_length ?? undefined,
      model_input_names: options.model_input_names ?? undefined,
    };
    const config = { value: own, path: tokenizer.#file.path };
    applyBatchSettings(tokenizer, new TokenizerSettings({ config }, given, where));
    return tokenizer;
  }

  /** The version of the encodings of conversations. */
  get version(): EncodingVersion {
    return this.#file.requests.version;
  }

  get mode(): ValidationMode {
    return this.#mode;
  }

  /** The number of all tokens of the file, control tokens included. */
  override get vocab_size(): number {
    return this.#size;
  }

  /** Whether `apply_chat_template` can work without the option `chat_template`: always. */
  override get canChat(): true {
    return true;
  }

  /** Every control token. */
  override get all_special_tokens(): string[] {
    const { added, model } = this.backend_tokenizer;
    return [...added]
      .filter(([id, { special }]) => special && id !== model.unk)
      .toSorted(([a], [b]) => a - b)
      .map(([, { content }]) => content);
  }

  /**
   * The ids of a request as mistral-common's `encode_chat_completion` gives them.
   *
   * @param request `{ messages, tools, … }`; fields that are not known are refused
   * @param options `max_model_input_len`: how many tokens fit, for requests with `truncate_for_context_length`
   * @throws InputError what mistral-common refuses; the message ends with the name of its exception
   */
  encode_chat_completion(
    request: ChatCompletionRequest,
    { max_model_input_len }: { max_model_input_len?: number } = {},
  ): Tokenized {
    const where = "encode_chat_completion";
    return this.#tokenized(this.#encode(request, "mistral", where, max_model_input_len));
  }

  /**
   * The ids of a request to fill in what is missing between `prompt` and `suffix`. A vocabulary that has no [PREFIX] and [SUFFIX], such
   * as that of v2, gives the id of its unknown token for them, as in mistral-common.
   *
   * @throws InputError v1 cannot; or a text that is none
   */
  encode_fim(request: FIMRequest): Tokenized {
    const where = "encode_fim";
    checkOptions(where, request, new Set(["prompt", "suffix"]));
    const { prompt, suffix = null } = request;
    if (typeof prompt !== "string" || (suffix !== null && typeof suffix !== "string")) {
      throw new InputError(`${where}: prompt must be a text, and suffix a text or null`);
    }
    return this.#tokenized(this.#file.requests.fim(prompt, suffix, where));
  }

  /**
   * Encodes conversations as mistral-common does; with `chat_template`, given or set, as that template writes them.
   *
   * @throws InputError what mistral-common refuses, such as a last message of the assistant without `continue_final_message`
   */
  protected override encodeConversation(
    conversation: readonly ChatMessage[] | readonly (readonly ChatMessage[])[],
    options: ChatTemplateOptions,
  ): string | string[] | Rows | BatchEncoding {
    if ((options.chat_template ?? this.chat_template) !== null) {
      return super.encodeConversation(conversation, options);
    }
    const where = "apply_chat_template";
    const { requests, batched, call, tokenize, dict } = readConversation(
      where,
      conversation,
      options,
    );
    const encoded = requests.map((request) => this.#encode(request, "openai", where, undefined));
    if (!tokenize) {
      const texts = encoded.map(({ tokens }) => this.#text(tokens));
      return batched ? texts : texts[0];
    }
    const rows = encoded.map(({ tokens }) => tokens);
    const out = encodingOfRows(where, this, rows, batched, call);
    return dict ? out : out.input_ids;
  }

  override decode(
    token_ids: number | bigint | ArrayLike<number> | ArrayLike<bigint>,
    options?: MistralDecodeOptions,
  ): string;
  override decode(
    token_ids: readonly ArrayLike<number>[],
    options?: MistralDecodeOptions,
  ): string[];
  override decode(token_ids: IdsInput, options?: MistralDecodeOptions): string | string[];
  override decode(
    token_ids: IdsInput,
    { special_token_policy: policy, ...options }: MistralDecodeOptions = {},
  ): string | string[] {
    if (policy === undefined) return super.decode(token_ids, options);
    const where = "tokenizer.decode";
    refusePromise(where, token_ids);
    if (!POLICIES.includes(policy)) {
      throw new InputError(`${where}: ${unknownName("special_token_policy", policy, POLICIES)}`);
    }
    if (Object.keys(options).length > 0) {
      throw new InputError(`${where}: special_token_policy goes with no other option`);
    }
    const ids = token_ids instanceof Tensor ? token_ids.tolist() : token_ids;
    const text = (row: unknown): string => this.#decode(idsOf(row), policy);
    return isBatch(ids) ? Array.from(ids, text) : text(ids);
  }

  /**
   * Copies the tokenizer's file into a folder.
   *
   * @returns the path of the copy
   * @throws InputError      tokens were added, which the file cannot hold
   * @throws CheckpointError the file cannot be read any more, or the copy not be written
   */
  override async save_pretrained(dir: string): Promise<string[]> {
    const added = this.backend_tokenizer.size - this.#size;
    if (added > 0) {
      throw new InputError(
        `save_pretrained: ${added} tokens were added, which ${this.#file.name} cannot hold; add them to a tokenizer that was made from tokenizer.json`,
      );
    }
    await makeFolder(dir);
    const path = joinPath(dir, this.#file.name);
    await copyFile(this.#file.path, path);
    return [path];
  }

  #encode(
    request: ChatCompletionRequest,
    dialect: Dialect,
    where: string,
    maxTokens: number | undefined,
  ): EncodedRequest {
    return this.#file.requests.chat(request, { mode: this.#mode, dialect, maxTokens, where });
  }

  #tokenized(encoded: EncodedRequest): Tokenized {
    return { ...encoded, text: this.#text(encoded.tokens) };
  }

  /** The text that mistral-common shows for ids. */
  #text(ids: readonly number[]): string {
    return this.#decode(ids, "keep");
  }

  #decode(ids: readonly number[], policy: SpecialTokenPolicy): string {
    const backend = this.backend_tokenizer;
    const spm = this.#file.kind === "sentencepiece";
    const isControl = (id: number): boolean => {
      const token = backend.idToToken(id);
      return token !== undefined && backend.isSpecial(token) && !(spm && id === backend.model.unk);
    };
    const control = policy === "raise" ? ids.find(isControl) : undefined;
    if (control !== undefined) {
      throw new InputError(
        `tokenizer.decode: ${control} is the control token ${backend.idToToken(control)}, and special_token_policy is "raise"`,
      );
    }
    if (!spm) return backend.decode(ids, policy !== "keep");
    if (policy === "keep") return ids.map((id) => backend.idToToken(id) ?? "").join("");
    return decodeAsSentencePiece(backend, ids);
  }
}
