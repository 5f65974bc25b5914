// A backend that behaves as a GPU does: compiling takes a while, replays wait in one queue and are computed later, and their
// results come later still. Computes by another backend. For tests of whoever submits without waiting.

import type {
  Backend,
  ExponentBits,
  InputData,
  LeafSpec,
  Program,
  Room,
} from "../src/backends/backend.ts";
import { EngineError } from "../src/errors.ts";
import { areFinite } from "../src/formats/finite.ts";
import type { LiveCounts } from "../src/graph/graph.ts";
import type { Plan } from "../src/graph/plan.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class DelayedBackend implements Backend {
  readonly name = "delayed";
  /** Every plan that was compiled. */
  readonly compiled: Plan[] = [];
  /** The most replays that waited at a time. */
  mostWaiting = 0;
  /** The next `compile` fails with it. */
  compileError: Error | undefined;
  readonly #inner: Backend;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(inner: Backend) {
    this.#inner = inner;
  }

  /** Later plans are compiled sooner, so that nobody can rely on the order. */
  async compile(plan: Plan): Promise<Program> {
    const error = this.compileError;
    this.compileError = undefined;
    await pause(Math.max(0, 12 - 4 * this.compiled.push(plan)));
    if (error !== undefined) throw error;
    const program = await this.#inner.compile(plan);
    let disposed = false;
    return {
      submit: (inputs, live, outputs) => {
        if (disposed) throw new EngineError("submitted to a program that was disposed of");
        return this.#submit(program, inputs, live, outputs);
      },
      dispose: () => {
        disposed = true;
        void this.#inTurn(async () => program.dispose());
      },
    };
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>[]> {
    return this.#inTurn(() => this.#inner.read(name));
  }

  place(leaves: readonly LeafSpec[]): Promise<void> {
    return this.#inner.place(leaves);
  }

  grow(names: readonly string[], rows: number): Promise<void> {
    return this.#inner.grow(names, rows);
  }

  room(states: readonly LeafSpec[], scratch: number): Room {
    return this.#inner.room(states, scratch);
  }

  load(
    name: string,
    fill: (parts: readonly Uint8Array[], alreadyMapped: boolean) => Promise<void>,
  ): Promise<void> {
    return this.#inner.load(name, fill);
  }

  areFinite(bytes: Uint8Array, of: ExponentBits, every: number): boolean {
    return (this.#inner.areFinite?.bind(this.#inner) ?? areFinite)(bytes, of, every);
  }

  release(names: readonly string[]): void {
    this.#inner.release(names);
  }

  memory(): { weights: number; states: number; scratch: number } {
    return this.#inner.memory();
  }

  dispose(): Promise<void> {
    return this.#inner.dispose();
  }

  /** Inputs are copied at once, as they are into a GPU's buffers. */
  #submit(
    program: Program,
    inputs: Readonly<Record<string, InputData>>,
    live: LiveCounts,
    outputs: readonly number[],
  ): Promise<Float32Array[]> {
    const copies = Object.fromEntries(
      Object.entries(inputs).map(([name, data]) => [name, data.slice()]),
    );
    this.mostWaiting = Math.max(this.mostWaiting, ++this.#waiting);
    return this.#inTurn(async () => {
      try {
        await pause(2);
        return await program.submit(copies, live, outputs);
      } finally {
        this.#waiting--;
      }
    });
  }

  /** After all that is in the queue, whether it failed or not. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(run);
    this.#queue = result.catch(() => {});
    return result;
  }
}
