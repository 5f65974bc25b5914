// generate(): resolves the settings, checks the inputs, makes the engine's call and feeds the streamer.
// B batch, S tokens of the prompt. Computes nothing itself.

import { checkOptions } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type {
  GenerateRequest,
  GenerateResult,
  TokenBytesTable,
  TokensReport,
} from "../../engine/messages.ts";
import type { Engine } from "../../engine/supervisor.ts";
import { GenerationConfig, type GenerationOptions } from "../../generate/generation-config.ts";
import { fieldNames } from "../../generate/generation-fields.ts";
import { type ResolvedGeneration, resolveGeneration } from "../../generate/resolve-generation.ts";
import { rightPadded } from "../../generate/rows.ts";
import type { Streamer } from "../../generate/streamers.ts";
import type { MistralConfig } from "../../models/config.ts";
import { warnOnce } from "../../warn-once.ts";
import { refusePromise } from "../forgotten-await.ts";
import { DynamicCache } from "./cache.ts";
import { type Batch, readBatch, readMask } from "./inputs.ts";
import type { GenerateDecoderOnlyOutput } from "./outputs.ts";
import { type NestedInput, Tensor } from "../tensor/tensor.ts";
import { type TokenSource, tokenBytesTable } from "../tokenizer/token-bytes.ts";

export type GenerateInputs = {
  /** [B, S], padded on the left if lengths differ */
  input_ids?: NestedInput;
  /** The same as `input_ids`, under the name of Transformers' first parameter. Not together with it. */
  inputs?: NestedInput;
  /**
   * [B, S]: 1 token, 0 padding. Default: 0 where `input_ids` is `pad_token_id` (unless that is an eos token too), else 1. With
   * `past_key_values`: as in the call that made them, and 1 for new tokens
   */
  attention_mask?: NestedInput;
  /** The cache that an earlier call returned. It holds the first tokens of `input_ids`, and this call adds to it. */
  past_key_values?: DynamicCache;
};

/** The settings of a call, and where its tokens go. */
export type GenerateSettings = GenerationOptions & {
  /** Settings that go before the model's own, and after those of the call. Default: none. */
  generation_config?: GenerationConfig;
  /** Gets the prompt, then each token as soon as it is chosen. Default: none. */
  streamer?: Streamer;
};

export type GenerateOptions = GenerateSettings & {
  /** The model's tokenizer; only `stop_strings` need it. Default: none. */
  tokenizer?: TokenSource;
  /** Stops the call within one op; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Told how much of the prompt is computed, while it is: tokens of all rows, without padding; at most about every 8 ms. */
  onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
};

export type GenerateModel = {
  readonly engine: Engine;
  readonly config: MistralConfig;
  /** The model's own settings. */
  readonly own: GenerationConfig;
};

/** Options of Transformers that are no field of GenerationConfig and are not supported yet. */
const refused = [
  ...["logits_processor", "stopping_criteria", "prefix_allowed_tokens_fn", "assistant_model"],
  ...["negative_prompt_ids", "negative_prompt_attention_mask", "custom_generate", "inputs_embeds"],
];
/** What other libraries call the text that they continue. */
const TEXTS = ["text", "texts", "prompt", "prompts", "messages"];
/** The names of the inputs of generate(). */
export const inputNames: ReadonlySet<string> = new Set([
  "input_ids",
  "inputs",
  "attention_mask",
  "past_key_values",
]);
/** The names of its options that are no field of GenerationConfig. */
export const callNames: ReadonlySet<string> = new Set([
  "generation_config",
  "streamer",
  "tokenizer",
  "signal",
  "onProgress",
]);
const known: ReadonlySet<string> = new Set([
  ...[...inputNames, ...callNames, ...fieldNames, ...refused],
  // What tokenizers return beside ids and masks. It is ignored.
  ...["special_tokens_mask", "offset_mapping", "length", "token_type_ids"],
]);

/** See MistralForCausalLM.generate. */
export async function generate(
  model: GenerateModel,
  inputs: (GenerateInputs & GenerateOptions) | NestedInput,
  options: GenerateInputs & GenerateOptions,
): Promise<Tensor | GenerateDecoderOnlyOutput> {
  refusePromise("generate", inputs);
  const given = isInputs(inputs) ? { ...inputs, ...options } : { input_ids: inputs, ...options };
  try {
    return await run(model, given);
  } catch (error) {
    given.streamer?.fail?.(error);
    throw error;
  }
}

