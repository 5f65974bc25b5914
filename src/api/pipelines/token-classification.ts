// The pipeline "token-classification": entities of texts, by a classifier of tokens. entities.ts says how tokens become entities.

import { unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { TokenClassificationInputs } from "../model/token-classification.ts";
import type { MistralForTokenClassification } from "../model/token-classification.ts";
import {
  type AggregationStrategy,
  aggregationStrategies,
  type Entity,
  entitiesOf,
  type TaggedToken,
  withoutOverlaps,
} from "./entities.ts";
import { Pipeline, type PipelineCallOptions, softmaxOf } from "./pipeline-base.ts";

export type TokenClassificationOptions = PipelineCallOptions & {
  /**
   * "none" (the default): one result a token. "simple": neighbours of one label are joined, B- and I- marks heeded. "first", "average"
   * and "max": as "simple", but all tokens of a word get one label: that of its first token, that of the mean of their scores, or that
   * of its surest token. A word begins behind a space.
   */
  aggregation_strategy?: AggregationStrategy;
  /** Labels that are left out. Default `["O"]`. */
  ignore_labels?: readonly string[];
  /** Cuts longer texts into pieces of the tokenizer's `model_max_length` that share so many tokens; needs a strategy other than "none". */
  stride?: number;
  /** Whether a text is a list of words. Default false. */
  is_split_into_words?: boolean;
  /** What stands between the words when positions are counted. Default " ". */
  delimiter?: string;
};

const KNOWN: ReadonlySet<string> = new Set([
  ...["batch_size", "signal", "aggregation_strategy", "ignore_labels", "stride"],
  ...["is_split_into_words", "delimiter"],
]);

type Words = readonly string[];

/** A piece of a text: its ids, and its tokens without the special ones, which have no scores yet. */
type Piece = { readonly ids: number[]; readonly tokens: Omit<TaggedToken, "scores">[] };

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface TokenClassificationPipeline {
  /** The entities of one text. */
  (text: string, options?: TokenClassificationOptions): Promise<Entity[]>;
  /** The entities of each text; of one text, if `is_split_into_words` is set and a list of words comes. */
  (
    texts: readonly string[] | readonly Words[],
    options?: TokenClassificationOptions,
  ): Promise<Entity[][]>;
}

/**
 * Finds entities: `await ner("Anna met Bob")` gives `[{ entity, score, index, word, start, end }]`, or with an `aggregation_strategy`
 * `[{ entity_group, score, word, start, end }]`. `start` and `end` count Unicode code points: `[...text].slice(start, end).join("")`.
 */
export class TokenClassificationPipeline extends Pipeline<
  MistralForTokenClassification,
  string | readonly string[] | readonly Words[],
  TokenClassificationOptions,
  Entity[] | Entity[][]
> {
  readonly task = "token-classification";
  /** For the library: the names of its calls' options. */
  static readonly options: ReadonlySet<string> = KNOWN;

  async _call(
    texts: string | readonly string[] | readonly Words[],
    given?: TokenClassificationOptions,
  ): Promise<Entity[] | Entity[][]> {
    const options = this.optionsOf(given, KNOWN);
    const strategy = this.#strategy(options);
    const { is_split_into_words = false, ignore_labels = ["O"], signal } = options;
    const isList = Array.isArray(texts) && !(is_split_into_words && typeof texts[0] === "string");
    const list = (isList ? texts : [texts]) as readonly (string | Words)[];
    const pieces = list.map((text) => this.#pieces(text, options));
    const scored = await this.inBatches(pieces.flat(), options, async (batch) => {
      const { inputs, starts } = this.padded(batch.map(({ ids }) => ids));
      const { logits } = await this.model({
        ...inputs,
        signal,
      } satisfies TokenClassificationInputs);
      const [, S, N] = logits.dims;
      return batch.map(({ tokens }, b): TaggedToken[] =>
        tokens.map((token) => {
          const from = (b * S + starts[b] + token.index) * N;
          return { ...token, scores: softmaxOf(logits.data.subarray(from, from + N)) };
        }),
      );
    });
    const { id2label } = this.model.config;
    const join = (words: string[]): string => this.tokenizer.convert_tokens_to_string(words);
    const results = pieces.map((own) => {
      const all = scored
        .splice(0, own.length)
        .flatMap((tokens) => entitiesOf(tokens, strategy, id2label, join))
        .filter(
          ({ entity, entity_group }) => !ignore_labels.includes(entity ?? entity_group ?? ""),
        );
      return own.length > 1 ? withoutOverlaps(all) : all;
    });
    return isList || is_split_into_words ? results : results[0];
  }

  #strategy({
    aggregation_strategy = "none",
    stride,
  }: TokenClassificationOptions): AggregationStrategy {
    const strategy = aggregationStrategies.find(
      (name) => name === aggregation_strategy.toLowerCase(),
    );
    if (strategy === undefined) {
      throw new InputError(
        `${this.task}: ${unknownName("aggregation_strategy", aggregation_strategy, aggregationStrategies)} (known: ${aggregationStrategies.join(", ")})`,
      );
    }
    if (stride === undefined) return strategy;
    const most = this.tokenizer.model_max_length;
    if (!(Number.isInteger(stride) && stride >= 0 && stride < most)) {
      throw new InputError(
        `${this.task}: stride: ${stride}: expected a whole number below tokenizer.model_max_length (${most})`,
      );
    }
    if (strategy !== "none") return strategy;
    throw new InputError(
      `${this.task}: stride joins pieces of a text, for which it needs entities: choose an aggregation_strategy other than "none"`,
    );
  }

  #pieces(
    text: string | Words,
    { is_split_into_words = false, delimiter = " ", stride }: TokenClassificationOptions,
  ): Piece[] {
    const fits = is_split_into_words
      ? Array.isArray(text) && text.every((word) => typeof word === "string")
      : typeof text === "string";
    if (!fits) {
      throw new InputError(
        `${this.task}: got ${JSON.stringify(text)}; expected ${is_split_into_words ? "a list of words" : "a text (lists of words need is_split_into_words)"}`,
      );
    }
    const words = is_split_into_words ? (text as Words) : undefined;
    const whole = words?.join(delimiter) ?? (text as string);
    const most = this.tokenizer.model_max_length;
    const encoding = this.tokenizer([text] as readonly string[], {
      ...{ is_split_into_words, truncation: most < 1e9, return_overflowing_tokens: true },
      ...{ stride: stride ?? 0, return_offsets_mapping: true, return_special_tokens_mask: true },
    });
    const rows = encoding.input_ids as number[][];
    const points = [...whole];
    const shift = words && wordStarts(words, [...delimiter].length);
    // Without a stride a text that is too long is cut.
    return rows.slice(0, stride === undefined ? 1 : rows.length).map((ids, row) => {
      const mask = (encoding.special_tokens_mask as number[][])[row];
      const offsets = (encoding.offset_mapping as [number, number][][])[row];
      const wordIds = words && encoding.word_ids(row);
      const tokens = ids.flatMap((id, index) => {
        if (mask[index] === 1) return [];
        const first = shift?.[wordIds?.[index] ?? 0] ?? 0;
        const [start, end] = offsets[index].map((at) => at + first);
        const isUnknown = id === this.tokenizer.unk_token_id;
        const word = isUnknown
          ? points.slice(start, end).join("")
          : (this.tokenizer.convert_ids_to_tokens(id) ?? "");
        const isSubword =
          !isUnknown && start > 0 && !points.slice(start - 1, start + 1).includes(" ");
        return [{ word, start, end, index, isSubword }];
      });
      return { ids, tokens };
    });
  }
}

/** In which code point of the joined text each word begins. */
function wordStarts(words: Words, between: number): number[] {
  let at = 0;
  return words.map((word) => {
    const start = at;
    at += [...word].length + between;
    return start;
  });
}
