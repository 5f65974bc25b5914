// What the benchmark and a contestant say to each other: one JSON object a line, over the standard streams of a child process.
// A contestant is loaded once and stays; it computes only while it answers. It times itself, so no pipe is in a figure.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export type LoadOptions = {
  /** A folder, or a GGUF file. */
  readonly dir: string;
  readonly dtype: string;
  readonly threads: number;
  /** What else a side's own `from_pretrained` takes. */
  readonly options?: Readonly<Record<string, unknown>>;
};

export type Loaded = {
  readonly versions: Readonly<Record<string, string>>;
  /** From the call to a model that can answer; the library itself was imported before. */
  readonly seconds: number;
  /** What the side says about the instruction sets that it uses. */
  readonly instructions?: string;
};

export type Prefilled = {
  /** Seconds of each repetition: the prompt in one forward call with a fresh cache, logits of the last token only. */
  readonly seconds: readonly number[];
  /** [V], of the last token */
  readonly logits?: readonly number[];
};

export type Generated = {
  /** New tokens only. */
  readonly ids: readonly number[];
  /** Of each repetition: the whole call of `generate`. */
  readonly seconds: readonly number[];
};

export type RowsDecoded = {
  /** Of each repetition: from the call until all rows have all their tokens. */
  readonly seconds: readonly number[];
};

/** What each side of the comparison implements. */
export type Contestant = {
  load(options: LoadOptions): Promise<Loaded>;
  prefill(ids: readonly number[], repeat: number, wantLogits: boolean): Promise<Prefilled>;
  /** Greedy. @param full go on to `count` tokens whatever the end-of-text token says */
  generate(
    ids: readonly number[],
    count: number,
    repeat: number,
    full: boolean,
  ): Promise<Generated>;
  /** Greedy, as many rows at once as there are prompts, `count` tokens each. Sides that have no batches leave it out. */
  decodeRows?(
    prompts: readonly (readonly number[])[],
    count: number,
    repeat: number,
  ): Promise<RowsDecoded>;
};

export type Request =
  | ({ readonly op: "load" } & LoadOptions)
  | {
      readonly op: "prefill";
      readonly ids: readonly number[];
      readonly repeat: number;
      readonly logits: boolean;
    }
  | {
      readonly op: "generate";
      readonly ids: readonly number[];
      readonly count: number;
      readonly repeat: number;
      readonly full: boolean;
    }
  | {
      readonly op: "decodeRows";
      readonly prompts: readonly (readonly number[])[];
      readonly count: number;
      readonly repeat: number;
    };

type Reply = { readonly result?: unknown; readonly error?: string };

/** The child's side: answers requests until its input ends. */
export async function serve(contestant: Contestant): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request;
    const reply: Reply = await answer(contestant, request).then(
      (result) => ({ result }),
      (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
    );
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

async function answer(contestant: Contestant, request: Request): Promise<unknown> {
  switch (request.op) {
    case "load":
      return contestant.load(request);
    case "prefill":
      return contestant.prefill(request.ids, request.repeat, request.logits);
    case "generate":
      return contestant.generate(request.ids, request.count, request.repeat, request.full);
    case "decodeRows":
      if (contestant.decodeRows === undefined)
        throw new Error("this side decodes one row at a time");
      return contestant.decodeRows(request.prompts, request.count, request.repeat);
  }
}

/** The benchmark's side: a contestant in a process of its own. */
export class RemoteContestant implements Contestant {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: readonly string[], env: NodeJS.ProcessEnv) {
    const [program, ...args] = command;
    this.#child = spawn(program, args, { env, stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error(`${program}: no standard output`);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    if (this.#child.pid === undefined)
      throw new Error(`${this.#child.spawnfile}: could not be started`);
    return this.#child.pid;
  }

  load(options: LoadOptions): Promise<Loaded> {
    return this.#ask<Loaded>({ op: "load", ...options });
  }

  prefill(ids: readonly number[], repeat: number, logits: boolean): Promise<Prefilled> {
    return this.#ask<Prefilled>({ op: "prefill", ids, repeat, logits });
  }

  generate(
    ids: readonly number[],
    count: number,
    repeat: number,
    full: boolean,
  ): Promise<Generated> {
    return this.#ask<Generated>({ op: "generate", ids, count, repeat, full });
  }

  decodeRows(
    prompts: readonly (readonly number[])[],
    count: number,
    repeat: number,
  ): Promise<RowsDecoded> {
    return this.#ask<RowsDecoded>({ op: "decodeRows", prompts, count, repeat });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin?.end();
    const impatience = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(impatience);
  }

  async #ask<T>(request: Request): Promise<T> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const line = await this.#lines.next();
    if (line.done) {
      const { exitCode, signalCode } = this.#child;
      throw new Error(
        `${request.op}: the process ended (${signalCode ?? exitCode ?? "output closed"})`,
      );
    }
    const reply = JSON.parse(line.value) as Reply;
    if (reply.error !== undefined) throw new Error(`${request.op}: ${reply.error}`);
    return reply.result as T;
  }
}

/** Runs `once` and returns its last result with the seconds of each run. */
export async function timed<T>(
  repeat: number,
  once: () => Promise<{ seconds: number; result: T }>,
): Promise<{ seconds: number[]; result: T }> {
  let last = await once();
  const seconds = [last.seconds];
  while (seconds.length < repeat) {
    last = await once();
    seconds.push(last.seconds);
  }
  return { seconds, result: last.result };
}