async function run(
  model: GenerateModel,
  given: GenerateInputs & GenerateOptions,
): Promise<Tensor | GenerateDecoderOnlyOutput> {
  for (const name of TEXTS) {
    if (Object.hasOwn(given, name)) {
      throw new InputError(
        `generate: unknown option "${name}"; generate takes token ids: model.generate(tokenizer(text, { return_tensors: "pt" }))`,
      );
    }
  }
  checkOptions("generate", given, known);
  for (const name of refused) {
    if (((given as Record<string, unknown>)[name] ?? undefined) !== undefined) {
      throw new InputError(`generate: ${name} is not supported yet; leave it out`);
    }
  }
  const { engine } = model;
  const signal = given.signal ?? undefined;
  signal?.throwIfAborted();
  const generation_config = given.generation_config ?? undefined;
  if (generation_config !== undefined && !(generation_config instanceof GenerationConfig)) {
    throw new InputError(
      "generate: generation_config: expected a GenerationConfig; pass plain settings as options of generate",
    );
  }
  const past = DynamicCache.read(given.past_key_values, engine);
  const streamer = readStreamer(given.streamer);
  const batch = readBatch("generate", idsOf(given), undefined, model.config);
  const settings = resolveGeneration(fieldsOf(given), {
    generation_config,
    model: model.own,
    promptLength: batch.S,
    max_position_embeddings: model.config.max_position_embeddings,
    onNote: (text) => warnOnce(`generate: ${text}`),
  });
  checkFilling(settings, batch);
  // With a cache the engine knows which columns are padding.
  const mask =
    readMask("generate", given.attention_mask, batch.B, batch.S) ??
    (past === undefined || past.get_seq_length() === 0 ? guessMask(batch, settings) : undefined);
  checkPadding(mask, batch);
  checkPast(past, batch);

  const request: GenerateRequest = {
    ...{ B: batch.B, S: batch.S, ids: batch.ids ?? new Int32Array(), mask },
    ...DynamicCache.request(past, settings.return_dict_in_generate && settings.use_cache),
    // Scores and logits are kept for a result that can hold them only, as in Transformers.
    options: settings.return_dict_in_generate
      ? settings
      : { ...settings, output_scores: false, output_logits: false },
    tokenBytes: stopStringBytes(settings, given.tokenizer ?? undefined),
    stream: streamer !== undefined,
    progress: given.onProgress !== undefined,
  };
  const onPrompt = promptProgress(given.onProgress, batch, mask);
  if (streamer === undefined) {
    const result = await engine.call("generate", request, { signal, onTokens: onPrompt });
    return shape(model, result, settings, past);
  }
  const feed = new Feed(streamer, batch, settings, signal, onPrompt);
  await feed.prompt(batch);
  const result = await engine.call("generate", request, feed);
  try {
    await feed.end();
  } catch (error) {
    if (result.cache !== undefined) engine.forget(result.cache.id);
    throw error;
  }
  return shape(model, result, settings, past);
}

/** What passes the engine's reports on to `onProgress`. */
function promptProgress(
  onProgress: GenerateOptions["onProgress"],
  { B, S }: Batch,
  mask: Uint8Array | undefined,
): ((report: TokensReport) => void) | undefined {
  if (onProgress === undefined) return undefined;
  const total = mask === undefined ? B * S : mask.reduce((sum, one) => sum + one, 0);
  return ({ prompt }) => {
    if (prompt !== undefined) onProgress({ done: Math.min(prompt, total), total });
  };
}

function shape(
  { engine, config }: GenerateModel,
  { sequences, length, scores, logits, cache }: GenerateResult,
  settings: ResolvedGeneration,
  past: DynamicCache | undefined,
): Tensor | GenerateDecoderOnlyOutput {
  const rows = sequences.length / length;
  const ids = new Tensor("int32", sequences, [rows, length]);
  if (past && cache) DynamicCache.update(past, engine, cache);
  if (!settings.return_dict_in_generate) return ids;
  const perStep = (steps: Float32Array[]): Tensor[] =>
    steps.map((step) => new Tensor("float32", step, [rows, config.vocab_size]));
  return {
    sequences: ids,
    ...(scores && { scores: perStep(scores) }),
    ...(logits && { logits: perStep(logits) }),
    ...(cache && { past_key_values: past ?? DynamicCache.of(engine, cache) }),
  };
}

/** After how many tokens of each row the engine is told that the streamer has taken them: see MOST_UNREAD in engine/sequence.ts. */
const TELL_TAKEN = 16;

/** Passes the prompt and tokens to a streamer, in order, and waits if `put` returns a promise. Serves as the options of the engine's call. */
class Feed {
  /** Aborts the call when the caller's signal does, or when the streamer throws. */
  readonly signal: AbortSignal;
  readonly #failed = new AbortController();
  readonly #streamer: Streamer;
  readonly #onPrompt: ((report: TokensReport) => void) | undefined;
  readonly #rows: number;
  #last: Promise<void> = Promise.resolve();
  /** How many tokens the streamer has taken since the engine was last told. */
  #taken = 0;

