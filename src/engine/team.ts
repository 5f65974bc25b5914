// Starts the helper threads when the backend hands over what they need, and replaces one that dies. Computes nothing, and passes on what
// the backend hands over without looking into it.

import { startWorker, type WorkerHandle } from "#platform";
import type { Handover } from "../backends/backend.ts";
import { type HelperStart, teamControl } from "./backends.ts";

/** A helper that ends within this time (ms) counts as a crash. */
const CRASH_MS = 2000;
/** After so many crashes in a row no new helper is started in its place: the other threads do its work. */
const CRASHES = 6;

export class HelperTeam {
  readonly #startWorker: typeof startWorker;
  readonly #workers = new Map<number, WorkerHandle>();
  #handover: Handover | undefined;
  #disposed = false;

  constructor(start: typeof startWorker = startWorker) {
    this.#startWorker = start;
  }

  /** Starts the helpers that do not run yet. Those that run stay, and never work on memories that were made after their start. */
  update(handover: Handover): void {
    this.#handover = handover;
    for (const helper of handover.helpers.keys())
      if (!this.#workers.has(helper)) this.#start(helper);
  }

  /** Asks the running step, if there is one, to stop within one op. */
  askToStop(): void {
    if (this.#handover === undefined) return;
    const { backend, state } = this.#handover;
    teamControl(backend).stop(state);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.terminate()));
    this.#workers.clear();
    this.#handover = undefined;
  }

  #start(helper: number, crashes = 0): void {
    if (this.#handover === undefined || this.#disposed) return;
    const { backend, helpers } = this.#handover;
    const start: HelperStart = { backend, data: helpers[helper] };
    const worker = this.#startWorker("helper", start);
    const begin = performance.now();
    worker.keepAlive(false);
    this.#workers.set(helper, worker);
    worker.onEnd(() => {
      this.#workers.delete(helper);
      if (this.#disposed || this.#handover === undefined) return;
      teamControl(backend).helperGone(this.#handover.state, helper);
      const inRow = performance.now() - begin < CRASH_MS ? crashes + 1 : 0;
      if (inRow < CRASHES) this.#start(helper, inRow);
    });
  }
}
