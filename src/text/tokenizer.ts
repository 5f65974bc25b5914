// Text ↔ token ids: added tokens, normalizer, pre-tokenizer, BPE, template, decoder, in the order of Rust `tokenizers`.
// Offsets are in Unicode code points and are only computed when details are asked for. Knows nothing of files, batches,
// padding or chats.

import { InputError } from "../errors.ts";
import { AddedTokens, type AddedToken, type Segment } from "./added-tokens.ts";
import { AlignedText } from "./aligned-text.ts";
import { Bpe, type BpeModel } from "./bpe.ts";
import type { Decoder } from "./decoder.ts";
import { Encoding, type Side } from "./encoding.ts";
import type { Normalizer } from "./normalizer.ts";
import { addedTokens, fillTemplate, type Template } from "./post-processor.ts";
import type { PreTokenizer } from "./pre-tokenizer.ts";
import { TokenBuffer } from "./token-buffer.ts";
import { trimOffsets } from "./trim-offsets.ts";

/** What a tokenizer is made of, as read from a file. */
export type TokenizerParts = {
  model: BpeModel;
  added: readonly { id: number; token: AddedToken }[];
  normalizer: Normalizer | undefined;
  preTokenizer: PreTokenizer | undefined;
  template: Template;
  decoder: Decoder;
  /** What the parts were read from, as tokenizer.json writes it. */
  source: SourceSpecs;
  /** Settings of batches that the file has, under the names that tokenizer_config.json has for them. */
  batchSettings?: BatchSettings;
};

export type BatchSettings = {
  pad_token?: string;
  padding_side?: Side;
  truncation_side?: Side;
};

export type SourceSpecs = { normalizer: unknown; pre_tokenizer: unknown; decoder: unknown };

export type EncodeOptions = {
  /** Compute offsets and words. */
  details: boolean;
  /** Take special tokens in the text as plain text. */
  splitSpecial: boolean;
};

export class TextTokenizer {
  readonly decoder: Decoder;
  readonly model: BpeModel;
  readonly source: SourceSpecs;
  readonly batchSettings: BatchSettings;
  /** Which special tokens stand around texts; can be replaced. */
  template: Template;
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #tokens: readonly (string | undefined)[];
  readonly #bpe: Bpe;
  readonly #added: AddedTokens;
  readonly #normalizer: Normalizer | undefined;
  readonly #preTokenizer: PreTokenizer | undefined;

  /** @throws CheckpointError added tokens contradict the vocabulary; `where` names the file */
  constructor(parts: TokenizerParts, where: string) {
    const { vocab } = parts.model;
    const tokens: (string | undefined)[] = [];
    for (const [token, id] of vocab) tokens[id] = token;
    this.model = parts.model;
    this.source = parts.source;
    this.batchSettings = parts.batchSettings ?? {};
    this.#vocab = vocab;
    this.#tokens = tokens;
    this.#added = new AddedTokens(vocab, parts.normalizer);
    this.#added.restore(parts.added, where);
    this.#bpe = new Bpe(parts.model);
    this.#normalizer = parts.normalizer;
    this.#preTokenizer = parts.preTokenizer;
    this.template = parts.template;
    this.decoder = parts.decoder;
  }

  /** How many tokens the model's vocabulary has, without added ones. */
  get vocabSize(): number {
    return this.#vocab.size;
  }

