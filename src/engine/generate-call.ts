// One generate() call: has its sequences, chooses their tokens, reports them, and makes the result.
// B · n sequences (n = num_return_sequences), V vocabulary. Knows no steps and no rows.

import { EngineError, InputError } from "../errors.ts";
import type { PagePool } from "../generate/page-pool.ts";
import {
  type Choice,
  chooseBy,
  type Chooser,
  type SampledRow,
} from "../generate/device-sampling.ts";
import type { LogitsProcessor, ProcessorContext } from "../generate/logits-processor.ts";
import { distributionProcessors } from "../generate/processors.ts";
import { planRows } from "../generate/rows.ts";
import {
  greedy,
  multinomial,
  noTokenError,
  seedOf,
  uniform,
  uniformWords,
} from "../generate/sampler.ts";
import { logProbability } from "../generate/log-probability.ts";
import { type StopReason, Stopping } from "../generate/stopping.ts";
import type { MistralConfig } from "../models/config.ts";
import { ropeKey } from "../models/rope.ts";
import { BatchCache } from "./batch-cache.ts";
import type { GenerateRequest, GenerateResult, TokenBytesTable, TokensReport } from "./messages.ts";
import { checkResultBytes } from "./result-bytes.ts";
import { Sequence } from "./sequence.ts";

/** Milliseconds between two reports: tokens that come faster share one, since a message for each would cost more than the token. */
const REPORT_EVERY = 8;

/** Functions that a caller in the engine's own thread can pass beside the request; messages cannot carry any. */
export type CallFunctions = {
  /** Change scores in the place of HF's `logits_processor`: see buildProcessors. One that returns a promise holds up its own sequence only. */
  readonly processors?: readonly LogitsProcessor[];
  /** Guesses the ids that follow `ids`, all below V. Each right guess saves a step; wrong ones change no token. */
  readonly draft?: (ids: Int32Array) => readonly number[];
};

export type CallSetting = {
  readonly request: GenerateRequest;
  readonly config: MistralConfig;
  readonly pool: PagePool;
  /** An earlier call's cache, one row for each of B: it stays as it is. */
  readonly past: BatchCache | undefined;
  /** The first id and order that its sequences may use; as many follow as it has sequences. */
  readonly firstId: number;
  readonly onTokens: (report: TokensReport) => void;
  readonly functions?: CallFunctions;
};

export class GenerateCall {
  /** n for each prompt, one after the other. The first of them runs the prompt; the others fork from it. */
  readonly sequences: readonly Sequence[];
  readonly #setting: CallSetting;
  readonly #mask: Uint8Array | undefined;
  readonly #choice: Choice;
  readonly #seed: number;
  readonly #scores: Float32Array[] = [];
  readonly #logits: Float32Array[] = [];
  #unreported: { row: number; token: number; logprob: number }[] = [];
  /** How many tokens of the prompts were reported as computed. */
  #reportedPrompt = 0;
  #unreportedEnds: { row: number; reason: StopReason }[] = [];
  /** The sequence of each token that the reader has not taken yet, in the order of the tokens. */
  #unread: Sequence[] = [];
  #reportedAt = performance.now();

  /** @throws InputError, MemoryError the results do not fit; nothing has been taken */
  constructor(setting: CallSetting) {
    const { request, config, past } = setting;
    const { S, options } = request;
    const n = options.num_return_sequences;
    this.#setting = setting;
    this.#seed = seedOf(options.seed);
    checkKept(request, config.vocab_size);
    const fields = { ...options, eos_token_id: options.eos_token_ids };
    const { processors } = setting.functions ?? {};
    const choice = chooseBy(
      fields,
      { vocabSize: config.vocab_size, promptLength: S, logits_processor: processors },
      { logits: options.output_logits, scores: options.output_scores },
    );
    // A processor that takes its time is waited for between steps, for one row alone.
    const last = choice.chooser === "host" ? [] : distributionProcessors(fields);
    this.#choice =
      processors === undefined
        ? choice
        : { ...choice, chooser: "host", processors: [...choice.processors, ...last] };
    const frame = past?.frame ?? 0;
    const mask = request.mask ?? past?.mask(S - frame);
    // A mask that contradicts the cache is refused now, not when the result is made.
    past?.sequences.forEach((_, b) => past.columns(b, mask, S - frame));
    this.#mask = mask;
    this.sequences = makeSequences(setting, mask, n);
  }

