// The likeliest spans of tokens for an answer, by the rules of Transformers' question-answering pipeline. Knows no model and no text.

import { softmaxOf } from "./pipeline-base.ts";

export type AnswerSpan = { readonly first: number; readonly last: number; readonly score: number };

/** The logit of a token that cannot be part of an answer. */
const EXCLUDED = -10000;

/**
 * @param allowed whether a token may begin or end an answer
 * @returns the `count` likeliest spans of at most `longest` tokens, the best first, and the likelihood that there is no answer, which is
 *   that of the first token as the answer
 */
export function answerSpans(
  startLogits: readonly number[],
  endLogits: readonly number[],
  allowed: readonly boolean[],
  { count, longest }: { count: number; longest: number },
): { spans: AnswerSpan[]; none: number } {
  const [starts, ends] = [startLogits, endLogits].map((logits) =>
    softmaxOf(logits.map((x, i) => (allowed[i] ? x : EXCLUDED))),
  );
  const none = starts[0] * ends[0];
  const spans: AnswerSpan[] = [];
  for (let first = 1; first < starts.length; first++) {
    if (!allowed[first]) continue;
    for (let last = first; last < Math.min(starts.length, first + longest); last++)
      if (allowed[last]) spans.push({ first, last, score: starts[first] * ends[last] });
  }
  return { spans: spans.toSorted((a, b) => b.score - a.score).slice(0, count), none };
}
