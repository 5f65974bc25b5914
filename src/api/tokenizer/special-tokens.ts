// The part of a tokenizer that names tokens, as in Transformers: bos, eos, unk, pad and others with their ids, names that only one
// model has (`image_token`), and tokens added at run time. Knows nothing of encoding.

import { checkOptions } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { AddedToken } from "../../text/added-tokens.ts";
import type { TextTokenizer } from "../../text/tokenizer.ts";
import { Callable } from "../callable.ts";

/** A token to add: its text, or its text with flags (see `AddedToken`). Flags are false by default; `normalized` is true unless special. */
export type AddedTokenInput = string | (Partial<AddedToken> & { content: string });

/** The names that every tokenizer has, in the order in which tokens that are missing from the vocabulary are added. */
export const SPECIAL_TOKEN_NAMES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

export type SpecialTokenName = (typeof SPECIAL_TOKEN_NAMES)[number];

const LISTS = ["extra_special_tokens", "additional_special_tokens"];
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
  readonly #names = new Map<string, string>();
  // names beside SPECIAL_TOKEN_NAMES, which only this tokenizer has
  readonly #ownNames = new Set<string>();

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
  /** The token between two texts, in models that have one. */
  get sep_token(): string | null {
    return this.#token("sep_token");
  }
  set sep_token(token: string | null) {
    this.#name("sep_token", token);
  }
  /** The token whose state stands for a whole text, in models that have one. */
  get cls_token(): string | null {
    return this.#token("cls_token");
  }
  set cls_token(token: string | null) {
    this.#name("cls_token", token);
  }
  /** The token that stands for a hidden one, in models trained to guess it. */
  get mask_token(): string | null {
    return this.#token("mask_token");
  }
  set mask_token(token: string | null) {
    this.#name("mask_token", token);
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
  get sep_token_id(): number | null {
    return this.#id("sep_token");
  }
  set sep_token_id(id: number | null) {
    this.#nameById("sep_token", id);
  }
  get cls_token_id(): number | null {
    return this.#id("cls_token");
  }
  set cls_token_id(id: number | null) {
    this.#nameById("cls_token", id);
  }
  get mask_token_id(): number | null {
    return this.#id("mask_token");
  }
  set mask_token_id(id: number | null) {
    this.#nameById("mask_token", id);
  }

  /** The named special tokens that are set: name → token, names such as `image_token` included. */
  get special_tokens_map(): Record<string, string> {
    return Object.fromEntries(
      [...SPECIAL_TOKEN_NAMES, ...this.#ownNames].flatMap((name) => {
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
   * Gives special tokens names that are not among those of every tokenizer: `nameTokens({ image_token: "<img>" })` adds the properties
   * `image_token` and `image_token_id`, and templates see the name. Tokens that are no tokens yet are not added.
   *
   * @throws InputError a name that is already something else: a method, or a setting
   */
  nameTokens(tokens: Readonly<Record<string, string>>): void {
    for (const [name, token] of Object.entries(tokens)) {
      if (isCommonName(name)) this.#name(name, token);
      else {
        this.#declare(name);
        this.#names.set(name, token);
      }
    }
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
    const names = [...SPECIAL_TOKEN_NAMES, ...this.#ownNames];
    checkOptions("add_special_tokens", tokens, new Set([...names, ...LISTS]));
    const { extra_special_tokens, additional_special_tokens, ...named } = tokens;
    let count = 0;
    const add = (token: AddedTokenInput): string => {
      const added = addedToken("add_special_tokens", token, true);
      count += this.backend_tokenizer.addTokens([added]);
      return added.content;
    };
    const given: Partial<Record<string, AddedTokenInput | null>> = named;
    for (const name of names) {
      const token = given[name];
      if (token === undefined) continue;
      this.#name(name, token === null ? null : add(token));
    }
    const extra = extra_special_tokens ?? additional_special_tokens;
    if (extra !== undefined) this.extra_special_tokens = extra.map(add);
    return count;
  }

  /** Makes `name` and `name`_id properties. */
  #declare(name: string): void {
    if (this.#ownNames.has(name)) return;
    for (const key of [name, `${name}_id`]) {
      if (!(key in this)) continue;
      throw new InputError(
        `tokenizer: a special token is called ${JSON.stringify(name)}, but ${JSON.stringify(key)} is already a member of every tokenizer; rename the token's name`,
      );
    }
    this.#ownNames.add(name);
    Object.defineProperties(this, {
      [name]: {
        get: () => this.#token(name),
        set: (token: string | null): void => {
          this.#name(name, token);
        },
        enumerable: true,
      },
      [`${name}_id`]: {
        get: () => this.#id(name),
        set: (id: number | null): void => {
          this.#nameById(name, id);
        },
        enumerable: true,
      },
    });
  }

  #token(name: string): string | null {
    return this.#names.get(name) ?? null;
  }

  #id(name: string): number | null {
    const token = this.#names.get(name);
    return token === undefined ? null : (this.backend_tokenizer.tokenToId(token) ?? null);
  }

  #name(name: string, token: string | null): void {
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

  #nameById(name: string, id: number | null): void {
    const token = id === null ? null : this.backend_tokenizer.idToToken(id);
    if (token === undefined) {
      const size = this.backend_tokenizer.size;
      throw new InputError(`tokenizer.${name}_id: no token has id ${id}; there are ${size}`);
    }
    this.#name(name, token);
  }
}

function isCommonName(name: string): name is SpecialTokenName {
  return (SPECIAL_TOKEN_NAMES as readonly string[]).includes(name);
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
