// Reads tekken.json, the tokenizer file of Mistral AI: byte-pair encoding of bytes in the order of ranks, as tiktoken does it, with
// the special tokens in front of the vocabulary. Gives the parts that the tokenizer.json of the same model has, but for the order
// of merges. Everything is checked before a table is made. Knows nothing of folders and of conversations.

import { CheckpointError } from "../errors.ts";
import type { AddedToken } from "./added-tokens.ts";
import { BYTE_ALPHABET } from "./byte-level.ts";
import { readDecoder } from "./decoder.ts";
import { Fields } from "./json-fields.ts";
import { type KnownSettings, readKnownSettings } from "./mistral-common/model-settings.ts";
import { rulesOf } from "./mistral-common/rules.ts";
import { encodingVersion, type EncodingVersion, versionNumber } from "./mistral-common/version.ts";
import { bosEosTemplate } from "./post-processor.ts";
import { readPreTokenizer } from "./pre-tokenizer.ts";
import { MAX_WORK } from "./sentencepiece.ts";
import { SubstringTable } from "./substring-table.ts";
import { MAX_MERGES, MAX_TOKENS, parseTokenizerFile } from "./tokenizer-json.ts";
import type { TokenizerParts } from "./tokenizer.ts";

export type Tekken = {
  parts: TokenizerParts;
  /** Which of mistral-common's encodings of conversations the model was trained with. */
  version: EncodingVersion;
  /** What models of v15 know of settings such as reasoning_effort. */
  knownSettings: KnownSettings | undefined;
};

/** The special tokens of files that do not list them: those up to version 7, in the order of their ids. */
const UNLISTED = [
  ...["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"],
  ...["[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]"],
  ...["[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"],
  "[TOOL_CONTENT]",
];
const LAST_UNLISTED = 7;
const BYTES = 256;

/**
 * The tokenizer of a tekken.json.
 *
 * @param bytes the file
 * @param where its name, for messages
 * @throws CheckpointError the file is malformed, contradicts itself, is too large, or of a version that is not known
 */
export function readTekken(bytes: Uint8Array, where: string): Tekken {
  const root = new Fields(parseTokenizerFile(bytes, where), where);
  const config = root.object("config");
  const version = encodingVersion(config.get("version"), `${config.where}: version`);
  const special = readSpecialTokens(root, config, version);
  const size = config.integer("default_vocab_size");
  const tokens = readTokens(root, size - special.length, special.length);
  const source = {
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: { Regex: config.string("pattern") },
          behavior: "Isolated",
          invert: false,
        },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    decoder: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: false,
      use_regex: false,
    },
  };
  const bos = special.indexOf("<s>");
  const parts: TokenizerParts = {
    model: {
      vocab: vocabulary(tokens, special, where),
      merges: mergesOf(tokens, special.length, where),
      unk: undefined,
      fuseUnk: false,
      byteFallback: false,
      ignoreMerges: true,
      rankByToken: true,
    },
    added: special.map((content, id) => ({ id, token: specialToken(content) })),
    normalizer: undefined,
    preTokenizer: readPreTokenizer(source.pre_tokenizer, `${where}: config`),
    template: bosEosTemplate(bos < 0 ? undefined : bos, undefined),
    decoder: { ...readDecoder(source.decoder, where), separateRuns: true },
    source,
  };
  const builder = root.has("model_settings_builder")
    ? root.object("model_settings_builder")
    : undefined;
  if (builder !== undefined && !rulesOf(version).settings) {
    throw new CheckpointError(`${builder.where}: files of version ${version} have no such field`);
  }
  const knownSettings = builder === undefined ? undefined : readKnownSettings(builder);
  return { parts, version, knownSettings };
}

function specialToken(content: string): AddedToken {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { content, ...flags, special: true };
}

