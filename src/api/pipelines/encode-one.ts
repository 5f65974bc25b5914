// One text as the ids of one row, unpadded, with what pipelines need beside them. Knows no task.

import { InputError } from "../../errors.ts";
import { refusePromise } from "../forgotten-await.ts";
import type { BatchEncoding } from "../tokenizer/batch-encoding.ts";
import type { PreTrainedTokenizer } from "../tokenizer/tokenizer.ts";

/** Options of the tokenizer that pipelines pass on. */
export type EncodeOptions = {
  /** Whether texts longer than `max_length`, else the tokenizer's `model_max_length`, are cut. Default false. */
  truncation?: boolean;
  /** To how many tokens `truncation` cuts. */
  max_length?: number;
  /** Whether the bos token (and what else the tokenizer adds) stands before a text. Default true. */
  add_special_tokens?: boolean;
};

export const encodeNames: readonly (keyof EncodeOptions)[] = [
  "truncation",
  "max_length",
  "add_special_tokens",
];

/** The ids of a text, or of two. @throws InputError no text, or one without tokens */
export function encodeOne(
  where: string,
  tokenizer: PreTrainedTokenizer,
  text: string,
  {
    truncation = false,
    max_length,
    add_special_tokens = true,
    text_pair,
  }: EncodeOptions & { text_pair?: string },
): { ids: number[]; encoding: BatchEncoding } {
  refusePromise(where, text);
  if (typeof text !== "string") {
    throw new InputError(
      `${where}: got ${JSON.stringify(text)}; expected a text or a list of texts`,
    );
  }
  const encoding = tokenizer(text, {
    ...{ truncation, max_length, add_special_tokens, text_pair },
    ...{ padding: false, return_offsets_mapping: true, return_special_tokens_mask: true },
  });
  const ids = encoding.input_ids as number[];
  if (ids.length > 0) return { ids, encoding };
  throw new InputError(
    `${where}: the text ${JSON.stringify(text)} has no tokens; give another one`,
  );
}
