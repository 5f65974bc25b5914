// One generate() call: its sequences, how their tokens are chosen, when it is done, and what it gives back.
// B · n sequences (n = num_return_sequences), V vocabulary. Knows no steps and no rows.

import { EngineError, InputError } from "../errors.ts";
import { buildProcessors, type LogitsProcessor } from "../generate/processors.ts";
import { planRows } from "../generate/rows.ts";
import { greedy, multinomial, seedOf, uniform } from "../generate/sampler.ts";
import { Stopping } from "../generate/stopping.ts";
import type { MistralConfig } from "../models/config.ts";
import type { BatchCache } from "./batch-cache.ts";
import type { GenerateRequest, GenerateResult, TokenBytesTable } from "./messages.ts";
import { Sequence } from "./sequence.ts";

/** Tokens are reported together when they come faster than this (ms): a message each would cost more than the token. */
const REPORT_EVERY = 8;

export class GenerateCall {
  readonly sequences: readonly Sequence[];
  readonly #request: GenerateRequest;
  readonly #cache: BatchCache;
  readonly #V: number;
  readonly #mask: Uint8Array | undefined;
  readonly #processors: readonly LogitsProcessor[];
  readonly #seed: number;
  readonly #onTokens: (tokens: Int32Array) => void;
  readonly #scores: Float32Array[] = [];
  readonly #logits: Float32Array[] = [];
  #unreported: number[] = [];
  #reportedAt = performance.now();

  /** @param cache one row per sequence: empty, or with the first columns of the prompts in it */
  constructor(
    request: GenerateRequest,
    cache: BatchCache,
    config: MistralConfig,
    onTokens: (tokens: Int32Array) => void,
  ) {
    const { S, options } = request;
    this.#request = request;
    this.#cache = cache;
    this.#V = config.vocab_size;
    this.#onTokens = onTokens;
    this.#seed = seedOf(options.seed);
    const fields = { ...options, eos_token_id: options.eos_token_ids };
    this.#processors = buildProcessors(fields, { vocabSize: config.vocab_size, promptLength: S });
    const { prompts, mask = cache.mask(S - cache.frame) } = repeatRows(request);
    // Whatever contradicts the cache is found now, not when the result is put together.
    for (let row = 0; row < cache.batch; row++) cache.columns(row, mask, S - cache.frame);
    this.#mask = mask;
    this.sequences = makeSequences(request, prompts, mask, cache, config);
  }

  get done(): boolean {
    return this.sequences.every(({ finished }) => finished);
  }

