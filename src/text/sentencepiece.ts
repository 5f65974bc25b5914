// Reads tokenizer.model, a SentencePiece (Kudo and Richardson 2018) model of type BPE, and gives the parts that the
// published tokenizer.json of the same model has. Merges are ordered by the score of the piece that they make, not by its id, so
// that runs of spaces are merged last. Knows nothing of folders.

import { CheckpointError } from "../errors.ts";
import type { AddedToken } from "./added-tokens.ts";
import { readDecoder } from "./decoder.ts";
import { readNormalizer } from "./normalizer.ts";
import { bosEosTemplate } from "./post-processor.ts";
import { readPreTokenizer } from "./pre-tokenizer.ts";
import { fieldText, lastField, readFields, type Field } from "./protobuf.ts";
import { MAX_TOKENS } from "./tokenizer-json.ts";
import type { SourceSpecs, TokenizerParts } from "./tokenizer.ts";

/** Settings of tokenizer_config.json that change what a model file means. */
export type SentencePieceOptions = {
  /** As older Transformers did: a space is put before every piece of text between added tokens, not only before the whole text. */
  legacy: boolean;
  /** Added tokens by id: one takes the place of a piece with another text, unless its text is a piece already. */
  added?: ReadonlyMap<number, { readonly content: string }>;
};

/** normal, unknown, control, user-defined, unused, byte */
export type PieceType = 1 | 2 | 3 | 4 | 5 | 6;
export type Piece = { text: string; score: number; type: PieceType };
export const UNKNOWN = 2;
export const CONTROL = 3;
const USER_DEFINED = 4;
const MAX_BYTES = 2 ** 27;
// Finding the merges of a piece takes about the square of its length; published models need 10^6 in all.
export const MAX_WORK = 1e8;

const REMEDY = "use a folder that has the model's tokenizer.json";

/**
 * The parts of a tokenizer.
 *
 * @throws CheckpointError the file is malformed, too large, of another type than BPE, or normalizes text by a table
 */
export function readSentencePiece(
  bytes: Uint8Array,
  where: string,
  { legacy, added }: SentencePieceOptions,
): TokenizerParts {
  const pieces = renamed(readPieces(bytes, where), added);
  const trainer = message(bytes, 2, where);
  const normalizer = message(bytes, 3, where);
  const integer = (spec: Uint8Array, field: number, otherwise: number): number =>
    lastField(spec, field, where)?.value ?? otherwise;
  const type = integer(trainer, 3, 1);
  if (type !== 2) {
    const names = ["", "unigram", "BPE", "word", "char"];
    const name = names[type] ?? String(type);
    throw new CheckpointError(
      `${where}: a SentencePiece model of type ${name}; expected BPE; is this the tokenizer of a Mistral model?`,
    );
  }
  const table = lastField(normalizer, 2, where)?.bytes?.length ?? 0;
  if (table > 0) {
    throw new CheckpointError(
      `${where}: normalizing by a table (${table} bytes) is not supported; ${REMEDY}`,
    );
  }
  if (integer(normalizer, 4, 1) !== 0) {
    throw new CheckpointError(`${where}: removing extra white space is not supported; ${REMEDY}`);
  }
  return pieceParts(pieces, where, {
    prefix: integer(normalizer, 3, 1) !== 0,
    legacy,
    bos: controlId(pieces, integer(trainer, 41, 1)),
    eos: undefined,
  });
}

/** The pieces with added tokens in the places of those that their ids name: placeholders, such as "[control_8]", get their real names. */
function renamed(pieces: readonly Piece[], added: SentencePieceOptions["added"]): readonly Piece[] {
  if (added === undefined || added.size === 0) return pieces;
  const texts = new Set(pieces.map(({ text }) => text));
  return pieces.map((piece, id) => {
    const content = added.get(id)?.content ?? "";
    if (content === "" || texts.has(content)) return piece;
    texts.add(content);
    return { text: content, score: piece.score, type: 1 };
  });
}

/** What a model file says besides its pieces. */
export type PieceSettings = SentencePieceOptions & {
  /** A space is put before a text that is encoded, and dropped from the beginning of one that is decoded. */
  readonly prefix: boolean;
  /** The ids that stand before and after every text, if any. */
  readonly bos: number | undefined;
  readonly eos: number | undefined;
};

/** The parts of a tokenizer from pieces in the order of their ids. @throws CheckpointError two pieces of one text */
export function pieceParts(
  pieces: readonly Piece[],
  where: string,
  { prefix, legacy, bos, eos }: PieceSettings,
): TokenizerParts {
  const vocab = new Map<string, number>();
  pieces.forEach(({ text }, id) => {
    const other = vocab.get(text);
    if (other !== undefined) {
      throw new CheckpointError(`${where}: ${JSON.stringify(text)} is piece ${other} and ${id}`);
    }
    vocab.set(text, id);
  });
  const unk = pieces.findIndex((piece) => piece.type === UNKNOWN);
  const source = specs(prefix, legacy);
  return {
    model: {
      vocab,
      merges: mergesByScore(pieces, vocab, where),
      unk: unk < 0 ? undefined : unk,
      fuseUnk: true,
      byteFallback: true,
      ignoreMerges: false,
    },
    added: pieces.flatMap(({ text, type: kind }, id) =>
      kind === UNKNOWN || kind === CONTROL || kind === USER_DEFINED
        ? [{ id, token: addedToken(text, kind !== USER_DEFINED) }]
        : [],
    ),
    normalizer: readNormalizer(source.normalizer, where),
    preTokenizer: readPreTokenizer(source.pre_tokenizer, where),
    template: bosEosTemplate(bos, eos),
    decoder: readDecoder(source.decoder, where),
    source,
  };
}

