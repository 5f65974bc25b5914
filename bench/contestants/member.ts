// One side of a comparison in one run: how it is started, what it measured, and why it dropped out, if it did.

import { type Summary, summarize } from "../statistics.ts";
import { type LoadOptions, RemoteContestant } from "./protocol.ts";

export type Figures = {
  readonly name: string;
  readonly title: string;
  readonly versions?: Readonly<Record<string, string>>;
  /** What the side says about the instruction sets that it uses. */
  readonly instructions?: string;
  /** tokens/s */
  readonly prefill?: Summary;
  /** tokens/s */
  readonly decode?: Summary;
  /** tokens/s by case, where a benchmark has others than these two. */
  readonly cases?: Readonly<Record<string, Summary>>;
  /** Seconds from the call to a model that can answer. */
  readonly load?: Summary;
  readonly peakBytes?: number;
  /** Largest difference of the logits from the reference's, divided by their largest entry. */
  readonly logitError?: number;
  /** What it did less of than the others, since it is slow. */
  readonly brief?: Brief;
  /** Why there are no figures. */
  readonly missing?: string;
};

/** The part of a run that a slow side takes. */
export type Brief = {
  readonly prompt: number;
  readonly newTokens: number;
  readonly rounds: number;
};

export type Side = {
  readonly name: string;
  readonly title: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly load: Omit<LoadOptions, "threads">;
  readonly brief?: Brief;
  /** How far its logits may be from the reference's, relative to their largest entry. */
  readonly tolerance: number;
};

/** tokens/s, seconds of loading, and the process's largest resident size so far. */
export type Turn = {
  readonly prefill?: number;
  readonly decode?: number;
  readonly cases?: Readonly<Record<string, number>>;
  readonly load: number;
  readonly peakBytes: number;
};

/** One side in one run: its process, and why it dropped out, if it did. */
export class Member {
  readonly side: Side;
  readonly turns: Turn[] = [];
  readonly #threads: number;
  #contestant: RemoteContestant | undefined;
  #about: Pick<Figures, "versions" | "instructions"> = {};
  #missing: string | undefined;
  #logitError: number | undefined;
  /** Of the last time that it was loaded. */
  loadSeconds: number = NaN;

  constructor(side: Side, threads: number) {
    this.side = side;
    this.#threads = threads;
  }

  /** Runs `turn`; a failure ends this member's part with its reason, and the others go on. */
  async attempt(turn: (contestant: RemoteContestant) => Promise<void>): Promise<void> {
    if (this.#missing !== undefined) return;
    try {
      await turn(await this.#loaded());
    } catch (error) {
      this.#missing = error instanceof Error ? error.message : String(error);
      process.stderr.write(`  ${this.side.name} drops out: ${this.#missing}\n`);
      process.exitCode = 1;
      await this.close();
    }
  }

  /** Takes note of how far its logits are from the reference's. @throws when that is further than may be */
  accept(logitError: number): void {
    this.#logitError = logitError;
    if (!(logitError <= this.side.tolerance))
      throw new Error(`logits differ by ${logitError} of their largest entry`);
  }

  async close(): Promise<void> {
    await this.#contestant?.close();
    this.#contestant = undefined;
  }

  figures(): Figures {
    const { name, title, brief } = this.side;
    const common = { name, title, ...this.#about };
    if (this.#missing !== undefined) return { ...common, missing: this.#missing };
    const of = (value: (turn: Turn) => number | undefined): Summary | undefined => {
      const rounds = this.turns.map(value).filter((one) => one !== undefined);
      return rounds.length === 0 ? undefined : summarize(rounds);
    };
    const cases = Object.keys(this.turns[0]?.cases ?? {}).map(
      (key) => [key, of((turn) => turn.cases?.[key])] as const,
    );
    return {
      ...common,
      prefill: of(({ prefill }) => prefill),
      decode: of(({ decode }) => decode),
      ...(cases.length > 0 && { cases: Object.fromEntries(cases) as Figures["cases"] }),
      load: of(({ load }) => load),
      peakBytes: of(({ peakBytes }) => peakBytes)?.max,
      logitError: this.#logitError,
      brief,
    };
  }

  async #loaded(): Promise<RemoteContestant> {
    if (this.#contestant === undefined) {
      const env = { ...process.env, ...this.side.env };
      this.#contestant = new RemoteContestant(this.side.command, env);
      const { versions, instructions, seconds } = await this.#contestant.load({
        ...this.side.load,
        threads: this.#threads,
      });
      this.#about = { versions, instructions };
      this.loadSeconds = seconds;
    }
    return this.#contestant;
  }
}
