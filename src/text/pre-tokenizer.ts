// Pre-tokenizers of tokenizer.json: text → the words that are encoded on their own. A kind that is not known here is
// refused by name. Knows nothing of tokens.

import { CheckpointError } from "../errors.ts";
import type { AlignedText } from "./aligned-text.ts";
import { GPT2_WORDS, toByteLevel } from "./byte-level.ts";
import { Fields } from "./json-fields.ts";
import {
  classPattern,
  literalPattern,
  readPattern,
  regexPattern,
  type Pattern,
} from "./pattern.ts";
import { pinned, rangeSource, SPACE, wordInClass } from "./regex/char-set.ts";
import { FORMER_PUNCTUATION, NEWER_PUNCTUATION } from "./unicode-9.ts";

export type PreTokenizer = (text: AlignedText) => AlignedText[];

/** The pre-tokenizer a file describes; none when it says null. @throws CheckpointError */
export function readPreTokenizer(value: unknown, where: string): PreTokenizer | undefined {
  if (value === null || value === undefined) return undefined;
  const fields = new Fields(value, where);
  const type = fields.string("type");
  switch (type) {
    case "Sequence": {
      const steps = fields
        .array("pretokenizers")
        .map((step, i) => readPreTokenizer(step, `${where}[${i}]`));
      return (text) => steps.reduce((words, step) => (step ? words.flatMap(step) : words), [text]);
    }
    case "Metaspace":
      return metaspace(fields);
    case "Split": {
      const cut = splitter(fields.string("behavior"), fields);
      const pattern = readPattern(fields);
      const invert = fields.boolean("invert", false);
      return (text) => cut(text, pattern, invert);
    }
    case "WhitespaceSplit": {
      const spaces = classPattern(SPACE);
      return (text) => BEHAVIORS.Removed(text, spaces, false);
    }
    case "Whitespace": {
      const word = `[${wordInClass()}\\p{Join_Control}]`;
      const words = classPattern(`${word}+|[^${word}${SPACE}]+`);
      return (text) => BEHAVIORS.Removed(text, words, true);
    }
    case "Punctuation": {
      const marks = classPattern(punctuation());
      const cut = splitter(fields.string("behavior", "Isolated"), fields);
      return (text) => cut(text, marks, false);
    }
    case "CharDelimiterSplit": {
      const delimiter = literalPattern(fields.string("delimiter"));
      return (text) => BEHAVIORS.Removed(text, delimiter, false);
    }
    case "Digits": {
      const digits = classPattern(numeric());
      const cut = fields.boolean("individual_digits", false)
        ? BEHAVIORS.Isolated
        : BEHAVIORS.Contiguous;
      return (text) => cut(text, digits, false);
    }
    case "ByteLevel":
      return byteLevel(fields);
    default:
      throw new CheckpointError(
        `${where}: pre-tokenizer "${type}" is not supported; known are Sequence, Metaspace, Split, ` +
          "WhitespaceSplit, Whitespace, Punctuation, CharDelimiterSplit, Digits, ByteLevel",
      );
  }
}

/** Numbers as Rust counts them: those of Unicode 17. */
function numeric(): string {
  return `[${pinned("\\p{N}")}\\u{11de0}-\\u{11de9}\\u{16ff4}-\\u{16ff6}]`;
}

/** ASCII's and Unicode's punctuation, but for what the library's table of categories does not know. */
function punctuation(): string {
  const [missing, more] = [NEWER_PUNCTUATION, FORMER_PUNCTUATION].map((ranges) =>
    ranges.map(([from, to]) => rangeSource(from, to)).join(""),
  );
  const ascii = "!-\\/:-@\\[-`\\{-~";
  return `[[${pinned("\\p{P}")}--[${missing}]]${ascii}${more}]`;
}

function metaspace(fields: Fields): PreTokenizer {
  const mark = fields.string("replacement", "▁");
  const spaces = fields.boolean("add_prefix_space", true) ? "always" : "never";
  const scheme = fields.string("prepend_scheme", spaces);
  if (!["always", "first", "never"].includes(scheme)) {
    throw fields.wrong("prepend_scheme", '"always", "first" or "never"');
  }
  const split = fields.boolean("split", true);
  const marks = literalPattern(mark);
  return (text) => {
    let word = text.replace(" ", mark);
    const wanted = scheme === "always" || (scheme === "first" && text.first);
    if (wanted && !word.text.startsWith(mark)) word = word.prepend(mark);
    return split ? BEHAVIORS.MergedWithNext(word, marks, false) : [word];
  };
}

type Cut = (text: AlignedText, pattern: Pattern, invert: boolean) => AlignedText[];
type Part = [from: number, to: number, match: boolean];

// the `behavior` of a Split, by its name in Rust `tokenizers`: what becomes of the matches
const BEHAVIORS = {
  Removed: cutBy((parts) => parts.filter(([, , match]) => !match)),
  Isolated: cutBy((parts) => parts),
  Contiguous: cutBy((parts) => joined(parts, (before, part) => before[2] === part[2])),
  MergedWithPrevious: cutBy((parts) => joined(parts, (before, part) => part[2] && !before[2])),
  MergedWithNext: cutBy((parts) =>
    joined(parts.toReversed(), (before, part) => part[2] && !before[2]).toReversed(),
  ),
};

/** Cuts a text at the matches of a pattern (`invert`: at what lies between them), and `arrange`s the parts. An empty match cuts too. */
function cutBy(arrange: (parts: Part[]) => Part[]): Cut {
  return (text, pattern, invert) => {
    const parts: Part[] = [];
    let end = 0;
    for (const [from, to] of pattern.find(text.text)) {
      if (from !== end) parts.push([end, from, invert]);
      parts.push([from, to, !invert]);
      end = to;
    }
    if (end < text.text.length) parts.push([end, text.text.length, invert]);
    return arrange(parts)
      .filter(([from, to]) => to > from)
      .map(([from, to]) => text.slice(from, to));
  };
}

/** The parts, with neighbours joined where `joins` says so. Whether a joined part is a match is taken from its first part. */
function joined(parts: readonly Part[], joins: (before: Part, part: Part) => boolean): Part[] {
  const out: Part[] = [];
  let before: Part | undefined;
  for (const part of parts) {
    const last = out.at(-1);
    if (last !== undefined && before !== undefined && joins(before, part)) {
      last[0] = Math.min(last[0], part[0]);
      last[1] = Math.max(last[1], part[1]);
    } else out.push([...part]);
    before = part;
  }
  return out;
}

function splitter(behavior: string, fields: Fields): Cut {
  if (!Object.hasOwn(BEHAVIORS, behavior)) {
    throw fields.wrong("behavior", Object.keys(BEHAVIORS).join(", "));
  }
  return BEHAVIORS[behavior as keyof typeof BEHAVIORS];
}

function byteLevel(fields: Fields): PreTokenizer {
  const prefix = fields.boolean("add_prefix_space", true);
  const words = fields.boolean("use_regex", true)
    ? regexPattern(GPT2_WORDS, fields.where)
    : undefined;
  return (text) => {
    const spaced = prefix && !text.text.startsWith(" ") ? text.prepend(" ") : text;
    const pieces = words ? BEHAVIORS.Isolated(spaced, words, false) : [spaced];
    return pieces.map(toByteLevel);
  };
}
