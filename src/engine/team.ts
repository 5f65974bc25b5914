// The helper threads as their supervisor sees them: started when there are memories to share, replaced when one dies.
// Runs nothing itself.

import { startWorker, type WorkerHandle } from "#platform";
import { helperGone, stopTeam } from "../backends/wasm/threads.ts";
import type { TeamData } from "./backends.ts";

/** A helper that lived shorter than this (ms) is not replaced at once for ever: see DEATHS. */
const SHORT_LIFE = 2000;
/** Short lives in a row after which the team goes on without that helper. */
const DEATHS = 5;

export class HelperTeam {
  readonly #url: URL;
  readonly #startWorker: typeof startWorker;
  readonly #workers = new Map<number, WorkerHandle>();
  #team: TeamData | undefined;
  #disposed = false;

  /** @param url the module that helpers run */
  constructor(url: URL, start: typeof startWorker = startWorker) {
    this.#url = url;
    this.#startWorker = start;
  }

  /** The memories may have grown in number; helpers that run already stay. */
  update(team: TeamData): void {
    this.#team = team;
    for (const { index } of team.helpers) if (!this.#workers.has(index)) this.#start(index, 0);
  }

  /** Makes the step in progress, if there is one, leave its program within one op. */
  askToStop(): void {
    if (this.#team !== undefined) stopTeam(this.#team.adopted.memories, this.#team.adopted.control);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.terminate()));
    this.#workers.clear();
    this.#team = undefined;
  }

  #start(index: number, deaths: number): void {
    const data = this.#team?.helpers.find((helper) => helper.index === index);
    if (data === undefined || this.#disposed) return;
    const born = performance.now();
    const worker = this.#startWorker(this.#url, data);
    worker.keepAlive(false);
    this.#workers.set(index, worker);
    worker.onEnd(() => {
      this.#workers.delete(index);
      if (this.#disposed || this.#team === undefined) return;
      helperGone(this.#team.adopted.memories, this.#team.adopted.control, index);
      const short = performance.now() - born < SHORT_LIFE;
      if (!short || deaths < DEATHS) this.#start(index, short ? deaths + 1 : 0);
    });
  }
}
