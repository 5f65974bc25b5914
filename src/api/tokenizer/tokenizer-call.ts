// tokenizer(...): texts and options → BatchEncoding, as in Transformers 5.23: which rows there are, how they are truncated, assembled
// and padded, and which fields are returned. Knows nothing of files, chats and the names of special tokens.

import { InputError } from "../../errors.ts";
import { truncatePair, type Encoding, type Side } from "../../text/encoding.ts";
import type { TextTokenizer } from "../../text/tokenizer.ts";
import { refusePromise } from "../forgotten-await.ts";
import { BatchEncoding } from "./batch-encoding.ts";
import { Tensor } from "../tensor/tensor.ts";
import {
  resolveLengths,
  wantsTensors,
  wholeNumber,
  type Lengths,
  type Settings,
  type TokenizerOptions,
} from "./tokenizer-options.ts";

/** A text, a text as words, or a batch of either. */
export type TextInput = string | readonly string[] | readonly (readonly string[])[];

/** The state of a tokenizer that a call depends on. */
export type CallSettings = Settings & {
  truncation_side: Side;
  model_input_names: readonly string[];
  split_special_tokens: boolean;
};

type Text = string | readonly string[];
type Row = { first: Text; second: Text | undefined };

const WHERE = "tokenizer";

/** Encodes one text or a batch. @throws InputError */
export function callTokenizer(
  core: TextTokenizer,
  text: TextInput,
  options: TokenizerOptions,
  settings: CallSettings,
): BatchEncoding {
  const { rows, batched } = readRows(text, options);
  const lengths = resolveLengths(WHERE, options, settings);
  const tensors = wantsTensors(WHERE, options);
  const stride = wholeNumber(WHERE, "stride", options.stride) ?? 0;
  const run = (details: boolean): Encoding[][] =>
    encodeRows(core, rows, { options, settings, lengths, stride, details });
  const overflow = options.return_overflowing_tokens === true;
  const kept = (encodings: Encoding[][]): Encoding[] =>
    overflow ? encodings.flat() : encodings.map(([main]) => main);
  const details = options.return_offsets_mapping === true;
  const samples = run(details);
  const encodings = kept(samples);
  const data = fields(encodings, options, settings.model_input_names);
  if (overflow) {
    data.overflow_to_sample_mapping = samples.flatMap((parts, i) => parts.map(() => i));
  }
  let detailed = details ? encodings : undefined;
  const source = {
    encodings: () => (detailed ??= kept(run(true))),
    idToToken: (id: number) => core.idToToken(id),
  };
  if (tensors) return new BatchEncoding(asTensors(data), source);
  if (batched || overflow) return new BatchEncoding(data, source);
  const single = Object.entries(data).map(([name, values]) => [
    name,
    Array.isArray(values[0]) ? values[0] : values,
  ]);
  return new BatchEncoding(Object.fromEntries(single), source);
}

type Run = {
  options: TokenizerOptions;
  settings: CallSettings;
  lengths: Lengths;
  stride: number;
  details: boolean;
};

/** For every row its encoding, then the parts that truncation cut off. */
function encodeRows(core: TextTokenizer, rows: readonly Row[], run: Run): Encoding[][] {
  const { options, settings, lengths, details } = run;
  const special = options.add_special_tokens ?? true;
  const splitSpecial = options.split_special_tokens ?? settings.split_special_tokens;
  const encode = (text: Text): Encoding =>
    typeof text === "string"
      ? core.encodeText(text, { details, splitSpecial })
      : core.encodeWords(text, { details, splitSpecial });
  checkStride(core, run);
  const whole = rows.map(({ first, second }) => {
    const pair = second === undefined ? undefined : encode(second);
    const [a, b] = truncated(
      encode(first),
      pair,
      special ? core.addedBy(pair !== undefined) : 0,
      run,
    );
    return core.assemble(a, b, special);
  });
  const { padding, multiple, maxLength = 0, paddingSide } = lengths;
  if (padding !== undefined) {
    let length = padding === "longest" ? Math.max(0, ...whole.map((e) => e.length)) : maxLength;
    if (multiple) length = Math.ceil(length / multiple) * multiple;
    const padId = settings.pad_token_id ?? 0;
    whole.forEach((encoding, i) => (whole[i] = encoding.padded(length, paddingSide, padId, 0)));
  }
  return whole.map((encoding) => [encoding, ...encoding.overflowing]);
}

