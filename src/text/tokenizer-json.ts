// Reads tokenizer.json, the file of Hugging Face `tokenizers`: BPE models with what stands around them. Everything is
// checked before a table is made; what is not supported is refused by name. Knows nothing of folders.

import { CheckpointError } from "../errors.ts";
import type { AddedToken } from "./added-tokens.ts";
import type { BpeModel } from "./bpe.ts";
import { readDecoder } from "./decoder.ts";
import { Fields } from "./json-fields.ts";
import { readNormalizer } from "./normalizer.ts";
import { MAX_ID } from "./pair-table.ts";
import { readTemplate } from "./post-processor.ts";
import { readPreTokenizer } from "./pre-tokenizer.ts";
import type { BatchSettings, TokenizerParts } from "./tokenizer.ts";

/** Four times as many tokens as the largest published vocabulary has. */
export const MAX_TOKENS: number = 2 ** 20;
export const MAX_MERGES: number = 2 ** 21;
const MAX_BYTES = 2 ** 27;
// Commas of the largest file that is parsed: one for each token, two for each merge, and some for the rest.
const MAX_COMMAS = MAX_TOKENS + 2 * MAX_MERGES + 2 ** 19;

/**
 * The parts of a tokenizer.
 *
 * @param bytes the file
 * @param where its name, for messages
 * @throws CheckpointError the file is malformed, contradicts itself, is too large, or needs what is not supported
 */
export function readTokenizerJson(bytes: Uint8Array, where: string): TokenizerParts {
  const root = new Fields(parseTokenizerFile(bytes, where), where);
  const at = (name: string): [unknown, string] => [root.get(name), `${where}: ${name}`];
  try {
    return {
      model: readModel(root.object("model")),
      added: root.has("added_tokens") ? root.objects("added_tokens").map(readAdded) : [],
      normalizer: readNormalizer(...at("normalizer")),
      preTokenizer: readPreTokenizer(...at("pre_tokenizer")),
      template: readTemplate(...at("post_processor")),
      decoder: readDecoder(...at("decoder")),
      source: {
        normalizer: root.get("normalizer") ?? null,
        pre_tokenizer: root.get("pre_tokenizer") ?? null,
        decoder: root.get("decoder") ?? null,
      },
      batchSettings: readBatchSettings(root),
    };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new CheckpointError(`${where}: the file is nested too deeply`, { cause });
  }
}