/** The special tokens in the order of their ids; ids that the file reserves without a name are called <SPECIAL_20> and so on. */
function readSpecialTokens(root: Fields, config: Fields, version: EncodingVersion): string[] {
  const count = config.integer("default_num_special_tokens");
  const tokens = root.has("special_tokens") ? listedTokens(root) : [...UNLISTED];
  if (!root.has("special_tokens") && versionNumber(version) > LAST_UNLISTED) {
    throw new CheckpointError(
      `${root.where}: no special_tokens, which files of version ${version} must list; download the file again`,
    );
  }
  if (tokens.length > count || count > MAX_TOKENS) {
    throw new CheckpointError(
      `${config.where}: default_num_special_tokens is ${count}; expected at least the ${tokens.length} special tokens and at most ${MAX_TOKENS}`,
    );
  }
  for (let id = tokens.length; id < count; id++) tokens.push(`<SPECIAL_${id}>`);
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    const other = ids.get(token);
    if (other !== undefined) {
      const name = JSON.stringify(token);
      throw new CheckpointError(`${root.where}: ${name} is special token ${other} and ${id}`);
    }
    ids.set(token, id);
  });
  return tokens;
}

function listedTokens(root: Fields): string[] {
  const entries = root.objects("special_tokens");
  const tokens: string[] = [];
  for (const entry of entries) {
    const rank = entry.integer("rank");
    if (rank >= entries.length || tokens[rank] !== undefined) {
      throw entry.wrong("rank", `each number below ${entries.length} once`);
    }
    tokens[rank] = entry.string("token_str");
  }
  return tokens;
}

/** The first `count` tokens of the file in the order of their ranks, each a string of its bytes: U+0000 to U+00FF. */
function readTokens(root: Fields, count: number, special: number): string[] {
  const entries = root.array("vocab");
  if (count < BYTES || count > entries.length || count > MAX_TOKENS) {
    throw new CheckpointError(
      `${root.where}: default_vocab_size leaves ${count} tokens beside ${special} special ones; ` +
        `expected ${BYTES} to ${Math.min(entries.length, MAX_TOKENS)}, as many as vocab has`,
    );
  }
  let work = 0;
  return entries.slice(0, count).map((value, rank) => {
    const entry = new Fields(value, `${root.where}: vocab[${rank}]`);
    if (entry.integer("rank") !== rank) throw entry.wrong("rank", String(rank));
    const token = bytesOf(entry);
    if (rank < BYTES && token !== String.fromCharCode(rank)) {
      throw entry.wrong("token_bytes", `the byte ${rank} alone`);
    }
    work += token.length ** 2;
    if (work > MAX_WORK) throw new CheckpointError(`${root.where}: its tokens are too long`);
    return token;
  });
}

function bytesOf(entry: Fields): string {
  let bytes: string;
  try {
    bytes = atob(entry.string("token_bytes"));
  } catch {
    throw entry.wrong("token_bytes", "bytes in base64");
  }
  if (bytes === "") throw entry.wrong("token_bytes", "at least one byte");
  return bytes;
}

/** The tokens as texts of the byte level alphabet; their ids come after those of the special tokens. */
function vocabulary(
  tokens: readonly string[],
  special: readonly string[],
  where: string,
): Map<string, number> {
  const vocab = new Map<string, number>();
  tokens.forEach((bytes, rank) => {
    let token = "";
    for (let i = 0; i < bytes.length; i++) token += BYTE_ALPHABET[bytes.charCodeAt(i)];
    const other = vocab.get(token);
    if (other !== undefined) {
      throw new CheckpointError(
        `${where}: vocab[${other - special.length}] and vocab[${rank}] have the same bytes`,
      );
    }
    vocab.set(token, special.length + rank);
  });
  // both would have the same name, and text could become a special token
  const twice = special.find((token) => vocab.has(token));
  if (twice !== undefined) {
    throw new CheckpointError(
      `${where}: ${JSON.stringify(twice)} is a special token and a token of text; this is not supported`,
    );
  }
  return vocab;
}

/** The ids (left, right, merged) of every split of every token into two tokens. */
function mergesOf(tokens: readonly string[], special: number, where: string): Int32Array {
  const table = new SubstringTable(tokens);
  const merges: number[] = [];
  tokens.forEach((token, merged) => {
    table.take(token);
    for (let i = 1; i < token.length; i++) {
      const left = table.find(0, i);
      const right = left < 0 ? -1 : table.find(i, token.length);
      if (right >= 0) merges.push(special + left, special + right, special + merged);
    }
  });
  if (merges.length / 3 > MAX_MERGES) {
    throw new CheckpointError(
      `${where}: ${merges.length / 3} merges; at most ${MAX_MERGES} are read`,
    );
  }
  return Int32Array.from(merges);
}
