// The pipeline "zero-shot-classification": scores labels that are chosen at the call, by a classifier of inferences (as Transformers does)
// or by a language model. Does not know how the models compute.

import { InputError } from "../../errors.ts";
import { MistralForCausalLM } from "../model/causal-lm.ts";
import { MistralForSequenceClassification } from "../model/sequence-classification.ts";
import { encodeOne } from "./encode-one.ts";
import { Pipeline, type PipelineCallOptions, softmaxOf } from "./pipeline-base.ts";

export type ZeroShotClassificationOptions = PipelineCallOptions & {
  /** The labels: a list, or one text with commas between them. Always needed. */
  candidate_labels?: string | readonly string[];
  /** The sentence about the text; {} is where the label stands. Default "This example is {}." */
  hypothesis_template?: string;
  /** Whether several labels may hold: each then has a score of its own, from 0 to 1. Default false: the scores sum to 1. */
  multi_label?: boolean;
};

/** Labels and their scores, the best first. */
export type ZeroShotClassification = { sequence: string; labels: string[]; scores: number[] };

const KNOWN: ReadonlySet<string> = new Set([
  ...["batch_size", "signal", "candidate_labels", "hypothesis_template", "multi_label"],
]);

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface ZeroShotClassificationPipeline {
  (
    text: string,
    candidate_labels: string | readonly string[],
    options?: ZeroShotClassificationOptions,
  ): Promise<ZeroShotClassification>;
  (
    texts: readonly string[],
    candidate_labels: string | readonly string[],
    options?: ZeroShotClassificationOptions,
  ): Promise<ZeroShotClassification[]>;
  /** With `candidate_labels` among the options. */
  (text: string, options?: ZeroShotClassificationOptions): Promise<ZeroShotClassification>;
  (
    texts: readonly string[],
    options?: ZeroShotClassificationOptions,
  ): Promise<ZeroShotClassification[]>;
}

type Model = MistralForSequenceClassification | MistralForCausalLM;

/**
 * Scores labels: `await classify("The dragon slept.", ["story", "news"])` gives `{ sequence, labels, scores }`.
 *
 * A MistralForSequenceClassification must be one of inferences, with a label that begins with "entail": the score is that of the text
 * entailing the hypothesis. With a MistralForCausalLM, which Transformers does not take here, a label's score is the mean log-probability
 * of its tokens behind the text, a line end and the hypothesis up to the label; softmax over the labels, or with `multi_label` the
 * geometric mean of the tokens' probabilities.
 */
export class ZeroShotClassificationPipeline extends Pipeline<
  Model,
  string | readonly string[],
  ZeroShotClassificationOptions,
  ZeroShotClassification | ZeroShotClassification[]
