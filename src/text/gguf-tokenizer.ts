// The tokenizer that a GGUF file's metadata describes: SentencePiece's pieces, scores and types ("llama"), a vocabulary in bytes
// ("gpt2"), or a whole tokenizer.json. What the metadata does not say is as in Mistral's published tokenizer.json: a space is put before the whole text
// only, not after each special token too. Takes metadata as plain values; knows no files.

import { CheckpointError } from "../errors.ts";
import { byteLevelParts } from "./gguf-byte-level.ts";
import {
  CONTROL,
  MAX_WORK,
  type Piece,
  pieceParts,
  type PieceType,
  UNKNOWN,
} from "./sentencepiece.ts";
import type { SentencePieceOptions } from "./sentencepiece.ts";
import { MAX_TOKENS, readTokenizerJson } from "./tokenizer-json.ts";
import type { TokenizerParts } from "./tokenizer.ts";

/** Keys of a GGUF file; lists of numbers are typed arrays. */
export type GgufMetadata = ReadonlyMap<string, unknown>;

export type GgufTokenizer = {
  parts: TokenizerParts;
  /** What tokenizer_config.json would say: special tokens, what is added to a text, chat templates. */
  settings: Record<string, unknown>;
};

/**
 * The tokenizer in the metadata of the file `where`.
 *
 * @throws CheckpointError there is none, it contradicts itself, or is of another kind
 */
export function readGgufTokenizer(
  metadata: GgufMetadata,
  where: string,
  { legacy }: SentencePieceOptions,
): GgufTokenizer {
  const keys = new TokenizerKeys(metadata, where);
  const tokens = keys.strings("tokens");
  const named = {
    bos: keys.id("bos_token_id", tokens),
    eos: keys.id("eos_token_id", tokens),
    unk: keys.id("unknown_token_id", tokens),
    pad: keys.id("padding_token_id", tokens),
  };
  const settings: Record<string, unknown> = { ...chatTemplates(metadata) };
  const whole = metadata.get("tokenizer.huggingface.json");
  if (typeof whole === "string") {
    nameTokens(settings, named, tokens);
    const place = `${where}: tokenizer.huggingface.json`;
    return { parts: readTokenizerJson(new TextEncoder().encode(whole), place), settings };
  }
  if (keys.get("model") === "gpt2") {
    nameTokens(settings, named, tokens);
    return { parts: readByteLevel(keys, tokens, named), settings };
  }
  refuseOtherKinds(keys);
  const pieces = readPieces(keys, tokens, named);
  const ofType = (id: number, type: PieceType): number | undefined =>
    pieces[id]?.type === type ? id : undefined;
  const bos = named.bos ?? ofType(1, CONTROL);
  const eos = named.eos ?? ofType(2, CONTROL);
  const unk = named.unk ?? ofType(0, UNKNOWN);
  nameTokens(settings, { ...named, bos, eos, unk }, tokens);
  const parts = pieceParts(pieces, where, {
    prefix: keys.boolean("add_space_prefix", true),
    legacy,
    bos: keys.boolean("add_bos_token", true) ? bos : undefined,
    eos: keys.boolean("add_eos_token", false) ? eos : undefined,
  });
  return { parts, settings };
}

type Named = Readonly<Record<"bos" | "eos" | "unk" | "pad", number | undefined>>;

function nameTokens(
  settings: Record<string, unknown>,
  named: Named,
  tokens: readonly string[],
): void {
  for (const [name, id] of Object.entries(named)) {
    if (id !== undefined) settings[`${name}_token`] = tokens[id];
  }
}

function refuseOtherKinds(keys: TokenizerKeys): void {
  const model = keys.get("model");
  const remedy =
    "put the model's tokenizer.json into a folder of its own, and load the tokenizer from there";
  if (model !== "llama") {
    throw new CheckpointError(
      `${keys.where}: tokenizer.ggml.model is ${JSON.stringify(model) ?? "missing"}, expected "llama" (SentencePiece) or "gpt2" (bytes); ${remedy}`,
    );
  }
  if (keys.boolean("remove_extra_whitespaces", false) || keys.get("precompiled_charsmap")) {
    throw new CheckpointError(
      `${keys.where}: the tokenizer normalizes text by a table or removes extra white space, which is not supported; ${remedy}`,
    );
  }
}