  /** How many tokens there are, added ones included. */
  get size(): number {
    let size = this.#vocab.size;
    for (const { content } of this.#added.tokens.values()) if (!this.#vocab.has(content)) size++;
    return size;
  }

  get added(): ReadonlyMap<number, AddedToken> {
    return this.#added.tokens;
  }

  /** All tokens with their ids. */
  vocabulary(): Map<string, number> {
    const all = new Map(this.#vocab);
    for (const [id, { content }] of this.#added.tokens) all.set(content, id);
    return all;
  }

  tokenToId(token: string): number | undefined {
    return this.#added.id(token) ?? this.#vocab.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.#added.text(id) ?? this.#tokens[id];
  }

  isSpecial(token: string): boolean {
    return this.#added.isSpecial(token);
  }

  /** Adds tokens, or changes their flags. @returns how many of them were not added tokens with the same flags before */
  addTokens(tokens: readonly AddedToken[]): number {
    return this.#added.add(tokens);
  }

  /** How many tokens the template adds to one text or two. */
  addedBy(pair: boolean): number {
    return addedTokens(pair ? this.template.pair : this.template.single);
  }

  /** The tokens of a text, without special tokens around it. @throws InputError a lone surrogate */
  encodeText(text: string, options: EncodeOptions): Encoding {
    return this.#encode([text], options, false);
  }

  /** The tokens of a text given as words: each is encoded on its own and numbered; offsets are those in the word. */
  encodeWords(words: readonly string[], options: EncodeOptions): Encoding {
    return this.#encode(words, options, true);
  }

  /** The tokens of a text in which no added token is looked for. @throws InputError a lone surrogate */
  encodePlain(text: string): Int32Array {
    checkSurrogates(text);
    const aligned = AlignedText.of(text, false);
    const normalized = this.#normalizer?.(aligned) ?? aligned;
    const out = new TokenBuffer(false);
    for (const piece of this.#preTokenizer?.(normalized) ?? [normalized]) {
      this.#bpe.encode(piece.text, out);
    }
    return out.ids.slice(0, out.length);
  }

  /** One or two encoded texts as one sequence. `special`: with the special tokens of the template. */
  assemble(first: Encoding, second: Encoding | undefined, special: boolean): Encoding {
    const { single, pair, trim } = this.template;
    const textOf = (id: number): string | undefined => this.idToToken(id);
    const trimmed = (encoding: Encoding, before: boolean): Encoding =>
      trim?.before === before ? trimOffsets(encoding, trim, textOf) : encoding;
    const texts = second === undefined ? [first] : [first, second];
    const before = texts.map((text) => trimmed(text, true));
    return trimmed(fillTemplate(second === undefined ? single : pair, before, special), false);
  }

  /** The text of tokens. Ids without a token are left out, as in Transformers. */
  decode(ids: Iterable<number>, skipSpecial: boolean): string {
    let text = "";
    let tokens: string[] = [];
    for (const id of ids) {
      const token = this.idToToken(id);
      if (token === undefined) continue;
      if (!skipSpecial || !this.#added.isSpecial(token)) tokens.push(token);
      else if (this.decoder.separateRuns === true) {
        text += this.decoder.decode(tokens);
        tokens = [];
      }
    }
    return text + this.decoder.decode(tokens);
  }

  #encode(texts: readonly string[], options: EncodeOptions, numbered: boolean): Encoding {
    const out = new TokenBuffer(options.details);
    const words: number[] = [];
    const stretched = new Map<number, string>();
    texts.forEach((text, number) => {
      checkSurrogates(text);
      const begin = out.length;
      let word = 0;
      const aligned = AlignedText.of(text, options.details);
      for (const { text: piece, id } of this.#pieces(aligned, options.splitSpecial)) {
        const first = out.length;
        if (id === undefined) this.#bpe.encode(piece.text, out);
        else {
          out.push(id, 0, piece.text.length);
          if (options.details && piece.text !== this.idToToken(id))
            stretched.set(first, piece.text);
        }
        if (!options.details) continue;
        toOriginal(out, first, piece);
        for (let i = first; i < out.length; i++) words.push(numbered ? number : word);
        word++;
      }
      if (options.details) toCodePoints(out, begin, text);
    });
    const ids = out.ids.slice(0, out.length);
    const offsets = interleaved(out);
    if (offsets === undefined) return Encoding.of(ids);
    return Encoding.of(ids, { words: Int32Array.from(words), offsets }, stretched);
  }

  *#pieces(text: AlignedText, splitSpecial: boolean): Generator<Segment> {
    for (const segment of this.#added.split(text, splitSpecial)) {
      if (segment.id !== undefined || this.#preTokenizer === undefined) yield segment;
      else {
        for (const piece of this.#preTokenizer(segment.text)) {
          if (piece.text !== "") yield { text: piece, id: undefined };
        }
      }
    }
  }
}

function checkSurrogates(text: string): void {
  if (typeof text !== "string") {
    const came = text === null ? "null" : typeof text;
    throw new InputError(`tokenizer: a text is ${came}; expected a string or an array of strings`);
  }
  if (text.isWellFormed()) return;
  const fixed = text.toWellFormed();
  let at = 0;
  while (text.charCodeAt(at) === fixed.charCodeAt(at)) at++;
  const unit = text.charCodeAt(at).toString(16).toUpperCase();
  throw new InputError(
    `tokenizer: the text has half a surrogate pair (U+${unit}) at UTF-16 unit ${at} and so is no Unicode text; ` +
      "replace such halves by U+FFFD with text.toWellFormed()",
  );
}

/** Changes the spans of the tokens from `first` on: from UTF-16 units of `piece` to those of the original text. */
function toOriginal(out: TokenBuffer, first: number, piece: AlignedText): void {
  const { starts, ends } = out;
  if (starts === undefined || ends === undefined) return;
  for (let i = first; i < out.length; i++) {
    const last = Math.max(ends[i] - 1, 0);
    starts[i] = piece.starts?.[starts[i]] ?? 0;
    ends[i] = piece.ends?.[last] ?? 0;
  }
}

/** Changes the spans of the tokens from `first` on: from UTF-16 units of `text` to code points. */
function toCodePoints(out: TokenBuffer, first: number, text: string): void {
  const { starts, ends } = out;
  if (starts === undefined || ends === undefined || !/[\u{10000}-\u{10ffff}]/u.test(text)) return;
  const points = new Int32Array(text.length + 1);
  for (let unit = 0, point = 0; unit < text.length; point++) {
    const width = (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
    points.fill(point, unit, unit + width);
    unit += width;
    points[unit] = point + 1;
  }
  for (let i = first; i < out.length; i++) {
    starts[i] = points[starts[i]];
    ends[i] = points[ends[i]];
  }
}

function interleaved({ starts, ends, length }: TokenBuffer): Int32Array | undefined {
  if (starts === undefined || ends === undefined) return undefined;
  const out = new Int32Array(length * 2);
  for (let i = 0; i < length; i++) {
    out[2 * i] = starts[i];
    out[2 * i + 1] = ends[i];
  }
  return out;
}