> {
  readonly task = "zero-shot-classification";
  /** For the library: the names of its calls' options. */
  static readonly options: ReadonlySet<string> = KNOWN;

  async _call(
    texts: string | readonly string[],
    labelsOrOptions?: string | readonly string[] | ZeroShotClassificationOptions,
    more?: ZeroShotClassificationOptions,
  ): Promise<ZeroShotClassification | ZeroShotClassification[]> {
    const isOptions = typeof labelsOrOptions === "object" && !Array.isArray(labelsOrOptions);
    const given = isOptions
      ? (labelsOrOptions as ZeroShotClassificationOptions)
      : {
          ...(labelsOrOptions !== undefined && { candidate_labels: labelsOrOptions as string }),
          ...more,
        };
    const options = this.optionsOf(given, KNOWN);
    const { hypothesis_template: template = "This example is {}.", multi_label = false } = options;
    const labels = readLabels(options.candidate_labels);
    if (typeof template !== "string" || !template.includes("{}")) {
      throw new InputError(
        `${this.task}: hypothesis_template: ${JSON.stringify(template)}: expected a text with {} where the label stands`,
      );
    }
    const isList = Array.isArray(texts);
    const list = (isList ? texts : [texts]) as readonly string[];
    const pairs = list.flatMap((text) => labels.map((label) => ({ text, label })));
    const { model } = this;
    const score =
      model instanceof MistralForCausalLM
        ? await this.#likelihoods(model, pairs, template, options)
        : await this.#entailments(
            model,
            pairs,
            template,
            options,
            multi_label || labels.length === 1,
          );
    const results = list.map((sequence, i): ZeroShotClassification => {
      const own = score.slice(i * labels.length, (i + 1) * labels.length);
      const isAlone =
        multi_label || (labels.length === 1 && !(model instanceof MistralForCausalLM));
      const scores = isAlone ? own.map((x) => Math.exp(x)) : softmaxOf(own);
      const order = [...labels.keys()].toSorted((a, b) => scores[b] - scores[a]);
      return {
        sequence,
        labels: order.map((at) => labels[at]),
        scores: order.map((at) => scores[at]),
      };
    });
    return isList ? results : results[0];
  }

  /** The logit of "entailment" of each pair; or if labels stand alone, its log-probability beside "contradiction". */
  async #entailments(
    model: MistralForSequenceClassification,
    pairs: readonly { text: string; label: string }[],
    template: string,
    options: ZeroShotClassificationOptions,
    isAlone: boolean,
  ): Promise<number[]> {
    const { label2id, num_labels: N } = model.config;
    const entailment = Object.entries(label2id).find(([label]) => /^entail/i.test(label))?.[1];
    if (entailment === undefined) {
      throw new InputError(
        `${this.task}: no label of the model begins with "entail" (${Object.keys(label2id).join(", ")}), so that it is no classifier of inferences; ` +
          "set config.label2id if its labels only have other names, or use a MistralForCausalLM",
      );
    }
    const contradiction = entailment === 0 ? N - 1 : 0;
    return this.inBatches(pairs, options, async (batch) => {
      const rows = batch.map(({ text, label }) => {
        const text_pair = template.replaceAll("{}", label);
        return encodeOne(this.task, this.tokenizer, text, { text_pair }).ids;
      });
      const { inputs } = this.padded(rows);
      const { logits } = await model({ ...inputs, use_cache: false, signal: options.signal });
      return batch.map((_, b) => {
        const own = logits.data.subarray(b * N, (b + 1) * N);
        if (!isAlone) return own[entailment];
        return Math.log(softmaxOf([own[contradiction], own[entailment]])[1]);
      });
    });
  }

  /** The mean log-probability of each label's tokens. */
  async #likelihoods(
    model: MistralForCausalLM,
    pairs: readonly { text: string; label: string }[],
    template: string,
    options: ZeroShotClassificationOptions,
  ): Promise<number[]> {
    const V = model.config.vocab_size;
    const rows = pairs.map(({ text, label }) => {
      const before = `${text}\n${template.slice(0, template.indexOf("{}"))}`;
      const encode = (whole: string): number[] =>
        encodeOne(this.task, this.tokenizer, whole, {}).ids;
      const [prompt, ids] = [encode(before), encode(before + label)];
      const differs = ids.findIndex((id, i) => id !== prompt[i]);
      return { ids, first: Math.max(1, differs < 0 ? ids.length : differs) };
    });
    return this.inBatches(rows, options, async (batch) => {
      const { inputs, starts } = this.padded(batch.map(({ ids }) => ids));
      const from = Math.min(...batch.map(({ first }, b) => starts[b] + first - 1));
      const S = inputs.input_ids.dims[1];
      const keep = Array.from({ length: S - from }, (_, i) => from + i);
      const { logits } = await model({
        ...{ ...inputs, use_cache: false, signal: options.signal, logits_to_keep: keep },
      });
      return batch.map(({ ids, first }, b) => {
        const own = ids.slice(first).map((id, i) => {
          const row = b * keep.length + starts[b] + first + i - 1 - from;
          return Math.log(softmaxOf(logits.data.subarray(row * V, (row + 1) * V))[id]);
        });
        return own.reduce((sum, x) => sum + x, 0) / own.length;
      });
    });
  }
}

function readLabels(given: unknown): string[] {
  const list: unknown = typeof given === "string" ? given.split(",") : given;
  const labels = Array.isArray(list) ? list.map((label) => String(label).trim()) : [];
  if (labels.length > 0 && labels.every((label) => label !== "")) return labels;
  throw new InputError(
    `zero-shot-classification: candidate_labels: ${JSON.stringify(given)}: expected a list of labels, such as ["story", "news"]`,
  );
}