// As Transformers, it subtracts the special tokens of one text, even if none are added.
function checkStride(core: TextTokenizer, { lengths, stride }: Run): void {
  if (lengths.truncation === undefined || lengths.maxLength === undefined || stride === 0) return;
  const most = lengths.maxLength - core.addedBy(false);
  if (stride <= most) return;
  throw new InputError(
    `${WHERE}: stride ${stride} is more than the ${most} tokens that max_length ${lengths.maxLength} leaves for text`,
  );
}

function truncated(
  first: Encoding,
  second: Encoding | undefined,
  added: number,
  { lengths, settings, stride }: Run,
): [Encoding, Encoding | undefined] {
  const { truncation: strategy, maxLength } = lengths;
  if (strategy === undefined || maxLength === undefined) return [first, second];
  const most = maxLength - added;
  if (most < 0) {
    throw new InputError(
      `${WHERE}: max_length ${maxLength} leaves no room for the ${added} special tokens; use at least ${added}`,
    );
  }
  return truncatePair(first, second, most, { strategy, stride, side: settings.truncation_side });
}

function fields(
  encodings: readonly Encoding[],
  options: TokenizerOptions,
  names: readonly string[],
): Record<string, unknown[]> {
  const data: Record<string, unknown[]> = {};
  const put = (name: string, wanted: boolean | undefined, of: (e: Encoding) => unknown): void => {
    if (wanted) data[name] = encodings.map(of);
  };
  const types = options.return_token_type_ids ?? names.includes("token_type_ids");
  const mask = options.return_attention_mask ?? names.includes("attention_mask");
  put("input_ids", true, (e) => Array.from(e.ids));
  put("token_type_ids", types, (e) => e.column("typeId"));
  put("attention_mask", mask, (e) => e.column("attention"));
  put("special_tokens_mask", options.return_special_tokens_mask, (e) => e.column("special"));
  put("offset_mapping", options.return_offsets_mapping, ({ details, length }) =>
    Array.from({ length }, (_, i) => [details?.offsets[2 * i], details?.offsets[2 * i + 1]]),
  );
  put("length", options.return_length, (e) => e.length);
  return data;
}

/** @throws InputError rows of different lengths */
function asTensors(data: Record<string, unknown[]>): Record<string, Tensor> {
  const tensors = Object.entries(data).map(([name, rows]): [string, Tensor] => [
    name,
    Tensor.from(rows as number[][], "int32"),
  ]);
  return Object.fromEntries(tensors);
}

/** The rows that text and text_pair make up. @throws InputError their shapes do not match */
function readRows(text: TextInput, options: TokenizerOptions): { rows: Row[]; batched: boolean } {
  const pair = options.text_pair ?? undefined;
  const words = options.is_split_into_words === true;
  if (text === null || text === undefined) {
    throw new InputError(
      `${WHERE}: text is ${String(text)}; expected a string or an array of strings`,
    );
  }
  const batched = Array.isArray(text) && (!words || Array.isArray(text[0]));
  if (!batched) {
    // an empty second text counts as none
    const second = pair === undefined || pair.length === 0 ? undefined : oneText(pair, words);
    return { rows: [{ first: oneText(text, words), second }], batched };
  }
  if (pair !== undefined && (!Array.isArray(pair) || pair.length !== text.length)) {
    const came = Array.isArray(pair) ? `${pair.length} texts` : "one text";
    throw new InputError(
      `${WHERE}: text_pair is ${came} for a batch of ${text.length}; expected as many as texts`,
    );
  }
  const rows = text.map((item: unknown, i: number): Row => {
    if (pair !== undefined) return { first: oneText(item, words), second: oneText(pair[i], words) };
    // unless texts are split into words, two strings in an array are a text and its pair
    if (!words && Array.isArray(item) && item.length === 2) {
      return { first: oneText(item[0], false), second: oneText(item[1], false) };
    }
    return { first: oneText(item, words), second: undefined };
  });
  return { rows, batched };
}

function oneText(value: unknown, words: boolean): Text {
  refusePromise(WHERE, value);
  if (!words && typeof value === "string") return value;
  if (words && Array.isArray(value)) return value as readonly string[];
  const came = Array.isArray(value) ? "an array" : value === null ? "null" : `a ${typeof value}`;
  throw new InputError(
    words
      ? `${WHERE}: with is_split_into_words a text is an array of words; got ${came}`
      : `${WHERE}: a text is ${came}; expected a string (for words in arrays: is_split_into_words)`,
  );
}