/** The JSON of a tokenizer's file. @throws CheckpointError it is no JSON, or larger than any tokenizer is */
export function parseTokenizerFile(bytes: Uint8Array, where: string): unknown {
  if (bytes.length > MAX_BYTES) {
    throw new CheckpointError(
      `${where}: ${bytes.length} bytes; more than ${MAX_BYTES} are not read`,
    );
  }
  if (bytes.length > MAX_COMMAS) {
    let commas = 0;
    for (let i = 0; i < bytes.length && commas <= MAX_COMMAS; i++) if (bytes[i] === 0x2c) commas++;
    if (commas > MAX_COMMAS) {
      throw new CheckpointError(
        `${where}: more than ${MAX_COMMAS} entries; a tokenizer has at most ${MAX_TOKENS} tokens and ${MAX_MERGES} merges`,
      );
    }
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch (cause) {
    throw new CheckpointError(`${where}: the file is not JSON in UTF-8; download it again`, {
      cause,
    });
  }
}

function readModel(fields: Fields): BpeModel {
  const type = fields.string("type", "BPE");
  if (type !== "BPE") {
    throw new CheckpointError(`${fields.where}: model "${type}" is not supported; expected "BPE"`);
  }
  for (const name of ["dropout", "continuing_subword_prefix", "end_of_word_suffix"]) {
    const value = fields.get(name) ?? "";
    if (value !== "" && value !== 0) {
      throw new CheckpointError(
        `${fields.where}: ${name} ${JSON.stringify(value)} is not supported`,
      );
    }
  }
  const vocab = readVocab(fields.object("vocab"));
  const unkToken = fields.has("unk_token") ? fields.string("unk_token") : undefined;
  const unk = unkToken === undefined ? undefined : vocab.get(unkToken);
  if (unkToken !== undefined && unk === undefined) {
    const name = JSON.stringify(unkToken);
    throw new CheckpointError(`${fields.where}: unk_token ${name} is not in the vocabulary`);
  }
  return {
    vocab,
    merges: readMerges(fields.array("merges"), vocab, `${fields.where}: merges`),
    unk,
    fuseUnk: fields.boolean("fuse_unk", false),
    byteFallback: fields.boolean("byte_fallback", false),
    ignoreMerges: fields.boolean("ignore_merges", false),
  };
}

function readVocab(fields: Fields): Map<string, number> {
  const tokens = fields.keys();
  if (tokens.length > MAX_TOKENS) {
    throw new CheckpointError(
      `${fields.where} has ${tokens.length} tokens; at most ${MAX_TOKENS} are read`,
    );
  }
  const vocab = new Map<string, number>();
  const owners = new Map<number, string>();
  for (const token of tokens) {
    const id = fields.integer(token);
    const name = JSON.stringify(token);
    if (id >= MAX_ID) {
      throw new CheckpointError(`${fields.where}: the id ${id} of ${name} is not below ${MAX_ID}`);
    }
    const owner = owners.get(id);
    if (owner !== undefined) {
      const other = JSON.stringify(owner);
      throw new CheckpointError(`${fields.where}: ${name} and ${other} both have id ${id}`);
    }
    owners.set(id, token);
    vocab.set(token, id);
  }
  return vocab;
}

/** (left, right, merged) ids of merges, "left right" or [left, right]. @throws CheckpointError a token that is not in the vocabulary */
export function readMerges(
  list: readonly unknown[],
  vocab: ReadonlyMap<string, number>,
  where: string,
): Int32Array {
  if (list.length > MAX_MERGES) {
    throw new CheckpointError(`${where}: ${list.length} merges; at most ${MAX_MERGES} are read`);
  }
  const merges = new Int32Array(list.length * 3);
  list.forEach((merge, i) => {
    const parts: readonly unknown[] =
      typeof merge === "string" ? merge.split(" ") : Array.isArray(merge) ? merge : [];
    const [left, right] = parts;
    if (parts.length !== 2 || typeof left !== "string" || typeof right !== "string") {
      throw new CheckpointError(
        `${where}: number ${i} is ${JSON.stringify(merge)?.slice(0, 60)}; expected "left right" or [left, right]`,
      );
    }
    [left, right, left + right].forEach((token, part) => {
      const id = vocab.get(token);
      if (id === undefined) {
        throw new CheckpointError(
          `${where}: number ${i} needs the token ${JSON.stringify(token)}, which is not in the vocabulary`,
        );
      }
      merges[i * 3 + part] = id;
    });
  });
  return merges;
}

/** What the sections `padding` and `truncation` say of batches. Lengths in them are not used: a call says whether it cuts or pads. */
function readBatchSettings(root: Fields): BatchSettings {
  const side = (section: Fields): "left" | "right" => {
    const direction = section.string("direction", "Right").toLowerCase();
    if (direction === "left" || direction === "right") return direction;
    throw section.wrong("direction", '"Left" or "Right"');
  };
  const padding = root.has("padding") ? root.object("padding") : undefined;
  const truncation = root.has("truncation") ? root.object("truncation") : undefined;
  return {
    ...(padding && { pad_token: padding.string("pad_token"), padding_side: side(padding) }),
    ...(truncation && { truncation_side: side(truncation) }),
  };
}

function readAdded(fields: Fields): { id: number; token: AddedToken } {
  return { id: fields.integer("id"), token: readAddedToken(fields) };
}

/** An added token as tokenizer.json and tokenizer_config.json write it. @throws CheckpointError */
export function readAddedToken(fields: Fields): AddedToken {
  const special = fields.boolean("special", false);
  return {
    content: fields.string("content"),
    single_word: fields.boolean("single_word", false),
    lstrip: fields.boolean("lstrip", false),
    rstrip: fields.boolean("rstrip", false),
    normalized: fields.boolean("normalized", !special),
    special,
  };
}
