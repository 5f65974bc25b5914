// How far a model's predictions are from those of a reference on one text, token by token: KL divergence, and how often both find the
// same token likeliest. Measures what quantisation costs. Both models run over the same windows as in perplexity; memory holds a few
// rows of logits. Does not know how models are quantised.

import { InputError } from "../../errors.ts";
import type { DynamicCache } from "../model/cache.ts";
import type { MistralForCausalLM } from "../model/causal-lm.ts";
import { type EvaluationOptions, slidingWindows } from "./sliding-windows.ts";
import type { NestedInput } from "../tensor/tensor.ts";

export type KlDivergence = {
  /** Mean over tokens of Σ p_ref · (ln p_ref − ln p), in nats. */
  kl: number;
  kl_median: number;
  /** The 99th percentile over tokens. */
  kl_p99: number;
  kl_max: number;
  /** The share of tokens, 0 to 1, for which both models find the same token likeliest. */
  top1_agreement: number;
  /** exp of the mean negative log-likelihood over these tokens, each counted once. */
  perplexity: number;
  reference_perplexity: number;
  /** How many tokens were compared. */
  tokens: number;
  max_length: number;
  stride: number;
};

/** For how many rows the logits of both models are held at a time. */
const ROWS = 128;

/**
 * Compares a model with a reference of the same vocabulary on one text.
 *
 * @param input_ids the text, [S] or [1, S]
 * @param options as of `perplexity`
 * @throws InputError  vocabularies of different sizes; an unknown option or value; fewer than two tokens
 * @throws MemoryError the cache of a window does not fit
 */
export async function klDivergence(
  model: MistralForCausalLM,
  reference: MistralForCausalLM,
  input_ids: NestedInput,
  options: EvaluationOptions = {},
): Promise<KlDivergence> {
  const [V, Vref] = [model.config.vocab_size, reference.config.vocab_size];
  if (V !== Vref) {
    throw new InputError(
      `klDivergence: the model knows ${V} tokens, the reference ${Vref}; give two models of one vocabulary`,
    );
  }
  const text = slidingWindows("klDivergence", input_ids, model.config, options);
  const { signal, onProgress } = options;
  const sums = new Sums();
  for (const { begin, end, targets } of text.windows) {
    // The logits of a token predict the next one.
    const first = Math.max(0, end - begin - targets - 1);
    const rows = { ids: text.ids.subarray(begin, end), first, signal };
    const [ours, theirs] = [logits(model, rows), logits(reference, rows)];
    try {
      for (;;) {
        const [a, b] = [await ours.next(), await theirs.next()];
        if (a.done === true || b.done === true) break;
        const { from, values } = a.value;
        for (let at = 0; at < values.length; at += V) {
          const next = rows.ids[from + at / V + 1];
          sums.add(values.subarray(at, at + V), b.value.values.subarray(at, at + V), next);
        }
      }
    } finally {
      await Promise.all([ours.return(undefined), theirs.return(undefined)]);
    }
    onProgress?.({ done: end, total: text.ids.length });
  }
  return { ...sums.result(), max_length: text.max_length, stride: text.stride };
}

type Rows = {
  readonly ids: Int32Array;
  readonly first: number;
  readonly signal: AbortSignal | undefined;
};

/** Logits of rows `first` to the last but one, ROWS at a time. */
async function* logits(
  model: MistralForCausalLM,
  { ids, first, signal }: Rows,
): AsyncGenerator<{ from: number; values: Float32Array }> {
  let past_key_values: DynamicCache | undefined;
  const run = async (from: number, to: number, logits_to_keep: number): Promise<Float32Array> => {
    const input_ids = ids.subarray(from, to);
    const result = await model.forward({
      ...{ input_ids, past_key_values, use_cache: true, logits_to_keep, signal },
    });
    past_key_values = result.past_key_values;
    return result.logits.data as Float32Array;
  };
  try {
    if (first > 0) await run(0, first, 1);
    for (let from = first; from < ids.length - 1; from += ROWS) {
      yield { from, values: await run(from, Math.min(from + ROWS, ids.length - 1), 0) };
    }
  } finally {
    await past_key_values?.dispose();
  }
}

class Sums {
  readonly #kl: number[] = [];
  #nll = 0;
  #referenceNll = 0;
  #agreed = 0;

  add(x: Float32Array, reference: Float32Array, next: number): void {
    const [p, q] = [logSum(reference), logSum(x)];
    let kl = 0;
    for (let i = 0; i < x.length; i++) {
      const log = reference[i] - p.logSum;
      // A token whose probability is 0 for the reference (logit −Infinity) adds nothing.
      if (log > -Infinity) kl += Math.exp(log) * (log - (x[i] - q.logSum));
    }
    // Rounding can make a sum near 0 slightly negative.
    this.#kl.push(Math.max(0, kl));
    this.#nll += q.logSum - x[next];
    this.#referenceNll += p.logSum - reference[next];
    this.#agreed += p.likeliest === q.likeliest ? 1 : 0;
  }

  result(): Omit<KlDivergence, "max_length" | "stride"> {
    const tokens = this.#kl.length;
    const sorted = Float64Array.from(this.#kl).toSorted();
    const quantile = (share: number): number => sorted[Math.ceil(share * tokens) - 1];
    return {
      kl: sorted.reduce((sum, kl) => sum + kl, 0) / tokens,
      kl_median: quantile(0.5),
      kl_p99: quantile(0.99),
      kl_max: sorted[tokens - 1],
      top1_agreement: this.#agreed / tokens,
      perplexity: Math.exp(this.#nll / tokens),
      reference_perplexity: Math.exp(this.#referenceNll / tokens),
      tokens,
    };
  }
}

function logSum(x: Float32Array): { logSum: number; likeliest: number } {
  let likeliest = 0;
  for (let i = 1; i < x.length; i++) if (x[i] > x[likeliest]) likeliest = i;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i] - x[likeliest]);
  return { logSum: x[likeliest] + Math.log(sum), likeliest };
}
