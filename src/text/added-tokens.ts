// Added tokens: special tokens, and tokens that a user adds to the model's vocabulary. A text is searched for them before anything
// else is done with it; the leftmost match wins, and at one place the longest. As in Rust `tokenizers`, tokens that are not
// `normalized` are searched for in the text as given, then the others in the normalized text between them. Knows nothing of BPE.

import { CheckpointError } from "../errors.ts";
import { AlignedText } from "./aligned-text.ts";
import type { Normalizer } from "./normalizer.ts";
import { MAX_ID } from "./pair-table.ts";
import { CharSet, wordInClass } from "./regex/char-set.ts";

/** A token and how it is found in text; names as in Transformers. */
export type AddedToken = {
  content: string;
  /** Only where no letter, digit or underscore stands on either side. */
  single_word: boolean;
  /** White space on its left belongs to it. */
  lstrip: boolean;
  /** White space on its right belongs to it. */
  rstrip: boolean;
  /** Searched for in the normalized text, not in the text as given. */
  normalized: boolean;
  /** Left out by `skip_special_tokens`. */
  special: boolean;
};

/** A piece of a text: an added token where `id` is defined, else text to encode. */
export type Segment = { text: AlignedText; id: number | undefined };

export class AddedTokens {
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #tokens = new Map<number, AddedToken>();
  readonly #ids = new Map<string, number>();
  // the text a token decodes to: its content, normalized if the token is `normalized`
  readonly #texts = new Map<number, string>();
  readonly #special = new Set<string>();
  readonly #normalizer: Normalizer | undefined;
  #plain = new Trie();
  #normalized = new Trie();

  constructor(vocab: ReadonlyMap<string, number>, normalizer: Normalizer | undefined) {
    this.#vocab = vocab;
    this.#normalizer = normalizer;
  }

  /** Added tokens by id. */
  get tokens(): ReadonlyMap<number, AddedToken> {
    return this.#tokens;
  }

  id(content: string): number | undefined {
    return this.#ids.get(content);
  }

  /** The text that a token decodes to. */
  text(id: number): string | undefined {
    return this.#texts.get(id);
  }

  isSpecial(content: string): boolean {
    return this.#special.has(content);
  }

