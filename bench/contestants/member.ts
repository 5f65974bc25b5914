// One side of a comparison in one run: how it is started, what it measured, and why it dropped out, if it did.

import { type Summary, summarize } from "../statistics.ts";
import { type LoadOptions, RemoteContestant } from "./protocol.ts";

export type Figures = {
  readonly name: string;
  readonly title: string;
  readonly versions?: Readonly<Record<string, string>>;
  /** tokens/s */
  readonly prefill?: Summary;
  /** tokens/s */
  readonly decode?: Summary;
  readonly peakBytes?: number;
  /** Largest difference of the logits from PyTorch's, divided by their largest entry. */
  readonly logitError?: number;
  /** Why there are no figures. */
  readonly missing?: string;
};

export type Side = {
  readonly name: string;
  title(dtype: LoadOptions["dtype"]): string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  folder(model: string, dtype: LoadOptions["dtype"]): string;
};

/** tokens/s, and the process's largest resident size so far. */
export type Turn = { prefill: number; decode: number; peakBytes: number };

/** One side in one run: its process, and why it dropped out, if it did. */
export class Member {
  readonly side: Side;
  readonly #options: LoadOptions;
  #contestant: RemoteContestant | undefined;
  #versions: Readonly<Record<string, string>> | undefined;
  #missing: string | undefined;
  logitError: number | undefined;

  constructor(side: Side, model: string, dtype: LoadOptions["dtype"], threads: number) {
    this.side = side;
    this.#options = { dir: side.folder(model, dtype), dtype, threads };
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

  async close(): Promise<void> {
    await this.#contestant?.close();
    this.#contestant = undefined;
  }

  figures(turns: readonly Turn[]): Figures {
    const { name, title } = this.side;
    const common = { name, title: title(this.#options.dtype), versions: this.#versions };
    if (this.#missing !== undefined) return { ...common, missing: this.#missing };
    return {
      ...common,
      prefill: summarize(turns.map((turn) => turn.prefill)),
      decode: summarize(turns.map((turn) => turn.decode)),
      peakBytes: Math.max(...turns.map((turn) => turn.peakBytes)),
      logitError: this.logitError,
    };
  }

  async #loaded(): Promise<RemoteContestant> {
    if (this.#contestant === undefined) {
      this.#contestant = new RemoteContestant(this.side.command, {
        ...process.env,
        ...this.side.env,
      });
      this.#versions = (await this.#contestant.load(this.#options)).versions;
    }
    return this.#contestant;
  }
}
