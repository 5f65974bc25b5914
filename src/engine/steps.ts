// Who may run a step, whose rows are in it, and who may stop it. One step runs at a time, in the order in which they were asked for.
// Knows no rows, no pages and no messages.

import { Aborted } from "../backends/backend.ts";

/** A call in progress, as the engine sees it. */
export type Call = {
  /** Positive, and no other call's. */
  readonly id: number;
  /** @throws what tells the caller's side that its call ended by its own wish */
  throwIfAborted(): void;
  /** Whether its caller may still abort it, even after it is done: the cache that it was given must then stay. */
  readonly abortable?: boolean;
};

/** What steps need of the thread that they run on. */
export type StepHooks = {
  /**
   * Says which call alone has rows in the next step and may stop it (its id; 0: several calls, nobody stops it). Clears the stop
   * word, then lets waiting messages in: an earlier abort is known afterwards, a later one finds the step.
   */
  beforeStep(owner: number): Promise<void>;
};

/** A step that is ready to run. */
export type Step<T> = {
  /** The calls that have rows in it. */
  readonly calls: readonly Call[];
  run(): Promise<T>;
  /** Takes back what was prepared: the step does not run, or was stopped. Another one is prepared then. */
  drop?(): void;
};

export class Steps {
  readonly #hooks: StepHooks;
  /** Resolves when what was asked for so far has run. */
  #turn: Promise<void> = Promise.resolve();

  constructor(hooks: StepHooks) {
    this.#hooks = hooks;
  }

  /**
   * Runs one step when no other runs.
   * @param prepare says what is to run, between two steps; asked again when a call of the step was aborted before it ran, or when
   *   the step was stopped. Undefined: nothing is to run any more
   * @throws what `prepare` and the step throw, but for `Aborted`
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

  /** Runs what must not happen while a step runs. */
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
