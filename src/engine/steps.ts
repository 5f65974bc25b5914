// Lets steps run one at a time, in the order in which calls asked for them; knows which calls have rows in the running step, and which one
// may stop it. Knows no rows, no pages and no messages.

import { Aborted } from "../backends/backend.ts";

/** A call in progress, as the engine sees it. */
export type Call = {
  /** Positive, and no other call's. */
  readonly id: number;
  /** @throws the reason of the abort, if the caller has aborted this call */
  throwIfAborted(): void;
  /** Its caller may abort it, even when the engine is done with it already: the cache that it was given must then be as before. */
  readonly abortable?: boolean;
};

/** What steps need of the thread that they run on. */
export type StepHooks = {
  /**
   * Notes who may stop the next step, clears the stop word, then lets the thread take the messages that wait. So an abort that came
   * before is known when this resolves, and a later one stops the step.
   * @param owner the id of the call that alone has rows in the step; 0: several calls have, and nobody may stop it
   */
  beforeStep(owner: number): Promise<void>;
};

/** A step that is ready to run. */
export type Step<T> = {
  /** The calls that have rows in it. */
  readonly calls: readonly Call[];
  run(): Promise<T>;
  /** Takes back what was prepared, when the step does not run, was stopped or failed. */
  drop?(): void;
};

export class Steps {
  readonly #hooks: StepHooks;
  /** Resolves when everything that was asked for so far has run. */
  #turn: Promise<void> = Promise.resolve();

  constructor(hooks: StepHooks) {
    this.#hooks = hooks;
  }

  /**
   * Runs one step when it is its turn.
   * @param prepare called when no other step runs: says what is to run, or undefined when nothing is. It is called again when a call of
   *   the step was aborted before the step began, and when the step was stopped
   * @returns the step's result; undefined when there was nothing to run
   * @throws what `prepare` and the step throw, except `Aborted`
   */
  async run<T>(
    prepare: () => Promise<Step<T> | undefined> | Step<T> | undefined,
  ): Promise<T | undefined> {
    return this.inTurn(async () => {
      for (;;) {
        const step = await prepare();
        if (step === undefined) return undefined;
        const calls = new Set(step.calls);
        await this.#hooks.beforeStep(calls.size === 1 ? step.calls[0].id : 0);
        if (step.calls.some(isAborted)) {
          step.drop?.();
          continue;
        }
        try {
          return await step.run();
        } catch (error) {
          step.drop?.();
          if (!(error instanceof Aborted)) throw error;
        }
      }
    });
  }

  /** Runs something that must not happen while a step runs, when it is its turn. */
  async inTurn<T>(run: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return await run();
    } finally {
      resolve();
    }
  }
}

function isAborted(call: Call): boolean {
  try {
    call.throwIfAborted();
    return false;
  } catch {
    return true;
  }
}
