// The pipeline "text-classification": labels and scores of texts, by a sequence classifier. Does not know how the model computes.

import { unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { MistralConfig } from "../../models/config.ts";
import type { MistralForSequenceClassification } from "../model/sequence-classification.ts";
import { Pipeline, type PipelineCallOptions, softmaxOf } from "./pipeline-base.ts";
import { encodeOne, type EncodeOptions, encodeNames } from "./encode-one.ts";

/** A text, or a text and a second one beside it. */
export type ClassifiedText = string | { text: string; text_pair?: string };

export type TextClassificationOptions = PipelineCallOptions &
  EncodeOptions & {
    /** How many labels of each text are returned, the best first; null: all. Default: the best one. */
    top_k?: number | null;
    /**
     * How scores are made of logits. Default, as in Transformers: "none" for a regression, "sigmoid" for several labels that may hold at
     * once or for a single one, else "softmax".
     */
    function_to_apply?: "sigmoid" | "softmax" | "none";
  };

export type LabelScore = { label: string; score: number };

const KNOWN: ReadonlySet<string> = new Set([
  ...["batch_size", "signal", "top_k", "function_to_apply", ...encodeNames],
]);

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface TextClassificationPipeline {
  /** Labels of one text. */
  (text: string, options?: TextClassificationOptions): Promise<LabelScore[]>;
  (
    text: ClassifiedText,
    options: TextClassificationOptions & { top_k: number | null },
  ): Promise<LabelScore[]>;
  /** The best label of one text beside another: an object, no list, as in Transformers. */
  (pair: Exclude<ClassifiedText, string>, options?: TextClassificationOptions): Promise<LabelScore>;
  /** With `top_k`, the labels of each text. */
  (
    texts: readonly ClassifiedText[],
    options: TextClassificationOptions & { top_k: number | null },
  ): Promise<LabelScore[][]>;
  /** The best label of each text. */
  (texts: readonly ClassifiedText[], options?: TextClassificationOptions): Promise<LabelScore[]>;
}

/** Classifies texts: `await classify("I love it")` gives `[{ label, score }]`; of a list, one label a text, or with `top_k` a list a text. */
export class TextClassificationPipeline extends Pipeline<
  MistralForSequenceClassification,
  ClassifiedText | readonly ClassifiedText[],
  TextClassificationOptions,
  LabelScore | LabelScore[] | LabelScore[][]
> {
  readonly task = "text-classification";
  /** For the library: the names of its calls' options. */
  static readonly options: ReadonlySet<string> = KNOWN;

  async _call(
    texts: ClassifiedText | readonly ClassifiedText[],
    given?: TextClassificationOptions,
  ): Promise<LabelScore | LabelScore[] | LabelScore[][]> {
    const options = this.optionsOf(given, KNOWN);
    const { top_k, signal } = options;
    const isList = Array.isArray(texts);
    const list = (isList ? texts : [texts]) as readonly ClassifiedText[];
    const ids = list.map((text) => this.#ids(text, options));
    const { config } = this.model;
    const { num_labels: N } = config;
    const score = scoring(options.function_to_apply, config);
    const results = await this.inBatches(ids, options, async (rows) => {
      const { inputs } = this.padded(rows);
      const { logits } = await this.model({ ...inputs, use_cache: false, signal });
      return rows.map((_, b) =>
        labelled(score([...logits.data].slice(b * N, (b + 1) * N)), config),
      );
    });
    const kept = results.map((labels) => labels.slice(0, top_k === undefined ? 1 : (top_k ?? N)));
    if (!isList) return typeof texts === "string" || top_k !== undefined ? kept[0] : kept[0][0];
    return top_k === undefined ? kept.flat() : kept;
  }

  #ids(text: ClassifiedText, options: TextClassificationOptions): number[] {
    if (typeof text === "string") return encodeOne(this.task, this.tokenizer, text, options).ids;
    if (typeof text !== "object" || text === null || typeof text.text !== "string") {
      throw new InputError(
        `${this.task}: got ${JSON.stringify(text)}; expected a text, { text, text_pair }, or a list of these`,
      );
    }
    return encodeOne(this.task, this.tokenizer, text.text, {
      ...options,
      text_pair: text.text_pair,
    }).ids;
  }
}

type Scoring = (logits: number[]) => number[];

const functions: Readonly<Record<string, Scoring>> = {
  none: (logits) => logits,
  sigmoid: (logits) => logits.map((x) => 1 / (1 + Math.exp(-x))),
  softmax: softmaxOf,
};

function scoring(name: string | undefined, { problem_type, num_labels }: MistralConfig): Scoring {
  const isIndependent = problem_type === "multi_label_classification" || num_labels === 1;
  const usual = problem_type === "regression" ? "none" : isIndependent ? "sigmoid" : "softmax";
  const chosen = (name ?? usual).toLowerCase();
  if (Object.hasOwn(functions, chosen)) return functions[chosen];
  throw new InputError(
    `text-classification: ${unknownName("function_to_apply", name, Object.keys(functions))} (known: sigmoid, softmax, none)`,
  );
}

/** The labels with their scores, the best first. */
function labelled(scores: number[], { id2label }: MistralConfig): LabelScore[] {
  return scores
    .map((score, i) => ({ label: id2label[i], score }))
    .toSorted((a, b) => b.score - a.score);
}