/** What the published tokenizer.json says. `prefix` and `legacy`: see PieceSettings. */
function specs(prefix: boolean, legacy: boolean): SourceSpecs {
  const replace = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const metaspace = { type: "Metaspace", replacement: "▁" };
  const prepend = prefix ? [{ type: "Prepend", prepend: "▁" }] : [];
  const strip = prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [];
  return {
    normalizer: legacy ? { type: "Sequence", normalizers: [...prepend, replace] } : null,
    pre_tokenizer: legacy
      ? null
      : { ...metaspace, prepend_scheme: prefix ? "first" : "never", split: false },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...strip,
      ],
    },
  };
}

function controlId(pieces: readonly Piece[], id: number): number | undefined {
  return id < pieces.length && pieces[id].type === CONTROL ? id : undefined;
}

function addedToken(content: string, special: boolean): AddedToken {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { content, ...flags, special };
}

function message(bytes: Uint8Array, number: number, where: string): Uint8Array {
  return lastField(bytes, number, where)?.bytes ?? new Uint8Array(0);
}

function readPieces(bytes: Uint8Array, where: string): Piece[] {
  if (bytes.length > MAX_BYTES) {
    throw new CheckpointError(
      `${where}: ${bytes.length} bytes; more than ${MAX_BYTES} are not read`,
    );
  }
  let count = 0;
  let work = 0;
  for (const { number, bytes: piece } of readFields(bytes, where)) {
    if (number !== 1) continue;
    count++;
    work += (piece?.length ?? 0) ** 2;
    if (count > MAX_TOKENS || work > MAX_WORK) {
      const limits = `at most ${MAX_TOKENS} pieces of usual lengths`;
      throw new CheckpointError(`${where}: too many pieces or too long ones; ${limits} are read`);
    }
  }
  if (count === 0) throw new CheckpointError(`${where}: no pieces; is it a SentencePiece model?`);
  const pieces: Piece[] = [];
  for (const field of readFields(bytes, where)) {
    if (field.number === 1) pieces.push(readPiece(field, `${where}: piece ${pieces.length}`));
  }
  return pieces;
}

function readPiece(field: Field, where: string): Piece {
  if (field.bytes === undefined)
    throw new CheckpointError(`${where} is a number; expected a message`);
  let text: string | undefined;
  let score = 0;
  let type = 1;
  for (const part of readFields(field.bytes, where)) {
    if (part.number === 1) text = fieldText(part, where);
    else if (part.number === 2) score = floatOfBits(part, where);
    else if (part.number === 3) type = part.value;
  }
  if (text === undefined || text === "") throw new CheckpointError(`${where} has no text`);
  if (!(type >= 1 && type <= 6)) {
    throw new CheckpointError(`${where} has type ${type}; expected 1 to 6`);
  }
  return { text, score, type: type as PieceType };
}

const words = new DataView(new ArrayBuffer(4));

function floatOfBits({ wire, value }: Field, where: string): number {
  words.setUint32(0, value);
  const float = words.getFloat32(0);
  if (wire !== 5 || Number.isNaN(float)) {
    throw new CheckpointError(`${where}: its score is not a number`);
  }
  return float;
}

/** (left, right, merged) of every split of every piece into two pieces; best score first, then by ids. */
function mergesByScore(
  pieces: readonly Piece[],
  vocab: ReadonlyMap<string, number>,
  where: string,
): Int32Array {
  const byScore = pieces
    .map((_, id) => id)
    .toSorted((a, b) => mergeScore(pieces, b) - mergeScore(pieces, a) || a - b);
  const merges: number[] = [];
  for (const merged of byScore) {
    const { text } = pieces[merged];
    const splits: [number, number][] = [];
    for (let i = 1; i < text.length; i++) {
      const left = vocab.get(text.slice(0, i));
      const right = left === undefined ? undefined : vocab.get(text.slice(i));
      if (left !== undefined && right !== undefined) splits.push([left, right]);
    }
    for (const [left, right] of splits.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
      merges.push(left, right, merged);
    }
  }
  if (merges.length / 3 > 2 ** 21) {
    throw new CheckpointError(`${where}: ${merges.length / 3} merges; at most ${2 ** 21} are read`);
  }
  return Int32Array.from(merges);
}

// In the published tokenizer.json the unknown piece, and control pieces among the first three, count as if their score were 0.
function mergeScore(pieces: readonly Piece[], id: number): number {
  const { type, score } = pieces[id];
  return type === UNKNOWN || (type === CONTROL && id < 3) ? 0 : score;
}
