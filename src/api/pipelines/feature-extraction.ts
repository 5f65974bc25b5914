// The pipeline "feature-extraction": the last hidden states of texts, of each token or pooled into one vector a text.
// S tokens, H hidden. Does not know how the model computes.

import { unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { MistralModel } from "../model/mistral-model.ts";
import { Tensor } from "../tensor/tensor.ts";
import { encodeNames, encodeOne, type EncodeOptions } from "./encode-one.ts";
import { Pipeline, type PipelineCallOptions } from "./pipeline-base.ts";

export type FeatureExtractionOptions = PipelineCallOptions &
  EncodeOptions & {
    /** Options of the tokenizer, as in Transformers; the same as giving them beside. */
    tokenize_kwargs?: EncodeOptions;
    /** Whether tensors are returned in place of arrays. Default false. */
    return_tensors?: boolean;
    /**
     * "none" (the default, as in Transformers): the features of each token. "last": those of the last token, which has seen the whole
     * text: what embedding models such as e5-mistral use. "mean": the mean of all tokens.
     */
    pooling?: "none" | "last" | "mean";
    /** Whether pooled vectors are scaled to length 1, so that a product of two is the cosine of their angle. Default false. */
    normalize?: boolean;
  };

const KNOWN: ReadonlySet<string> = new Set([
  ...["batch_size", "signal", "tokenize_kwargs", "return_tensors", "pooling", "normalize"],
  ...encodeNames,
]);

/** [1, S, H] of one text; pooled [H]. */
export type Features = number[][][] | number[] | Tensor;

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface FeatureExtractionPipeline {
  /** Pooled features [B, H] as one tensor, of one text too. */
  (
    texts: string | readonly string[],
    options: FeatureExtractionOptions & { pooling: "last" | "mean"; return_tensors: true },
  ): Promise<Tensor>;
  /** The pooled features [H] of one text. */
  (
    text: string,
    options: FeatureExtractionOptions & { pooling: "last" | "mean" },
  ): Promise<number[]>;
  /** The pooled features [B, H] of several texts. */
  (
    texts: readonly string[],
    options: FeatureExtractionOptions & { pooling: "last" | "mean" },
  ): Promise<number[][]>;
  /** The features [1, S, H] of one text. */
  (text: string, options: FeatureExtractionOptions & { return_tensors: true }): Promise<Tensor>;
  (text: string, options?: FeatureExtractionOptions): Promise<number[][][]>;
  /** The features [1, S, H] of each text. */
  (
    texts: readonly string[],
    options: FeatureExtractionOptions & { return_tensors: true },
  ): Promise<Tensor[]>;
  (texts: readonly string[], options?: FeatureExtractionOptions): Promise<number[][][][]>;
}

type PooledLists = FeatureExtractionOptions & {
  pooling?: "last" | "mean" | undefined;
  return_tensors?: false | undefined;
};
type PooledTensor = FeatureExtractionOptions & {
  pooling?: "last" | "mean" | undefined;
  return_tensors: true;
};

/** A feature-extraction pipeline that was made with `pooling`: it gives one vector a text. */
export type PooledFeaturesPipeline = {
  /** The pooled features [H] of one text. */
  (text: string, options?: PooledLists): Promise<number[]>;
  /** The pooled features [B, H] of several texts. */
  (texts: readonly string[], options?: PooledLists): Promise<number[][]>;
  /** Pooled features [B, H] as one tensor, of one text too. */
  (texts: string | readonly string[], options: PooledTensor): Promise<Tensor>;
} & FeatureExtractionPipeline;

/** Gives the features of texts: `await embed(texts, { pooling: "last", normalize: true })` is one vector a text. */
export class FeatureExtractionPipeline extends Pipeline<
  MistralModel,
  string | readonly string[],
  FeatureExtractionOptions,
  unknown
> {
  readonly task = "feature-extraction";
  /** For the library: the names of its calls' options. */
  static readonly options: ReadonlySet<string> = KNOWN;

  async _call(
    texts: string | readonly string[],
    given?: FeatureExtractionOptions,
  ): Promise<unknown> {
    const options = this.optionsOf(given, KNOWN);
    const { pooling = "none", normalize = false, return_tensors = false, signal } = options;
    if (!["none", "last", "mean"].includes(pooling)) {
      const known = ["none", "last", "mean"];
      throw new InputError(
        `${this.task}: ${unknownName("pooling", pooling, known)} (known: ${known.join(", ")})`,
      );
    }
    if (normalize && pooling === "none")
      throw new InputError(
        `${this.task}: normalize needs pooled features; choose pooling "last" or "mean"`,
      );
    const isList = Array.isArray(texts);
    const list = (isList ? texts : [texts]) as readonly string[];
    const encode = { ...options, ...options.tokenize_kwargs };
    const ids = list.map((text) => encodeOne(this.task, this.tokenizer, text, encode).ids);
    const H = this.model.config.hidden_size;
    const rows = await this.inBatches(ids, options, async (batch) => {
      const { inputs, starts } = this.padded(batch);
      const { last_hidden_state } = await this.model({ ...inputs, use_cache: false, signal });
      const S = last_hidden_state.dims[1];
      return batch.map((row, b) => {
        const from = (b * S + starts[b]) * H;
        return (last_hidden_state.data as Float32Array).slice(from, from + row.length * H);
      });
    });
    if (pooling === "none") {
      const tensors = rows.map((row) => new Tensor("float32", row, [1, row.length / H, H]));
      const results = return_tensors ? tensors : tensors.map((tensor) => tensor.tolist());
      return isList ? results : results[0];
    }
    const pooled = rows.map((row) => {
      const vector = pooling === "last" ? row.slice(-H) : meanOf(row, H);
      return normalize ? unit(vector) : vector;
    });
    if (!return_tensors) return isList ? pooled.map((row) => [...row]) : [...pooled[0]];
    const all = new Float32Array(pooled.length * H);
    pooled.forEach((row, b) => all.set(row, b * H));
    return new Tensor("float32", all, [pooled.length, H]);
  }
}

/** rows [S, H] → [H], with sums in float64 */
function meanOf(rows: Float32Array, H: number): Float32Array {
  const S = rows.length / H;
  return Float32Array.from({ length: H }, (_, h) => {
    let sum = 0;
    for (let s = 0; s < S; s++) sum += rows[s * H + h];
    return sum / S;
  });
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? vector : vector.map((x) => x / length);
}