function readByteLevel(
  keys: TokenizerKeys,
  tokens: readonly string[],
  named: Named,
): TokenizerParts {
  if (tokens.length > MAX_TOKENS) {
    throw new CheckpointError(
      `${keys.where}: ${tokens.length} tokens; at most ${MAX_TOKENS} are read`,
    );
  }
  const typed = keys.get("token_type") !== undefined;
  const pre = keys.get("pre");
  return byteLevelParts(
    {
      tokens,
      types: typed ? keys.numbers("token_type", tokens.length) : undefined,
      merges: keys.strings("merges"),
      pre: typeof pre === "string" ? pre : undefined,
      named: new Set(Object.values(named).filter((id) => id !== undefined)),
      bos: keys.boolean("add_bos_token", false) ? named.bos : undefined,
      eos: keys.boolean("add_eos_token", false) ? named.eos : undefined,
    },
    keys.where,
  );
}

function readPieces(keys: TokenizerKeys, tokens: readonly string[], named: Named): Piece[] {
  const work = tokens.reduce((sum, { length }) => sum + length ** 2, 0);
  if (tokens.length > MAX_TOKENS || work > MAX_WORK) {
    const limits = `at most ${MAX_TOKENS} tokens of usual lengths`;
    throw new CheckpointError(
      `${keys.where}: too many tokens or too long ones; ${limits} are read`,
    );
  }
  const scores = keys.numbers("scores", tokens.length);
  const types =
    keys.get("token_type") === undefined ? undefined : keys.numbers("token_type", tokens.length);
  return tokens.map((text, id): Piece => {
    if (text === "") throw new CheckpointError(`${keys.where}: token ${id} has no text`);
    if (Number.isNaN(scores[id])) {
      throw new CheckpointError(`${keys.where}: the score of token ${id} is not a number`);
    }
    const type =
      id === named.unk
        ? UNKNOWN
        : id === named.bos || id === named.eos
          ? CONTROL
          : (types?.[id] ?? 1);
    if (!(Number.isInteger(type) && type >= 1 && type <= 6)) {
      throw new CheckpointError(`${keys.where}: token ${id} has type ${type}; expected 1 to 6`);
    }
    return { text, score: scores[id], type: type as PieceType };
  });
}

/** As tokenizer_config.json writes them: one text, or names with texts. */
function chatTemplates(metadata: GgufMetadata): { chat_template?: unknown } {
  const key = "tokenizer.chat_template";
  const found = [...metadata]
    .filter(
      ([name, text]) => typeof text === "string" && (name === key || name.startsWith(`${key}.`)),
    )
    .map(([name, template]) => ({ name: name.slice(key.length + 1) || "default", template }));
  if (found.length === 0) return {};
  return {
    chat_template: found.length === 1 && found[0].name === "default" ? found[0].template : found,
  };
}

/** The keys "tokenizer.ggml.…". */
class TokenizerKeys {
  readonly where: string;
  readonly #metadata: GgufMetadata;

  constructor(metadata: GgufMetadata, where: string) {
    this.where = where;
    this.#metadata = metadata;
  }

  get(key: string): unknown {
    return this.#metadata.get(`tokenizer.ggml.${key}`);
  }

  boolean(key: string, otherwise: boolean): boolean {
    const value = this.get(key) ?? otherwise;
    if (typeof value === "boolean") return value;
    throw this.#wrong(key, "true or false");
  }

  strings(key: string): readonly string[] {
    const value = this.get(key);
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    throw this.#wrong(key, "a list of strings; is it a file of a whole model?");
  }

  numbers(key: string, length: number): ArrayLike<number> {
    const value = this.get(key);
    const isNumbers =
      value instanceof Float32Array || value instanceof Int32Array || value instanceof Uint32Array;
    if (isNumbers && value.length === length) return value;
    throw this.#wrong(key, `a list of ${length} numbers, one a token`);
  }

  id(key: string, tokens: readonly string[]): number | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (
      typeof value === "number" &&
      Number.isInteger(value) &&
      value >= 0 &&
      value < tokens.length
    ) {
      return value;
    }
    throw this.#wrong(key, `the id of one of ${tokens.length} tokens`);
  }

  #wrong(key: string, expected: string): CheckpointError {
    const value = this.get(key);
    const length =
      typeof value === "object" && value !== null && "length" in value ? value.length : 0;
    const came =
      typeof value === "object"
        ? `a list of ${String(length)}`
        : (
            JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? Number(v) : v)) ??
            "missing"
          ).slice(0, 60);
    return new CheckpointError(
      `${this.where}: tokenizer.ggml.${key} is ${came}; expected ${expected}`,
    );
  }
}
