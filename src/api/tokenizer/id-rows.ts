// Rows of ids that were made one by one, as a tokenizer's call returns them: cut, filled to one length, and as tensors if wanted.
// Knows nothing of text.

import type { BatchEncoding } from "./batch-encoding.ts";
import type { ChatTokenizer } from "./chat-tokenizer.ts";
import { resolveLengths, wantsTensors, type TokenizerOptions } from "./tokenizer-options.ts";

/** What this file needs of a tokenizer. */
export type RowTokenizer = Pick<
  ChatTokenizer,
  "pad" | "padding_side" | "truncation_side" | "model_max_length" | "pad_token_id"
>;

/** @param where what is being done, for messages. @throws InputError options that contradict each other */
export function encodingOfRows(
  where: string,
  tokenizer: RowTokenizer,
  rows: readonly number[][],
  batched: boolean,
  options: TokenizerOptions,
): BatchEncoding {
  const { truncation, maxLength } = resolveLengths(where, options, tokenizer);
  const side = tokenizer.truncation_side;
  const cut = rows.map((ids) => {
    if (truncation === undefined || maxLength === undefined || ids.length <= maxLength) return ids;
    return side === "right" ? ids.slice(0, maxLength) : ids.slice(ids.length - maxLength);
  });
  const { padding, max_length, pad_to_multiple_of, padding_side } = options;
  const { return_attention_mask, return_tensors } = options;
  const one = !batched && !wantsTensors(where, options);
  return tokenizer.pad(
    { input_ids: one ? cut[0] : cut },
    {
      padding: padding ?? false,
      max_length,
      pad_to_multiple_of,
      padding_side,
      return_attention_mask,
      return_tensors,
    },
  );
}
