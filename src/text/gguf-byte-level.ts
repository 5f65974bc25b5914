// The tokenizer of a GGUF file whose vocabulary is written in GPT-2's byte alphabet ("gpt2"): Tekken, Llama 3 and others. The file names
// how text is cut into words (tokenizer.ggml.pre) but does not say it; what a name means is as in Transformers 5.23.
// Knows no metadata keys.

import { CheckpointError } from "../errors.ts";
import type { AddedToken } from "./added-tokens.ts";
import { BYTE_ALPHABET, byteLevelBytes } from "./byte-level.ts";
import { readDecoder } from "./decoder.ts";
import { readPreTokenizer } from "./pre-tokenizer.ts";
import { bosEosTemplate } from "./post-processor.ts";
import { readMerges } from "./tokenizer-json.ts";
import type { TokenizerParts } from "./tokenizer.ts";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const ENDS = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

/** Words that change case once: a lower-case word with upper-case letters in front, or the other way round, and what follows it. */
const casedWords = (suffix: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${suffix}|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${suffix}`;
/** Words of any letters; numbers of at most `digits` digits. */
const plainWords = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*${ENDS}`;

const TEKKEN = `${casedWords("")}|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*${ENDS}`;
const GPT_4O = `${casedWords(`${CONTRACTIONS}?`)}|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*${ENDS}`;
const LLAMA_3 = plainWords("\\p{N}{1,3}");
const QWEN_2 = plainWords("\\p{N}");
const QWEN_35 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*${ENDS}`;

// Any other name, such as "gpt-2" or "default", means GPT-2's words.
const WORDS: ReadonlyMap<string, string> = new Map([
  ["tekken", TEKKEN],
  ...named(LLAMA_3, "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2"),
  ...named(LLAMA_3, "jina-v5-nano dbrx smaug-bpe"),
  ...named(QWEN_2, "qwen2 deepseek-r1-qwen kormo f2llmv2 megrez"),
  ["qwen35", QWEN_35],
  ...named(GPT_4O, "gpt-4o llama4 kanana2 talkie minimax-m2"),
]);

function named(words: string, names: string): [string, string][] {
  return names.split(" ").map((name) => [name, words]);
}

/** What a file says of such a vocabulary. */
export type ByteLevelVocabulary = {
  readonly tokens: readonly string[];
  /** Of each token 1 normal, 3 control, 4 user-defined, …; undefined: all are normal. */
  readonly types: ArrayLike<number> | undefined;
  readonly merges: readonly string[];
  /** The name of the way in which text is cut into words. */
  readonly pre: string | undefined;
  /** Tokens that have a role, such as bos: they are special whatever their type. */
  readonly named: ReadonlySet<number>;
  /** The tokens before and after every text, if any. */
  readonly bos: number | undefined;
  readonly eos: number | undefined;
};

const CONTROL = 3;
const USER_DEFINED = 4;

/** The parts of the tokenizer. @throws CheckpointError a merge of tokens that are not in the vocabulary */
export function byteLevelParts(given: ByteLevelVocabulary, where: string): TokenizerParts {
  const { tokens, types, merges, pre, named: roles, bos, eos } = given;
  const vocab = new Map<string, number>();
  const added: { id: number; token: AddedToken }[] = [];
  tokens.forEach((token, id) => {
    const type = types?.[id] ?? 1;
    const role = roles.has(id);
    const spelled = isSpelled(token);
    // a plain token in other characters is meant as the text that it is
    const text = spelled || role ? token : byteSpelling(token);
    vocab.set(text, id);
    if (role || (spelled && (type === CONTROL || type === USER_DEFINED))) {
      const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
      const special = role || type === CONTROL;
      added.push({ id, token: { content: text, ...flags, special } });
    }
  });
  if (tokens.length > 0 && merges.length === 0) {
    throw new CheckpointError(
      `${where}: tokenizer.ggml.merges is empty; expected the merges of the vocabulary`,
    );
  }
  const words = pre === undefined ? undefined : WORDS.get(pre);
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  const split = { type: "Split", pattern: { Regex: words }, behavior: "Isolated", invert: false };
  const source = {
    normalizer: null,
    pre_tokenizer:
      words === undefined
        ? { ...byteLevel, use_regex: true }
        : { type: "Sequence", pretokenizers: [split, { ...byteLevel, use_regex: false }] },
    decoder: { ...byteLevel, use_regex: true },
  };
  const table = readMerges(merges, vocab, `${where}: tokenizer.ggml.merges`);
  return {
    model: {
      vocab,
      merges: table,
      unk: undefined,
      fuseUnk: false,
      byteFallback: false,
      ignoreMerges: false,
    },
    added,
    normalizer: undefined,
    preTokenizer: readPreTokenizer(source.pre_tokenizer, where),
    template: bosEosTemplate(bos, eos),
    decoder: readDecoder(source.decoder, where),
    source,
  };
}

const ALPHABET: ReadonlySet<string> = new Set(BYTE_ALPHABET);

function isSpelled(token: string): boolean {
  return Array.from(token).every((character) => ALPHABET.has(character));
}

function byteSpelling(token: string): string {
  return byteLevelBytes(token)
    .map((byte) => BYTE_ALPHABET[byte])
    .join("");
}