  /** Takes the logits [V] that follow a sequence's last row. @returns whether the sequence has ended */
  choose(sequence: Sequence, logits: Float32Array): boolean {
    const { options, stream } = this.#request;
    const { step, index, ids, padding, promptLength } = sequence;
    if (options.output_logits) this.#keep(this.#logits, step, index, logits);
    for (const change of this.#processors) {
      change({ ids, padding, promptLength, step, sequence: index }, logits);
    }
    if (options.output_scores) this.#keep(this.#scores, step, index, logits);
    const token = options.do_sample
      ? multinomial(logits, uniform(this.#seed, sequence.occurrence, step))
      : greedy(logits);
    sequence.push(token);
    if (stream) this.#unreported.push(index, token);
    sequence.finished = sequence.stop.check(sequence.ids) !== undefined;
    return sequence.finished;
  }

  /** Tells the tokens that have come, now and then. */
  report(now = false): void {
    if (this.#unreported.length === 0) return;
    if (!now && performance.now() - this.#reportedAt < REPORT_EVERY) return;
    this.#onTokens(Int32Array.from(this.#unreported));
    this.#unreported = [];
    this.#reportedAt = performance.now();
  }

  /** The result, and the cache in its state after it. */
  finish(): { result: GenerateResult; cache: BatchCache } {
    this.report(true);
    const { options } = this.#request;
    const length = Math.max(...this.sequences.map((s) => s.length));
    const all = new Int32Array(this.sequences.length * length);
    for (const { index, ids } of this.sequences) {
      if (ids.length < length && options.pad_token_id === null) {
        throw new EngineError(
          "generate: rows ended at different lengths, and no pad_token_id is known",
        );
      }
      all.fill(options.pad_token_id ?? 0, index * length, (index + 1) * length);
      all.set(ids, index * length);
    }
    this.#alignCache(length - 1);
    return {
      result: {
        ...{ sequences: all, length },
        ...(options.output_scores && { scores: this.#scores }),
        ...(options.output_logits && { logits: this.#logits }),
      },
      cache: this.#cache,
    };
  }

  /** Brings all rows of the cache to one frame: the last token was not run, and rows that ended early have holes behind their end. */
  #alignCache(frame: number): void {
    const old = this.#cache.frame;
    const mask = new Uint8Array(this.sequences.length * frame);
    for (const { index, length, padding, promptLength, job } of this.sequences) {
      const row = mask.subarray(index * frame, (index + 1) * frame);
      const S = promptLength;
      for (let i = 0; i < frame; i++) {
        const isPrompt = i < S;
        row[i] = isPrompt ? (this.#mask?.[index * S + i] ?? 1) : i < length - 1 ? 1 : 0;
      }
      const behind = frame - padding - job.pages.length;
      if (behind > 0) {
        job.pages.reserve(behind, new Uint8Array(behind));
        job.pages.commit(behind);
      }
    }
    this.#cache.advance(mask, frame - old);
  }

  #keep(steps: Float32Array[], step: number, index: number, row: Float32Array): void {
    steps[step] ??= new Float32Array(this.sequences.length * this.#V);
    steps[step].set(row, index * this.#V);
  }
}

/** Every row num_return_sequences times, one after the other. */
function repeatRows({ B, S, ids, mask, options }: GenerateRequest): {
  prompts: Int32Array;
  mask?: Uint8Array;
} {
  const n = options.num_return_sequences;
  if (n === 1) return { prompts: ids, mask };
  const prompts = new Int32Array(B * n * S);
  const masks = mask && new Uint8Array(B * n * S);
  for (let row = 0; row < B * n; row++) {
    const b = Math.floor(row / n);
    prompts.set(ids.subarray(b * S, (b + 1) * S), row * S);
    masks?.set(mask?.subarray(b * S, (b + 1) * S) ?? [], row * S);
  }
  return { prompts, mask: masks };
}

function makeSequences(
  { S, options, tokenBytes }: GenerateRequest,
  prompts: Int32Array,
  mask: Uint8Array | undefined,
  cache: BatchCache,
  config: MistralConfig,
): Sequence[] {
  const B = prompts.length / S;
  const past = cache.frame;
  const fresh = new Int32Array(B * (S - past));
  for (let b = 0; b < B; b++)
    fresh.set(prompts.subarray(b * S + past, (b + 1) * S), b * (S - past));
  const rows = planRows({
    ...{ B, S: S - past, past, input_ids: fresh, attention_mask: mask, positions: "mask" },
    vocabSize: config.vocab_size,
  });
  const stopping = new Stopping(
    {
      eos_token_id: options.eos_token_ids,
      max_length: options.max_length,
      max_time: options.max_time,
      stop_strings: options.stop_strings.length > 0 ? options.stop_strings : null,
    },
    { promptLength: S, bytesOf: tokenBytes && bytesOf(tokenBytes) },
  );
  const seen = new Map<string, number>();
  return rows.map((own, index) => {
    if (!own.present.includes(1)) {
      throw new InputError(`generate: row ${index} has no new token: its attention_mask is all 0`);
    }
    const prompt = prompts.subarray(index * S, (index + 1) * S);
    const key = prompt.subarray(own.padding).join();
    const occurrence = seen.get(key) ?? 0;
    seen.set(key, occurrence + 1);
    return new Sequence({
      ...{ index, occurrence, prompt, rows: own, pages: cache.sequences[index] },
      maxLength: options.max_length,
      stop: stopping.start(index, prompt),
    });
  });
}

function bytesOf({ ends, bytes }: TokenBytesTable): (id: number) => Uint8Array | undefined {
  return (id) => {
    if (id < 0 || id >= ends.length) return undefined;
    const begin = id === 0 ? 0 : ends[id - 1];
    return ends[id] > begin ? bytes.subarray(begin, ends[id]) : undefined;
  };
}