  /**
   * Adds tokens. One that is an added token already gets the new flags; a special token stays special.
   *
   * @returns how many of them were not added tokens with the same flags before
   */
  add(tokens: readonly AddedToken[]): number {
    let count = 0;
    for (const token of tokens) {
      const { content } = token;
      if (content === "") continue;
      if (token.special) this.#special.add(content);
      const id = this.#ids.get(content);
      if (id !== undefined && sameFlags(token, this.#tokens.get(id))) continue;
      this.#insert(token, id ?? this.#vocab.get(content) ?? this.#nextId());
      count++;
    }
    this.#index();
    return count;
  }

  /** Adds tokens with the ids of a file. @throws CheckpointError an id that another token has, or out of range */
  restore(tokens: readonly { id: number; token: AddedToken }[], where: string): void {
    checkAmount(
      tokens.map(({ token }) => token),
      where,
    );
    const owners = new Map<number, string>();
    for (const [content, id] of this.#vocab) owners.set(id, content);
    for (const { id, token } of tokens) {
      const name = JSON.stringify(token.content);
      const known = this.#vocab.get(token.content) ?? this.#ids.get(token.content);
      const owner = owners.get(id);
      if (token.content === "") throw new CheckpointError(`${where}: token ${id} is empty`);
      if (id >= MAX_ID) {
        throw new CheckpointError(
          `${where}: the id ${id} of ${name} is too large; expected one below ${MAX_ID}`,
        );
      }
      if ((known !== undefined && known !== id) || (owner ?? token.content) !== token.content) {
        const other = known === undefined ? JSON.stringify(owner) : `id ${known}`;
        throw new CheckpointError(
          `${where}: ${name} has id ${id}, but the file also says ${other}`,
        );
      }
      owners.set(id, token.content);
      if (token.special) this.#special.add(token.content);
      this.#insert(token, id);
    }
    this.#index();
  }

  /** Cuts a text into added tokens and what is between them; with `splitSpecial`, special tokens count as text. */
  split(text: AlignedText, splitSpecial: boolean): Segment[] {
    const out: Segment[] = [];
    for (const segment of this.#cut({ text, id: undefined }, this.#plain, splitSpecial)) {
      if (segment.id !== undefined) out.push(segment);
      else {
        const normalized = this.#normalizer?.(segment.text) ?? segment.text;
        out.push(...this.#cut({ text: normalized, id: undefined }, this.#normalized, splitSpecial));
      }
    }
    return out;
  }

  #insert(token: AddedToken, id: number): void {
    this.#ids.set(token.content, id);
    this.#tokens.set(id, token);
  }

  #nextId(): number {
    const size = this.#vocab.size;
    let largest = size - 1;
    for (const id of this.#tokens.keys()) if (id > largest) largest = id;
    return largest + 1;
  }

  #index(): void {
    this.#plain = new Trie();
    this.#normalized = new Trie();
    for (const [id, { content, normalized }] of this.#tokens) {
      const aligned = new AlignedText(content, true);
      const text = normalized ? (this.#normalizer?.(aligned) ?? aligned).text : content;
      this.#texts.set(id, text);
      (normalized ? this.#normalized : this.#plain).add(text, id);
    }
  }

  #cut(segment: Segment, trie: Trie, splitSpecial: boolean): Segment[] {
    const { text: aligned } = segment;
    const { text } = aligned;
    if (text === "") return [];
    if (trie.empty) return [segment];
    const out: Segment[] = [];
    let done = 0;
    const plain = (to: number): void => {
      if (done < to) out.push({ text: aligned.slice(done, to), id: undefined });
    };
    for (let match = trie.next(text, 0); match !== undefined; match = trie.next(text, match.to)) {
      const token = this.#tokens.get(match.id);
      if (token === undefined || (splitSpecial && this.#special.has(token.content))) continue;
      if (token.single_word && !standsAlone(text, match.from, match.to)) continue;
      const from = token.lstrip ? Math.max(spaceBefore(text, match.from), done) : match.from;
      const to = token.rstrip ? spaceAfter(text, match.to) : match.to;
      plain(from);
      out.push({ text: aligned.slice(from, to), id: match.id });
      done = to;
    }
    plain(text.length);
    return out;
  }
}

/** Whether two tokens of one content have the same flags. */
export function sameFlags(a: AddedToken, b: AddedToken | undefined): boolean {
  return (
    a.single_word === b?.single_word &&
    a.lstrip === b.lstrip &&
    a.rstrip === b.rstrip &&
    a.normalized === b.normalized &&
    a.special === b.special
  );
}

// UTF-16 units of all added tokens of a file together: each may take a node of a trie. Published files have about ten thousand.
const MAX_UNITS = 2 ** 20;

/** Refuses a file whose added tokens would take too much memory. @throws CheckpointError more than 2^20 UTF-16 units of them */
export function checkAmount(tokens: readonly AddedToken[], where: string): void {
  const units = tokens.reduce((sum, { content }) => sum + content.length, 0);
  if (units <= MAX_UNITS) return;
  throw new CheckpointError(
    `${where}: the added tokens have ${units} characters together; at most ${MAX_UNITS} are read`,
  );
}

let word: CharSet | undefined;
const SPACE = /^\p{White_Space}$/u;

function standsAlone(text: string, from: number, to: number): boolean {
  const low = text.charCodeAt(from - 1);
  const before = text.codePointAt(from - (low >= 0xdc00 && low < 0xe000 ? 2 : 1)) ?? 0x20;
  const after = text.codePointAt(to) ?? 0x20;
  word ??= new CharSet(`[${wordInClass()}\\p{Join_Control}]`);
  return !(from > 0 && word.has(before)) && !(to < text.length && word.has(after));
}

function spaceBefore(text: string, at: number): number {
  while (at > 0 && SPACE.test(text.charAt(at - 1))) at--;
  return at;
}

function spaceAfter(text: string, at: number): number {
  while (at < text.length && SPACE.test(text.charAt(at))) at++;
  return at;
}

type Node = { id: number | undefined; next: Map<number, Node> };
type Match = { from: number; to: number; id: number };

/** Finds the leftmost, then longest, of many strings. */
class Trie {
  readonly #root: Node = { id: undefined, next: new Map() };
  // 1 for UTF-16 units with which some string begins: most places of a text need no more than this look-up
  readonly #begins = new Uint8Array(0x10000);
  empty = true;

  add(content: string, id: number): void {
    if (content === "") return;
    this.empty = false;
    this.#begins[content.charCodeAt(0)] = 1;
    let node = this.#root;
    for (let i = 0; i < content.length; i++) {
      const unit = content.charCodeAt(i);
      let next = node.next.get(unit);
      if (next === undefined) {
        next = { id: undefined, next: new Map() };
        node.next.set(unit, next);
      }
      node = next;
    }
    node.id ??= id;
  }

  /** The first match at or after `from`. */
  next(text: string, from: number): Match | undefined {
    const begins = this.#begins;
    for (let at = from; at < text.length; at++) {
      if (begins[text.charCodeAt(at)] === 0) continue;
      let best: Match | undefined;
      let node: Node | undefined = this.#root;
      for (let i = at; node !== undefined; i++) {
        if (node.id !== undefined) best = { from: at, to: i, id: node.id };
        node = i < text.length ? node.next.get(text.charCodeAt(i)) : undefined;
      }
      if (best !== undefined) return best;
    }
    return undefined;
  }
}