  constructor(
    streamer: Streamer,
    { B }: Batch,
    { num_return_sequences }: ResolvedGeneration,
    signal: AbortSignal | undefined,
    onPrompt: ((report: TokensReport) => void) | undefined,
  ) {
    this.#streamer = streamer;
    this.#onPrompt = onPrompt;
    this.#rows = B * num_return_sequences;
    this.signal = AbortSignal.any([this.#failed.signal, ...(signal === undefined ? [] : [signal])]);
  }

  async prompt({ ids = new Int32Array(), B, S }: Batch): Promise<void> {
    const copies = this.#rows / B;
    const rows = Array.from({ length: this.#rows }, (_, row) => {
      const b = Math.floor(row / copies);
      return ids.subarray(b * S, (b + 1) * S);
    });
    await this.#unlessAborted(this.#streamer.put(rows));
  }

  /** Groups reported tokens into calls of `put` with one token for each row; −1 for a row without one. */
  readonly onTokens = (report: TokensReport, taken: (count: number) => void): void => {
    this.#onPrompt?.(report);
    const { rows, tokens } = report;
    let step = new Int32Array(this.#rows).fill(-1);
    let count = 0;
    rows.forEach((row, i) => {
      if (step[row] >= 0) {
        this.#put(step, count, taken);
        step = new Int32Array(this.#rows).fill(-1);
        count = 0;
      }
      step[row] = tokens[i];
      count++;
    });
    if (count > 0) this.#put(step, count, taken);
  };

  async end(): Promise<void> {
    await this.#unlessAborted(this.#last);
    await this.#unlessAborted(this.#streamer.end());
  }

  #put(step: Int32Array, count: number, taken: (count: number) => void): void {
    this.#last = this.#last.then(async () => {
      if (this.signal.aborted) return;
      try {
        await this.#streamer.put(step);
      } catch (error) {
        this.#failed.abort(error);
        return;
      }
      this.#taken += count;
      if (this.#taken < TELL_TAKEN * this.#rows) return;
      taken(this.#taken);
      this.#taken = 0;
    });
  }

  /** Waits for a streamer until the call is aborted: a streamer may never resolve its promise. */
  async #unlessAborted(done: void | Promise<void>): Promise<void> {
    this.signal.throwIfAborted();
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(this.signal.reason);
    this.signal.addEventListener("abort", abort, { once: true });
    try {
      await Promise.race([done, promise]);
    } finally {
      this.signal.removeEventListener("abort", abort);
    }
  }
}

/** The option `streamer`. @throws InputError it has no put or no end */
function readStreamer(streamer: Streamer | undefined | null): Streamer | undefined {
  if (streamer == null) return undefined;
  if (typeof streamer.put === "function" && typeof streamer.end === "function") return streamer;
  throw new InputError("generate: streamer: expected an object with put(value) and end()");
}

function isInputs(value: unknown): value is GenerateInputs & GenerateOptions {
  return (
    typeof value === "object" &&
    value !== null &&
    !(value instanceof Tensor) &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value)
  );
}

/** @throws InputError both names of the ids are given */
function idsOf({ input_ids, inputs }: GenerateInputs): NestedInput | undefined {
  const ids = input_ids ?? undefined;
  if (ids === undefined || (inputs ?? undefined) === undefined) return ids ?? inputs;
  throw new InputError("generate: inputs and input_ids are two names of one thing; pass one");
}

function fieldsOf(given: object): GenerationOptions {
  return Object.fromEntries(Object.entries(given).filter(([name]) => fieldNames.has(name)));
}

/** Transformers' rule for a missing mask: a pad token is padding, unless it is an eos token too. */
function guessMask(
  { ids }: Batch,
  { pad_token_id: pad, eos_token_ids }: ResolvedGeneration,
): Uint8Array | undefined {
  if (pad === null || eos_token_ids.includes(pad) || !ids?.includes(pad)) return undefined;
  return Uint8Array.from(ids, (id) => (id === pad ? 0 : 1));
}

/** Rows that end early, at a stop string, are filled with the pad token, so there must be one. @throws InputError */
function checkFilling(
  { stop_strings, pad_token_id, num_return_sequences }: ResolvedGeneration,
  { B }: Batch,
): void {
  if (pad_token_id !== null || stop_strings.length === 0 || B * num_return_sequences === 1) return;
  throw new InputError(
    "generate: rows may end at different lengths, and no pad_token_id (nor eos_token_id) is known to fill them; set pad_token_id",
  );
}

function checkPadding(mask: Uint8Array | undefined, { B, S }: Batch): void {
  const row = mask === undefined ? undefined : rightPadded(mask, B, S);
  if (row === undefined) return;
  throw new InputError(
    `generate: row ${row} ends in padding; a continuation needs it on the left: set tokenizer.padding_side = "left"`,
  );
}

function checkPast(past: DynamicCache | undefined, { B, S }: Batch): void {
  if (past === undefined || past.batch_size === 0) return;
  if (past.batch_size !== B || past.get_seq_length() >= S) {
    throw new InputError(
      `generate: input_ids [${B}, ${S}] must begin with the ${past.get_seq_length()} columns × ${past.batch_size} rows of past_key_values, and have new tokens`,
    );
  }
}

function stopStringBytes(
  { stop_strings }: ResolvedGeneration,
  tokenizer: TokenSource | undefined,
): TokenBytesTable | undefined {
  if (stop_strings.length === 0) return undefined;
  if (tokenizer === undefined) {
    throw new InputError(
      "generate: stop_strings need the model's tokenizer; pass it as `tokenizer`",
    );
  }
  return tokenBytesTable(tokenizer);
}
