// The embedded model as `run` and `chat` use it when no model is named: what it is, how a prompt becomes a request that it was trained
// on (models/stories/README.md), and settings that keep its text from going in circles. Knows no streams and no flags.

import type { GenerateOptions } from "../index.ts";

/** What is asked for when there is no prompt. */
export const defaultRequest = "Hi! Tell me a story, please.";

/**
 * How stories are sampled unless flags say otherwise; the rest is in generation_config.json. They are not in that file, since
 * `generate` would apply them to greedy calls of the library too. bench/story-loops.ts measures what they change.
 */
export const storySettings: GenerateOptions = { repetition_penalty: 1.1, no_repeat_ngram_size: 10 };

/** What `run` and `chat` say of it. */
export const introduction =
  "The embedded model has 3 million parameters and tells short children's stories, nothing else.";

/**
 * The request for a story that a prompt means: "The dragon" becomes "Tell me a story about the dragon."
 * A prompt that speaks of a story, such as "Write a story with the words boat and moon.", is a request already.
 */
export function storyRequest(prompt: string): string {
  const text = prompt.trim();
  if (/\bstor(y|ies)\b/i.test(text)) return text;
  const subject = text
    .replace(/[\s.,:;!?…]+$/u, "")
    .replace(/^(A|An|The|My|Our|In|On)(?= )/, (word) => word.toLowerCase());
  return subject === "" ? defaultRequest : `Tell me a story about ${subject}.`;
}
