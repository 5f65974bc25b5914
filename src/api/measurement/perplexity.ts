// The perplexity of a text: exp of the mean negative log-likelihood of its tokens, in windows that move by a stride. Follows
// Transformers' guide "Perplexity of fixed-length models", also in how windows are weighted. Memory holds one window.
// Does not know how windows are placed: sliding-windows.ts.

import type { MistralForCausalLM } from "../model/causal-lm.ts";
import { type EvaluationOptions, slidingWindows } from "./sliding-windows.ts";
import type { NestedInput } from "../tensor/tensor.ts";

export type Perplexity = {
  /** exp(nll) */
  perplexity: number;
  /** Mean negative log-likelihood of a token, in nats. */
  nll: number;
  /** The number by which the sum was divided. As in the guide, a window counts one token less than it judges. */
  tokens: number;
  windows: number;
  max_length: number;
  stride: number;
};

/** The label of a token that is not judged. */
const IGNORED = -100;

/**
 * The perplexity of one text.
 *
 * @param input_ids the text, [S] or [1, S]: `tokenizer(text).input_ids`
 * @param options `max_length`: tokens of a window (default: `max_position_embeddings`, at most 2048). `stride`: how many tokens a
 *                window moves on (default 512); a smaller one gives tokens more context and takes longer. `signal`, `onProgress`
 * @throws InputError  an unknown option or value, fewer than two tokens, an id outside [0, vocab_size)
 * @throws MemoryError the cache of a window does not fit
 * @see Transformers 5.23, "Perplexity of fixed-length models"
 */
export async function perplexity(
  model: MistralForCausalLM,
  input_ids: NestedInput,
  options: EvaluationOptions = {},
): Promise<Perplexity> {
  const text = slidingWindows("perplexity", input_ids, model.config, options);
  const { signal, onProgress } = options;
  let [sum, tokens] = [0, 0];
  for (const { begin, end, targets } of text.windows) {
    const ids = text.ids.subarray(begin, end);
    const { loss } = await model.forward({
      input_ids: ids,
      labels: ids.map((id, i) => (i < ids.length - targets ? IGNORED : id)),
      logits_to_keep: 1,
      use_cache: false,
      signal,
    });
    // A last window with one new token has weight 0, and its loss may be a mean over no labels (NaN).
    if (targets > 1) sum += (loss?.item() ?? Number.NaN) * (targets - 1);
    tokens += targets - 1;
    onProgress?.({ done: end, total: text.ids.length });
  }
  const nll = sum / tokens;
  const { max_length, stride, windows } = text;
  return { perplexity: Math.exp(nll), nll, tokens, windows: windows.length, max_length, stride };
}
