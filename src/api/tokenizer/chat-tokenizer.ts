// What apply_chat_template asks of a tokenizer: PreTrainedTokenizer has all of it. Knows neither templates nor conversations.

import type { TextTokenizer } from "../../text/tokenizer.ts";
import type { BatchEncoding } from "./batch-encoding.ts";
import type { PadInput } from "./pad.ts";
import type { CallSettings, TextInput } from "./tokenizer-call.ts";
import type { PadOptions, TokenizerOptions } from "./tokenizer-options.ts";

export type ChatTokenizer = CallSettings & {
  /** Encodes one text or several. */
  (texts: TextInput, options: TokenizerOptions): BatchEncoding;
  readonly backend_tokenizer: TextTokenizer;
  readonly special_tokens_map: Record<string, string>;
  get_chat_template(name: string | null, tools: readonly object[] | null): string;
  encode(text: string, options: TokenizerOptions): number[];
  pad(encoded: PadInput, options: PadOptions): BatchEncoding;
};
