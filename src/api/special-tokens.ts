// The part of a tokenizer that names tokens, as in Transformers: bos, eos, unk and pad with their ids, and tokens added at run time.
// Knows nothing of encoding.

import { checkOptions } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import type { AddedToken } from "../text/added-tokens.ts";
import type { TextTokenizer } from "../text/tokenizer.ts";
import { Callable } from "./callable.ts";

/** A token to add: its text, or its text with flags (see `AddedToken`). Flags are false by default; `normalized` is true unless special. */
export type AddedTokenInput = string | (Partial<AddedToken> & { content: string });

export type SpecialTokenName = "bos_token" | "eos_token" | "unk_token" | "pad_token";

export const SPECIAL_TOKEN_NAMES: readonly SpecialTokenName[] = [
  "bos_token",
  "eos_token",
  "unk_token",
  "pad_token",
];

const LISTS = ["extra_special_tokens", "additional_special_tokens"];
const ADDABLE: ReadonlySet<string> = new Set([...SPECIAL_TOKEN_NAMES, ...LISTS]);
const FLAGS: ReadonlySet<string> = new Set([
  "content",
  "single_word",
  "lstrip",
  "rstrip",
  "normalized",
  "special",
]);

export abstract class SpecialTokens<Args extends unknown[], Result> extends Callable<Args, Result> {
  /** The tokenizer of single texts, which knows no names, batches and chats. */
  readonly backend_tokenizer: TextTokenizer;
  /** Special tokens beside the named ones. */
  extra_special_tokens: string[] = [];
  readonly #names = new Map<SpecialTokenName, string>();

  constructor(backend: TextTokenizer) {
    super();
    this.backend_tokenizer = backend;
  }

  get bos_token(): string | null {
    return this.#token("bos_token");
  }
  set bos_token(token: string | null) {
    this.#name("bos_token", token);
  }
  get eos_token(): string | null {
    return this.#token("eos_token");
  }
  set eos_token(token: string | null) {
    this.#name("eos_token", token);
  }
  get unk_token(): string | null {
    return this.#token("unk_token");
  }
  set unk_token(token: string | null) {
    this.#name("unk_token", token);
  }
  /** The token with which rows are filled; null until one is chosen. */
  get pad_token(): string | null {
    return this.#token("pad_token");
  }
  set pad_token(token: string | null) {
    this.#name("pad_token", token);
  }

  get bos_token_id(): number | null {
    return this.#id("bos_token");
  }
  set bos_token_id(id: number | null) {
    this.#nameById("bos_token", id);
  }
  get eos_token_id(): number | null {
    return this.#id("eos_token");
  }
  set eos_token_id(id: number | null) {
    this.#nameById("eos_token", id);
  }
  get unk_token_id(): number | null {
    return this.#id("unk_token");
  }
  set unk_token_id(id: number | null) {
    this.#nameById("unk_token", id);
  }
  get pad_token_id(): number | null {
    return this.#id("pad_token");
  }
  set pad_token_id(id: number | null) {
    this.#nameById("pad_token", id);
  }

  /** The named special tokens that are set: name → token. */
  get special_tokens_map(): Record<string, string> {
    return Object.fromEntries(
      SPECIAL_TOKEN_NAMES.flatMap((name) => {
        const token = this.#names.get(name);
        return token === undefined ? [] : [[name, token]];
      }),
    );
  }

  /** Every special token, once. */
  get all_special_tokens(): string[] {
    return [...new Set([...Object.values(this.special_tokens_map), ...this.extra_special_tokens])];
  }

  get all_special_ids(): number[] {
    return this.all_special_tokens.flatMap(
      (token) => this.backend_tokenizer.tokenToId(token) ?? [],
    );
  }

  /**
   * Adds tokens to the vocabulary.
   *
   * @returns how many of them were not added tokens before
   * @throws InputError an unknown flag
   */
  add_tokens(
    new_tokens: AddedTokenInput | readonly AddedTokenInput[],
    { special_tokens = false }: { special_tokens?: boolean } = {},
  ): number {
    const list = (Array.isArray(new_tokens) ? new_tokens : [new_tokens]) as AddedTokenInput[];
    const tokens = list.map((token) => addedToken("add_tokens", token, special_tokens));
    return this.backend_tokenizer.addTokens(tokens);
  }

  /**
   * Names special tokens, and adds those that are no tokens yet.
   *
   * @param tokens for example `{ pad_token: "[PAD]" }`; the list `extra_special_tokens` is for tokens without a name
   * @returns how many tokens were added
   * @throws InputError an unknown name
   */
  add_special_tokens(
    tokens: Partial<Record<SpecialTokenName, AddedTokenInput | null>> & {
      extra_special_tokens?: readonly AddedTokenInput[];
      additional_special_tokens?: readonly AddedTokenInput[];
    },
  ): number {
    checkOptions("add_special_tokens", tokens, ADDABLE);
    let count = 0;
    const add = (token: AddedTokenInput): string => {
      const added = addedToken("add_special_tokens", token, true);
      count += this.backend_tokenizer.addTokens([added]);
      return added.content;
    };
    for (const name of SPECIAL_TOKEN_NAMES) {
      const token = tokens[name];
      if (token === undefined) continue;
      this.#name(name, token === null ? null : add(token));
    }
    const extra = tokens.extra_special_tokens ?? tokens.additional_special_tokens;
    if (extra !== undefined) this.extra_special_tokens = extra.map(add);
    return count;
  }

  #token(name: SpecialTokenName): string | null {
    return this.#names.get(name) ?? null;
  }

  #id(name: SpecialTokenName): number | null {
    const token = this.#names.get(name);
    return token === undefined ? null : (this.backend_tokenizer.tokenToId(token) ?? null);
  }

  #name(name: SpecialTokenName, token: string | null): void {
    if (token === null) {
      this.#names.delete(name);
      return;
    }
    if (typeof token !== "string" || this.backend_tokenizer.tokenToId(token) === undefined) {
      const came = JSON.stringify(token);
      throw new InputError(
        `tokenizer.${name}: ${came} is no token of the vocabulary; add it with add_special_tokens({ ${name}: ${came} })`,
      );
    }
    this.#names.set(name, token);
  }

  #nameById(name: SpecialTokenName, id: number | null): void {
    const token = id === null ? null : this.backend_tokenizer.idToToken(id);
    if (token === undefined) {
      const size = this.backend_tokenizer.size;
      throw new InputError(`tokenizer.${name}_id: no token has id ${id}; there are ${size}`);
    }
    this.#name(name, token);
  }
}

/** A token with all its flags. Unless told otherwise, tokens are normalized if they are not special, as in Rust `tokenizers`. */
export function addedToken(where: string, input: AddedTokenInput, special: boolean): AddedToken {
  const given: Partial<AddedToken> = typeof input === "string" ? { content: input } : input;
  checkOptions(where, given, FLAGS);
  const { content } = given;
  if (typeof content !== "string") {
    throw new InputError(`${where}: a token is ${JSON.stringify(input)}; expected its text`);
  }
  const isSpecial = special || (given.special ?? false);
  return {
    content,
    single_word: given.single_word ?? false,
    lstrip: given.lstrip ?? false,
    rstrip: given.rstrip ?? false,
    normalized: given.normalized ?? !isSpecial,
    special: isSpecial,
  };
}
