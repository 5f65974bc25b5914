// An engine in the test's own thread, without messages: calls are made, aborted and read by the test, steps and rows are counted.

import { backends, loadGolden } from "../golden/engines.ts";
import type { Call } from "../../src/engine/steps.ts";
import { EngineCore } from "../../src/engine/core.ts";
import type { CallFunctions } from "../../src/engine/generate-call.ts";
import type { GenerateRequest, GenerateResult, TokensReport } from "../../src/engine/messages.ts";
import { GenerationConfig, type GenerationOptions } from "../../src/generate/generation-config.ts";
import { resolveGeneration } from "../../src/generate/resolve-generation.ts";

/** A call that the test can abort, as the worker's messages do. */
export class TestCall implements Call {
  static #next = 1;
  readonly id: number = TestCall.#next++;
  /** As messages say it: the cache that the call was given stays. */
  readonly abortable = false;
  readonly #wake: () => void;
  #reason: unknown;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  abort(reason: unknown = "aborted"): void {
    this.#reason = reason;
    this.#wake();
  }

  throwIfAborted(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }
}

export type DirectOptions = GenerationOptions & {
  readonly request?: Partial<GenerateRequest>;
  readonly call?: TestCall;
  /** Default: every token is taken at once. */
  readonly onTokens?: (report: TokensReport, taken: (count: number) => void) => void;
  readonly functions?: CallFunctions;
};

export class DirectEngine {
  readonly core: EngineCore;
  /** Rows, steps, and which call alone could have stopped each step. */
  readonly ran: { rows: number; steps: number; owners: number[] } = {
    rows: 0,
    steps: 0,
    owners: [],
  };

  private constructor(core: EngineCore, ran: DirectEngine["ran"]) {
    this.core = core;
    this.ran = ran;
    const { runner } = core;
    const step = runner.step.bind(runner);
    runner.step = async (rows, ...others) => {
      ran.steps++;
      ran.rows += rows.seq.length;
      return step(rows, ...others);
    };
  }

  /** @param load makes the engine, with the hooks that it is given */
  static async of(
    load: (beforeStep: (owner: number) => Promise<void>) => Promise<EngineCore>,
  ): Promise<DirectEngine> {
    const ran: DirectEngine["ran"] = { rows: 0, steps: 0, owners: [] };
    const core = await load(async (owner) => {
      ran.owners.push(owner);
      await new Promise((resolve) => setImmediate(resolve));
    });
    return new DirectEngine(core, ran);
  }

  /** Pages that the cache may have at most. */
  limitPages(most: number): void {
    Object.defineProperty(this.core.runner, "maxPages", { get: () => most });
  }

  newCall(): TestCall {
    return new TestCall(() => this.core.wake());
  }

  /** Continues prompts of equal length. */
  async generate(
    prompts: readonly (readonly number[])[],
    options: DirectOptions,
  ): Promise<GenerateResult> {
    const { request, call = this.newCall(), onTokens, functions, ...settings } = options;
    const S = prompts[0].length;
    const { config } = this.core.runner;
    const resolved = resolveGeneration(
      { eos_token_id: null, pad_token_id: 0, ...settings },
      {
        model: new GenerationConfig(),
        promptLength: S,
        max_position_embeddings: config.max_position_embeddings,
      },
    );
    const taken = (count: number): void => this.core.taken(call.id, count);
    return this.core.generate(
      {
        ...{ B: prompts.length, S, ids: Int32Array.from(prompts.flat()), keepCache: false },
        ...{ options: resolved, stream: true },
        ...request,
      },
      call,
      (report) => {
        if (onTokens === undefined) taken(report.tokens.length);
        else onTokens(report, taken);
      },
      functions,
    );
  }

  /** The new tokens of one prompt. */
  async continue(prompt: readonly number[], options: DirectOptions): Promise<number[]> {
    const { sequences } = await this.generate([prompt], options);
    return [...sequences.subarray(prompt.length)];
  }
}

/** An engine on a checkpoint of the goldens: one thread, flash attention. */
export async function goldenEngine(model = "base-f32"): Promise<DirectEngine> {
  return DirectEngine.of(async (beforeStep) =>
    loadGolden(model, await backends.wasm(), "flash", "auto", undefined, beforeStep),
  );
}

/** New tokens of a call on an engine of its own. */
export async function alone(prompt: readonly number[], options: DirectOptions): Promise<number[]> {
  return (await goldenEngine()).continue(prompt, options);
}

/** A text of ids; other ones from other places. */
export const words = (length: number, from = 0): number[] =>
  Array.from({ length }, (_, i) => 3 + (((i + from) * 7919) % 600));
