// Tokens with scores become entities, by the rules of Transformers' TokenClassificationPipeline. Knows no model and no tokenizer.

import { largestAt } from "./pipeline-base.ts";

export const aggregationStrategies = ["none", "simple", "first", "average", "max"] as const;

export type AggregationStrategy = (typeof aggregationStrategies)[number];

/** A token and the probability of each label. */
export type TaggedToken = {
  /** The token as the vocabulary has it: "▁Anna". */
  readonly word: string;
  readonly start: number;
  readonly end: number;
  /** Its place among the text's tokens, special ones counted. */
  readonly index: number;
  /** Whether it goes on with the word before it. */
  readonly isSubword: boolean;
  readonly scores: readonly number[];
};

/** A token with its label, or a group of tokens. */
export type Entity = {
  /** Without aggregation: the label of the token. */
  entity?: string;
  /** With aggregation: the label, without B- or I-. */
  entity_group?: string;
  /** The label's probability; of a group, the mean. */
  score: number;
  /** Without aggregation: the token's place, special tokens counted. */
  index?: number;
  /** The token, or the text of the group's tokens. */
  word: string;
  /** Where it begins in the text, in Unicode code points. */
  start: number;
  /** Where it ends: the first code point behind it. */
  end: number;
};

type Labelled = { label: string; score: number; word: string; start: number; end: number };
type Labels = Readonly<Record<number, string>>;

const mean = (numbers: readonly number[]): number =>
  numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

/** @param join the text of several tokens */
export function entitiesOf(
  tokens: readonly TaggedToken[],
  strategy: AggregationStrategy,
  id2label: Labels,
  join: (words: string[]) => string,
): Entity[] {
  if (strategy === "none") {
    return tokens.map((token) => {
      const { label, score, word, start, end } = best(token, id2label);
      return { entity: label, score, index: token.index, word, start, end };
    });
  }
  const labelled =
    strategy === "simple"
      ? tokens.map((token) => best(token, id2label))
      : wordsOf(tokens).map((word) => labelledWord(word, strategy, id2label, join));
  return groups(labelled).map((group) => ({
    entity_group: tagOf(group[0].label, /^[^-]*-/),
    score: mean(group.map(({ score }) => score)),
    word: join(group.map(({ word }) => word)),
    start: group[0].start,
    end: group[group.length - 1].end,
  }));
}

function best({ scores, word, start, end }: TaggedToken, id2label: Labels): Labelled {
  const at = largestAt([...scores]);
  return { label: id2label[at], score: scores[at], word, start, end };
}

/** The tokens of each word. */
function wordsOf(tokens: readonly TaggedToken[]): TaggedToken[][] {
  const words: TaggedToken[][] = [];
  for (const token of tokens) {
    if (token.isSubword && words.length > 0) words[words.length - 1].push(token);
    else words.push([token]);
  }
  return words;
}

function labelledWord(
  tokens: readonly TaggedToken[],
  strategy: "first" | "average" | "max",
  id2label: Labels,
  join: (words: string[]) => string,
): Labelled {
  const scores = wordScores(tokens, strategy);
  const at = largestAt(scores);
  return {
    label: id2label[at],
    score: scores[at],
    word: join(tokens.map(({ word }) => word)),
    start: tokens[0].start,
    end: tokens[tokens.length - 1].end,
  };
}

/** The scores that decide a word's label. */
function wordScores(
  tokens: readonly TaggedToken[],
  strategy: "first" | "average" | "max",
): number[] {
  if (strategy === "first") return [...tokens[0].scores];
  if (strategy === "average")
    return tokens[0].scores.map((_, i) => mean(tokens.map(({ scores }) => scores[i])));
  return [...tokens[largestAt(tokens.map(({ scores }) => Math.max(...scores)))].scores];
}

/** Joins neighbours of one tag; a B- label begins a new group. */
function groups(labelled: readonly Labelled[]): Labelled[][] {
  const joined: Labelled[][] = [];
  for (const each of labelled) {
    const last = joined.at(-1)?.at(-1);
    const goesOn =
      last !== undefined && !each.label.startsWith("B-") && tagOf(each.label) === tagOf(last.label);
    if (goesOn) joined[joined.length - 1].push(each);
    else joined.push([each]);
  }
  return joined;
}

const tagOf = (label: string, prefix = /^[BI]-/): string => label.replace(prefix, "");

/** Of entities that overlap, from pieces of one text, keeps the longest, or the surest of several. */
export function withoutOverlaps(entities: readonly Entity[]): Entity[] {
  const kept: Entity[] = [];
  for (const entity of entities.toSorted((a, b) => a.start - b.start)) {
    const last = kept.at(-1);
    if (last === undefined || entity.start < last.start || entity.start >= last.end) {
      kept.push(entity);
      continue;
    }
    const longer = entity.end - entity.start - (last.end - last.start);
    if (longer > 0 || (longer === 0 && entity.score > last.score)) kept[kept.length - 1] = entity;
  }
  return kept;
}
