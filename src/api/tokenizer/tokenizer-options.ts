// The options of tokenizer(...): their types, their names, and the padding and truncation that follow from them. Rules and defaults are
// those of `_get_padding_truncation_strategies` in Transformers 5.23. Knows nothing of tokens.

import { unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { Side, Strategy } from "../../text/encoding.ts";

/** "pt", "np", "ts" and true: `Tensor`s. false, null and absent: nested arrays. */
export type ReturnTensors = "pt" | "np" | "ts" | boolean | null;

export type PadOptions = {
  /** true or "longest": rows are filled to the longest one; "max_length": to `max_length`; false or "do_not_pad": not at all. Default false. */
  padding?: boolean | "longest" | "max_length" | "do_not_pad";
  /** The length to which rows are cut or filled, in tokens, at least 0. Default: the tokenizer's `model_max_length`. */
  max_length?: number | null;
  /** Padded lengths become multiples of this, at least 1. Default: not set. */
  pad_to_multiple_of?: number | null;
  /** On which side rows are filled: generation in batches needs "left". Default: the tokenizer's `padding_side`. */
  padding_side?: Side | null;
  /** Whether the result has `attention_mask`: 1 for tokens, 0 for padding. Default: if it is among `model_input_names`, as usual. */
  return_attention_mask?: boolean | null;
  /** "pt", "np", "ts" or true: `Tensor`s [B, S], also for one text; false or null: arrays of numbers. Default: arrays. */
  return_tensors?: ReturnTensors;
  /** `return_tensors: true` under the name of transformers.js. Default false. */
  return_tensor?: boolean;
};

export type TokenizerOptions = PadOptions & {
  /** A second text (or its words, or one for each text of the batch), which follows the first. Default: none. */
  text_pair?: string | readonly string[] | readonly (readonly string[])[] | null;
  /** Texts whose ids become the field `labels`. Default: none. */
  text_target?: string | readonly string[] | null;
  /** Whether to put special tokens (bos) around the text. Default true. */
  add_special_tokens?: boolean;
  /**
   * true or "longest_first": rows are cut to `max_length`, of a pair the longer text first; "only_first", "only_second": only that text is
   * cut; false or "do_not_truncate": nothing is. Default false.
   */
  truncation?: boolean | Strategy | "do_not_truncate" | null;
  /** How many tokens a part of an overflowing text repeats from the part before it. Default 0. */
  stride?: number;
  /** Whether a text is an array of words, each of which is encoded by itself. Default false. */
  is_split_into_words?: boolean;
  /** Whether the result has `token_type_ids`: 0 for the first text, 1 for the second. Default false. */
  return_token_type_ids?: boolean | null;
  /** Whether what truncation cuts off is returned in further rows, with `overflow_to_sample_mapping`. Default false. */
  return_overflowing_tokens?: boolean;
  /** Whether the result has `special_tokens_mask`: 1 for special tokens, 0 for those of the text. Default false. */
  return_special_tokens_mask?: boolean;
  /** Whether to return (start, end) of each token, in Unicode code points. Default false. */
  return_offsets_mapping?: boolean;
  /** Whether the result has `length`, the number of tokens of each row. Default false. */
  return_length?: boolean;
  /** Whether special tokens that are written in the text are plain text. Default: the tokenizer's setting, false. */
  split_special_tokens?: boolean | null;
  /** Accepted, and changes nothing: nothing is printed. */
  verbose?: boolean;
};

export const PAD_OPTIONS: ReadonlySet<string> = new Set([
  "padding",
  "max_length",
  "pad_to_multiple_of",
  "padding_side",
  "return_attention_mask",
  "return_tensors",
  "return_tensor",
  "verbose",
]);

export const TOKENIZER_OPTIONS: ReadonlySet<string> = new Set([
  ...PAD_OPTIONS,
  "text_pair",
  "text_target",
  "add_special_tokens",
  "truncation",
  "stride",
  "is_split_into_words",
  "return_token_type_ids",
  "return_overflowing_tokens",
  "return_special_tokens_mask",
  "return_offsets_mapping",
  "return_length",
  "split_special_tokens",
]);

/** Padding and truncation that follow from the options; undefined: none. */
export type Lengths = {
  padding: "longest" | "max_length" | undefined;
  truncation: Strategy | undefined;
  maxLength: number | undefined;
  multiple: number | undefined;
  paddingSide: Side;
};

/** The tokenizer's settings that count beside the options. */
export type Settings = {
  padding_side: Side;
  model_max_length: number;
  pad_token_id: number | null;
};

// above this, model_max_length means "no limit" (Transformers' LARGE_INTEGER)
const NO_LIMIT = 1e20;

const PADDINGS = ["longest", "max_length", "do_not_pad"];
const TRUNCATIONS = ["longest_first", "only_first", "only_second", "do_not_truncate"];

/** Padding and truncation from the options. @throws InputError an unknown value, no padding token, contradictory lengths */
export function resolveLengths(where: string, o: TokenizerOptions, settings: Settings): Lengths {
  const maxLength = wholeNumber(where, "max_length", o.max_length);
  const multiple = wholeNumber(where, "pad_to_multiple_of", o.pad_to_multiple_of);
  let padding = choice(where, "padding", o.padding, "longest", "do_not_pad", PADDINGS);
  const alone = o.max_length != null && (o.padding ?? false) === false && o.truncation == null;
  const wanted = alone ? "longest_first" : o.truncation;
  let truncation = choice(
    where,
    "truncation",
    wanted,
    "longest_first",
    "do_not_truncate",
    TRUNCATIONS,
  );
  let length = maxLength;
  if (maxLength === undefined) {
    const limit = settings.model_max_length;
    if (limit > NO_LIMIT) {
      if (padding === "max_length") padding = "do_not_pad";
      truncation = "do_not_truncate";
    } else if (padding === "max_length" || truncation !== "do_not_truncate") length = limit;
  }
  const pads = padding !== "do_not_pad";
  const cuts = truncation !== "do_not_truncate";
  if (pads && settings.pad_token_id === null) {
    throw new InputError(
      `${where}: padding needs a padding token and the tokenizer has none; choose one, ` +
        'tokenizer.pad_token = tokenizer.eos_token, or add one, tokenizer.add_special_tokens({ pad_token: "[PAD]" })',
    );
  }
  if (pads && cuts && multiple && length !== undefined && length % multiple !== 0) {
    throw new InputError(
      `${where}: max_length ${length} is not a multiple of pad_to_multiple_of ${multiple}`,
    );
  }
  return {
    padding: pads ? (padding as "longest" | "max_length") : undefined,
    truncation: cuts ? (truncation as Strategy) : undefined,
    maxLength: length,
    multiple,
    paddingSide: sideOf(where, "padding_side", o.padding_side ?? settings.padding_side),
  };
}

/** Whether tensors are asked for. @throws InputError another framework */
export function wantsTensors(where: string, options: PadOptions): boolean {
  const value = options.return_tensors ?? options.return_tensor ?? false;
  if (typeof value === "boolean") return value;
  if (["pt", "np", "ts"].includes(value)) return true;
  const came = JSON.stringify(value);
  throw new InputError(
    `${where}: return_tensors ${came}; expected "pt", "np", "ts", true or false`,
  );
}

/** A side, checked. @throws InputError neither "left" nor "right" */
export function sideOf(where: string, name: string, value: unknown): Side {
  if (value === "left" || value === "right") return value;
  throw new InputError(`${where}: ${name} ${JSON.stringify(value)}; expected "left" or "right"`);
}

/** An integer of 0 or more; undefined if absent. @throws InputError something else */
export function wholeNumber(where: string, name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  const came = typeof value === "number" ? value : JSON.stringify(value);
  throw new InputError(`${where}: ${name} is ${came}; expected an integer of 0 or more`);
}

function choice(
  where: string,
  name: string,
  value: unknown,
  yes: string,
  no: string,
  known: readonly string[],
): string {
  if (value === undefined || value === null || value === false) return no;
  if (value === true) return yes;
  if (typeof value === "string" && known.includes(value)) return value;
  throw new InputError(
    `${where}: ${unknownName(`value of ${name}`, value, known)} (known: true, false, ${known.join(", ")})`,
  );
}