  get done(): boolean {
    return this.sequences.every(({ reason }) => reason !== undefined);
  }

  /** The first of the sequences with the same prompt, which runs it. */
  isLeader({ index }: Sequence): boolean {
    return index % this.#setting.request.options.num_return_sequences === 0;
  }

  /** The sequences with the same prompt. */
  siblingsOf(leader: Sequence): readonly Sequence[] {
    const n = this.#setting.request.options.num_return_sequences;
    return this.sequences.slice(leader.index, leader.index + n);
  }

  /** Who chooses its tokens: see Chooser. */
  get chooser(): Chooser {
    return this.#choice.chooser;
  }

  /** What the op `sample` is told to choose the token that follows `later` more tokens; undefined when the host chooses. */
  sampledRow(sequence: Sequence, later = 0): SampledRow | undefined {
    if (this.chooser === "host") return undefined;
    const { logprobs: logProb } = this.#setting.request;
    const { occurrence, step } = sequence;
    const words = uniformWords(this.#seed, occurrence, step + later);
    return { settings: this.#choice.settings, words, logProb };
  }

  /** Changes a row of scores [V] as far as the host does before `sample` chooses. */
  change(sequence: Sequence, scores: Float32Array): void {
    if (this.#setting.request.options.output_logits) this.#keep(this.#logits, sequence, scores);
    for (const change of this.#choice.processors) void change(contextOf(sequence), scores);
  }

  /** Takes what `sample` has chosen. @throws EngineError there is no token */
  accept(sequence: Sequence, token: number, status: number, logprob: number): void {
    if (status !== 0) throw noTokenError(status);
    this.#push(sequence, token, logprob);
  }

  /**
   * Chooses a sequence's next token on the host.
   * @param logits [V] that follow its last token; changed
   * @returns a promise when one of the caller's own processors takes its time
   */
  choose(sequence: Sequence, logits: Float32Array): void | Promise<void> {
    const { options, logprobs } = this.#setting.request;
    if (options.output_logits) this.#keep(this.#logits, sequence, logits);
    const raw = logprobs ? logits.slice() : undefined;
    const context = contextOf(sequence);
    const done = inOrder(this.#choice.processors, (change) => change(context, logits));
    if (done === undefined) return this.#draw(sequence, logits, raw);
    return done.then(() => this.#draw(sequence, logits, raw));
  }

  /** Guesses what follows a sequence's last token, for speculation. */
  draft(sequence: Sequence): void {
    const { functions, request, config } = this.#setting;
    // Scores that the host changes depend on the token before: rows of guesses cannot be chosen from at once.
    if (functions?.draft === undefined || this.chooser === "scores") return;
    if (sequence.reason !== undefined) return;
    const room = Math.max(0, request.options.max_length - sequence.length - 1);
    const drafts = functions.draft(sequence.ids).slice(0, room);
    const wrong = drafts.find((id) => !(Number.isInteger(id) && id >= 0 && id < config.vocab_size));
    if (wrong !== undefined) {
      throw new InputError(
        `generate: a draft is ${wrong}, expected ids from 0 to ${config.vocab_size - 1}`,
      );
    }
    sequence.propose(drafts);
  }

  /** Reports the tokens that have come, at most every REPORT_EVERY ms. @param now do not wait; default when all sequences have ended */
  report(now: boolean = this.done): void {
    const { onTokens, request } = this.#setting;
    const [told, ends] = [this.#unreported, this.#unreportedEnds];
    // A sequence that loses its pages computes them again, which does not count.
    const leaders = request.progress ? this.sequences.filter((one) => this.isLeader(one)) : [];
    const prompt = leaders.reduce((sum, { promptColumns }) => sum + promptColumns, 0);
    const isFurther = prompt > this.#reportedPrompt;
    if (told.length === 0 && ends.length === 0 && !isFurther) return;
    if (!now && !isFurther && performance.now() - this.#reportedAt < REPORT_EVERY) return;
    onTokens({
      rows: Int32Array.from(told, ({ row }) => row),
      tokens: Int32Array.from(told, ({ token }) => token),
      ...(request.logprobs && { logprobs: Float32Array.from(told, ({ logprob }) => logprob) }),
      ...(isFurther && { prompt }),
      ends,
    });
    if (isFurther) this.#reportedPrompt = prompt;
    this.#unreported = [];
    this.#unreportedEnds = [];
    this.#reportedAt = performance.now();
  }

  /**
   * A sequence has ended. Its pages go back, unless the call gives its cache to somebody.
   * @returns false when that cache lacks columns, since the sequence had lost its pages: they must be computed again
   */
  ended(sequence: Sequence): boolean {
    if (this.#keepsCache) return sequence.pages.length === sequence.columns;
    sequence.dispose();
    return true;
  }

  /** The call was aborted: reports the tokens so far, and that its sequences have ended. */
  abort(): void {
    for (const sequence of this.sequences) {
      sequence.reason ??= "abort";
      if (sequence.reason === "abort") this.#end(sequence);
    }
    this.report(true);
  }

  /** Its reader has taken so many more of the reported tokens. */
  taken(count: number): void {
    for (const sequence of this.#unread.splice(0, count)) sequence.unread--;
  }

  /** Pages that `finish` takes. */
  get pagesToFinish(): number {
    if (!this.#keepsCache) return 0;
    const length = Math.max(...this.sequences.map((s) => s.length)) - 1;
    const missing = ({ pages, padding }: Sequence): number =>
      pages.missingFor(Math.max(0, length - padding - pages.length));
    return this.sequences.reduce((sum, sequence) => sum + missing(sequence), 0);
  }

  /** The result, and the cache after it when the request keeps one. */
  finish(): { result: GenerateResult; cache: BatchCache | undefined } {
    this.report(true);
    const { options } = this.#setting.request;
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
    return {
      result: {
        ...{ sequences: all, length },
        reasons: this.sequences.map(({ reason }) => reason ?? "length"),
        cachedTokens: Int32Array.from(this.sequences, ({ cachedTokens }) => cachedTokens ?? 0),
        ...(options.output_scores && { scores: this.#scores }),
        ...(options.output_logits && { logits: this.#logits }),
      },
      cache: this.#keepsCache ? this.#cache(length - 1) : undefined,
    };
  }

  /** Gives all pages back. */
  dispose(): void {
    for (const sequence of this.sequences) sequence.dispose();
  }

  get #keepsCache(): boolean {
    const { keepCache, cache } = this.#setting.request;
    return keepCache || cache !== undefined;
  }

  #end({ index: row, reason }: Sequence): void {
    const { stream } = this.#setting.request;
    if (stream && reason !== undefined) this.#unreportedEnds.push({ row, reason });
  }

  #draw(sequence: Sequence, scores: Float32Array, raw: Float32Array | undefined): void {
    const { options } = this.#setting.request;
    if (options.output_scores) this.#keep(this.#scores, sequence, scores);
    const token = options.do_sample
      ? multinomial(scores, uniform(this.#seed, sequence.occurrence, sequence.step))
      : greedy(scores);
    this.#push(sequence, token, raw === undefined ? 0 : logProbability(raw, token));
  }

  #push(sequence: Sequence, token: number, logprob: number): void {
    sequence.push(token);
    this.#end(sequence);
    if (!this.#setting.request.stream) return;
    this.#unreported.push({ row: sequence.index, token, logprob });
    this.#unread.push(sequence);
    sequence.unread++;
  }

  /** The cache of all rows with `frame` columns each: the last token was not run, and rows that ended early get holes behind their end. */
  #cache(frame: number): BatchCache {
    const mask = new Uint8Array(this.sequences.length * frame);
    const { options } = this.#setting.request;
    for (const sequence of this.sequences) {
      const { index, length, promptLength, padding } = sequence;
      const prompt = Math.floor(index / options.num_return_sequences);
      for (let i = 0; i < frame; i++) {
        mask[index * frame + i] =
          i < promptLength
            ? (this.#mask?.[prompt * promptLength + i] ?? 1)
            : i < length - 1
              ? 1
              : 0;
      }
      sequence.fillWithHoles(frame - padding);
    }
    const cache = BatchCache.of(this.sequences.map(({ pages }) => pages));
    cache.advance(mask, frame);
    return cache;
  }

  #keep(steps: Float32Array[], { step, index }: Sequence, row: Float32Array): void {
    const { vocab_size: V } = this.#setting.config;
    steps[step] ??= new Float32Array(this.sequences.length * V);
    steps[step].set(row, index * V);
  }
}

function contextOf({ ids, padding, promptLength, step, index }: Sequence): ProcessorContext {
  return { ids, padding, promptLength, step, sequence: index };
}

/** Runs one after the other, at once as long as none returns a promise. */
function inOrder<T>(
  items: readonly T[],
  run: (item: T) => void | Promise<void>,
): Promise<void> | undefined {
  for (const [i, item] of items.entries()) {
    const wait = run(item);
    if (wait !== undefined) return wait.then(() => inOrder(items.slice(i + 1), run));
  }
  return undefined;
}

/** @throws MemoryError scores and logits of every step do not fit */
function checkKept({ B, S, options }: GenerateRequest, V: number): void {
  const { output_scores, output_logits, max_length } = options;
  const dims = [max_length - S, B * options.num_return_sequences, V];
  const kept = { output_scores, output_logits };
  const names = Object.entries(kept).flatMap(([name, wanted]) => (wanted ? [name] : []));
  if (names.length > 0) {
    checkResultBytes("generate", names.join(" and "), names.length, dims, "lower max_new_tokens");
  }
}

function makeSequences(
  { request, config, pool, past, firstId }: CallSetting,
  mask: Uint8Array | undefined,
  n: number,
): Sequence[] {
  const { B, S, ids, options, tokenBytes } = request;
  const frame = past?.frame ?? 0;
  const fresh = new Int32Array(B * (S - frame));
  for (let b = 0; b < B; b++) {
    fresh.set(ids.subarray(b * S + frame, (b + 1) * S), b * (S - frame));
  }
  const rows = planRows({
    ...{ B, S: S - frame, past: frame, input_ids: fresh, attention_mask: mask, positions: "mask" },
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
  return rows.flatMap((own, b) => {
    if (!own.present.includes(1)) {
      throw new InputError(`generate: row ${b * n} has no new token: its attention_mask is all 0`);
    }
    const prompt = ids.subarray(b * S, (b + 1) * S);
    const key = prompt.subarray(own.padding).join();
    return Array.from({ length: n }, (_, i) => {
      const index = b * n + i;
      const occurrence = seen.get(key) ?? 0;
      seen.set(key, occurrence + 1);
      return new Sequence({
        ...{ id: firstId + index, order: firstId + index, index, occurrence },
        ...{ prompt, rows: own, pool, window: config.sliding_window },
        base: past?.sequences[b],
        domain: request.domain ?? "",
        ropeKey: (length) => ropeKey(config, length),
        stop: stopping.start(index, prompt),
      });
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
