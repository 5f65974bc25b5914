// One call of generate for a command: passes text on as it comes, and measures how long it took. Knows nothing of terminals.

import { InputError } from "../errors.ts";
import { Tensor, TextIteratorStreamer } from "../index.ts";
import type { BatchEncoding, DynamicCache, GenerateOptions } from "../index.ts";
import type { FlagValues } from "./arguments.ts";
import type { Opened } from "./load.ts";
import { duration } from "./terminal.ts";

export type Timings = {
  readonly prompt_tokens: number;
  readonly new_tokens: number;
  /** From the call to the first new token, which is the time for the prompt. */
  readonly first_token_ms: number;
  readonly total_ms: number;
  /** The speed of the tokens after the first one; 0 if there were none. */
  readonly tokens_per_second: number;
};

export type Continuation = {
  /** Without the prompt. */
  readonly text: string;
  /** The new ids, an end-of-sequence id included. */
  readonly tokens: readonly number[];
  readonly timings: Timings;
  /** The ids of prompt and continuation. */
  readonly sequence: readonly number[];
  /** Their keys and values. */
  readonly cache: DynamicCache | undefined;
};

/** What decides among tokens by chance. With greedy decoding it would change nothing. */
export const chanceFlags = ["temperature", "top-k", "top-p", "min-p", "typical-p"] as const;
/** The other settings of `generate` that are flags of the same name; they act on greedy decoding too. */
export const tokenFlags = [
  "repetition-penalty",
  "no-repeat-ngram-size",
  "min-new-tokens",
  "max-new-tokens",
] as const;

/**
 * Sampling settings from flags; others come from the model's generation_config.json.
 * @param own settings that apply when tokens are sampled and no flag says otherwise
 * @throws InputError flags that contradict each other
 */
export function samplingOptions(
  flags: FlagValues,
  seed: number,
  own: GenerateOptions = {},
): GenerateOptions {
  const isGreedy = flags.greedy || flags.temperature === 0;
  if (flags.greedy) {
    for (const name of chanceFlags) {
      if (flags[name])
        throw new InputError(
          `--greedy takes the likeliest token, so --${name} would change nothing; leave one out`,
        );
    }
  }
  const given = [...(isGreedy ? [] : chanceFlags), ...tokenFlags].flatMap((name) =>
    flags[name] === undefined ? [] : [[name.replaceAll("-", "_"), flags[name]] as const],
  );
  return {
    do_sample: !isGreedy,
    ...(!isGreedy && { seed, ...own }),
    ...Object.fromEntries(given),
    ...(flags.stop.length > 0 && { stop_strings: [...flags.stop] }),
  };
}

/**
 * Continues `inputs`, passes text to `onText` as it comes, and returns the whole continuation.
 * @throws what `generate` throws; the reason of `options.signal`
 */
export async function streamContinuation(
  { model, tokenizer }: Opened,
  /** Of one text or one conversation: [1, prompt]. */
  inputs: BatchEncoding,
  kind: "text" | "answer",
  options: GenerateOptions & { readonly past_key_values?: DynamicCache },
  onText: (text: string) => Promise<void>,
): Promise<Continuation> {
  const [promptIds] = Tensor.from(inputs.input_ids).tolist() as number[][];
  const times: number[] = [];
  // The first token of a continued text would lose its leading space if it were decoded without the prompt. So the streamer decodes the
  // prompt too, and its text is cut off below. An answer begins a new text.
  const isText = kind === "text";
  const streamer = new TextIteratorStreamer(tokenizer, {
    skip_prompt: !isText,
    skip_special_tokens: true,
    wholeText: true,
    token_callback_function: () => times.push(performance.now()),
  });
  let hidden = isText ? tokenizer.decode(promptIds, { skip_special_tokens: true }).length : 0;
  let text = "";
  const start = performance.now();
  const { past_key_values, ...settings } = options;
  const call = { ...settings, tokenizer, streamer, return_dict_in_generate: true } as const;
  const done = model.generate({ ...inputs, past_key_values }, call);
  done.catch((reason: unknown) => streamer.fail(reason));
  for await (const piece of streamer) {
    const shown = piece.slice(hidden);
    hidden = Math.max(0, hidden - piece.length);
    text += shown;
    if (shown !== "") await onText(shown);
  }
  const { sequences, past_key_values: cache } = await done;
  const [sequence] = sequences.tolist() as number[][];
  const tokens = sequence.slice(promptIds.length);
  const timings = timingsOf(
    promptIds.length,
    tokens.length,
    start,
    isText ? times.slice(1) : times,
  );
  return { text, tokens, timings, sequence, cache };
}

/** Tokens of one prompt [1, prompt]. */
export function promptLength({ input_ids }: BatchEncoding): number {
  return Tensor.from(input_ids).dims[1];
}

/** @param times when each new token came, in ms */
function timingsOf(
  prompt_tokens: number,
  new_tokens: number,
  start: number,
  times: readonly number[],
): Timings {
  const [first = start] = times;
  const decode = (times.at(-1) ?? first) - first;
  return {
    prompt_tokens,
    new_tokens,
    first_token_ms: rounded(first - start),
    total_ms: rounded(performance.now() - start),
    tokens_per_second:
      new_tokens > 1 && decode > 0 ? rounded(((new_tokens - 1) / decode) * 1000) : 0,
  };
}

/** `213 tokens · 412 tokens/s · first token 18 ms` */
export function timingsLine({ new_tokens, tokens_per_second, first_token_ms }: Timings): string {
  const speed =
    tokens_per_second > 0
      ? ` · ${tokens_per_second.toFixed(tokens_per_second < 100 ? 1 : 0)} tokens/s`
      : "";
  return `${new_tokens} token${new_tokens === 1 ? "" : "s"}${speed} · first token ${duration(first_token_ms / 1000)}`;
}

const rounded = (value: number): number => Math.round(value * 10) / 10;
