// What tokenizer(...) returns: rows of ids and masks as plain fields, and methods that lead from tokens to words and characters and back,
// as in Transformers' BatchEncoding. Positions of characters count Unicode code points. Does not know how texts are encoded.

import { InputError } from "../../errors.ts";
import type { Encoding } from "../../text/encoding.ts";
import { type Device, readTarget } from "../device.ts";
import { Tensor, type NestedInput } from "../tensor/tensor.ts";

/** One row, several rows, or a tensor [B, S]. */
export type Rows = number[] | number[][] | Tensor;

/** The half-open range [start, end). */
export type Span = { start: number; end: number };

/** Pairs (start, end) of one row, of several rows, or as a tensor [B, S, 2]. */
export type OffsetMapping = [number, number][] | [number, number][][] | Tensor;

/** What the methods read. Encodings with offsets are computed when a method is first called. */
export type EncodingSource = {
  encodings(): readonly Encoding[];
  idToToken(id: number): string | undefined;
};

/** What a tokenizer returns: rows of ids and masks as fields; a model takes it as it is. */
export class BatchEncoding<R extends Rows = Rows> {
  declare input_ids: R;
  declare attention_mask: R;
  declare token_type_ids: R;
  declare special_tokens_mask: R;
  declare offset_mapping: OffsetMapping;
  declare length: number[] | Tensor;
  declare overflow_to_sample_mapping: number[] | Tensor;
  declare assistant_masks: R;
  declare labels: Rows;
  readonly #source: EncodingSource | undefined;

  constructor(data: Record<string, unknown>, source?: EncodingSource) {
    Object.assign(this, data);
    this.#source = source;
  }

  /** Whether the methods below work. They do not for what `pad` returns. */
  get is_fast(): boolean {
    return this.#source !== undefined;
  }

  /** The names of the fields. */
  keys(): string[] {
    return Object.keys(this);
  }

  /** The values of the fields. */
  values(): unknown[] {
    return Object.values(this);
  }

  /** Names and values of the fields, as Python's `items()`. */
  items(): [string, unknown][] {
    return Object.entries(this);
  }

  /**
   * Returns the encoding itself: token ids stay where they are, and a model takes them from there, whatever its device.
   * @throws InputError an unknown device
   */
  to(device: Device | number): this {
    readTarget("BatchEncoding.to", device, undefined, []);
    return this;
  }

  /** Turns every field into a `Tensor`. @throws InputError rows of different lengths */
  convert_to_tensors(): this {
    for (const [name, value] of Object.entries(this)) {
      Object.assign(this, { [name]: Tensor.from(value as NestedInput) });
    }
    return this;
  }

  /** The tokens of a row as text. */
  tokens(batch_index = 0): string[] {
    const encoding = this.#row("tokens", batch_index);
    return Array.from(
      encoding.ids,
      (id, i) => encoding.texts.get(i) ?? this.#source?.idToToken(id) ?? "",
    );
  }

  /** The word of each token, null for special tokens and padding. */
  word_ids(batch_index = 0): (number | null)[] {
    return Array.from(this.#words("word_ids", batch_index), orNull);
  }

  /** For each token the text that it is from (0, or 1 for the pair), null for special tokens and padding. */
  sequence_ids(batch_index = 0): (number | null)[] {
    return this.#row("sequence_ids", batch_index).column("sequence").map(orNull);
  }

  /** The text of a token: 0, or 1 for the pair. This method and the next five take a row and an index, or an index in row 0. */
  token_to_sequence(batch_or_token_index: number, token_index?: number): number | null {
    const [row, token] = place(batch_or_token_index, token_index);
    return orNull(at(this.#row("token_to_sequence", row).column("sequence"), token));
  }

  /** The word of a token. */
  token_to_word(batch_or_token_index: number, token_index?: number): number | null {
    const [row, token] = place(batch_or_token_index, token_index);
    return orNull(at(this.#words("token_to_word", row), token));
  }

  /** The characters of a token. */
  token_to_chars(batch_or_token_index: number, token_index?: number): Span | null {
    const [row, token] = place(batch_or_token_index, token_index);
    const encoding = this.#row("token_to_chars", row);
    const index = token < 0 ? token + encoding.length : token;
    const offsets = encoding.details?.offsets;
    if (offsets === undefined || at(encoding.column("sequence"), index) < 0) return null;
    return { start: offsets[2 * index], end: offsets[2 * index + 1] };
  }

  /** The tokens of a word. */
  word_to_tokens(batch_or_word: number, word_index?: number, sequence_index = 0): Span | null {
    const [row, word] = place(batch_or_word, word_index);
    const words = this.#words("word_to_tokens", row);
    const sequences = this.#row("word_to_tokens", row).column("sequence");
    const inside = (w: number, i: number): boolean => w === word && sequences[i] === sequence_index;
    const start = words.findIndex(inside);
    return start < 0 ? null : { start, end: words.findLastIndex(inside) + 1 };
  }

  /** The characters of a word. */
  word_to_chars(batch_or_word: number, word_index?: number, sequence_index = 0): Span | null {
    const [row, word] = place(batch_or_word, word_index);
    const tokens = this.word_to_tokens(row, word, sequence_index);
    if (tokens === null) return null;
    const first = this.token_to_chars(row, tokens.start);
    const last = this.token_to_chars(row, tokens.end - 1);
    return first === null || last === null ? null : { start: first.start, end: last.end };
  }

  /** The token that holds a character (code point); null if none does. */
  char_to_token(batch_or_char: number, char_index?: number, sequence_index = 0): number | null {
    const [row, character] = place(batch_or_char, char_index);
    const encoding = this.#row("char_to_token", row);
    const offsets = encoding.details?.offsets;
    if (offsets === undefined) return null;
    const token = encoding
      .column("sequence")
      .findIndex(
        (sequence, i) =>
          sequence === sequence_index &&
          offsets[2 * i] <= character &&
          character < offsets[2 * i + 1],
      );
    return orNull(token);
  }

  /** The word that holds a character. */
  char_to_word(batch_or_char: number, char_index?: number, sequence_index = 0): number | null {
    const [row, character] = place(batch_or_char, char_index);
    const token = this.char_to_token(row, character, sequence_index);
    return token === null ? null : this.token_to_word(row, token);
  }

  #words(method: string, row: number): Int32Array {
    return this.#row(method, row).details?.words ?? new Int32Array(0);
  }

  #row(method: string, row: number): Encoding {
    if (this.#source === undefined) {
      throw new InputError(
        `BatchEncoding.${method}: these rows do not come from tokenizer(...), so their texts are not known`,
      );
    }
    const rows = this.#source.encodings();
    const encoding = rows.at(row);
    if (encoding !== undefined) return encoding;
    throw new InputError(`BatchEncoding.${method}: row ${row} of ${rows.length}`);
  }
}

function place(first: number, second: number | undefined): [row: number, index: number] {
  return second === undefined ? [0, first] : [first, second];
}

function at(values: Int32Array | number[], index: number): number {
  return values.at(index) ?? -1;
}

function orNull(value: number): number | null {
  return value < 0 ? null : value;
}
