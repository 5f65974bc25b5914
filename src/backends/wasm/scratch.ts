// What programs need while they run, in each shard: the arena of computed tensors, the threads' own scratch, and the claim lines.
// All programs share them, since one runs at a time. Nothing in the first two outlives a run, so they grow by moving.
// Knows no leaves and no ops.

import { showBytes } from "./budget.ts";
import { LINE_BYTES, LINES, SCRATCH } from "./kernels/header.ts";
import type { Block, Shard, Use } from "./shard.ts";

/** The memory that scratch is taken from. */
export type ScratchHost = {
  /** The shard of that number, which is made when it is the next one. */
  shard(index: number): Shard;
  /**
   * @param what for the error
   * @param replaced a block that is given up for it; it stays when there is no room
   * @throws MemoryError
   */
  allocate(shard: number, bytes: number, what: string, use?: Use, replaced?: Block): number;
  /** @throws MemoryError `more` bytes may not be taken; `need` says what for */
  checkFree(more: number, need: string): void;
  /** Programs must be linked again. */
  moved(): void;
};

export class Scratch {
  readonly #host: ScratchHost;
  readonly #team: number;
  readonly #arenas: Block[] = [];
  readonly #threads: Block[] = [];
  readonly #lines: number[] = [];

  /** @param team how many threads there are */
  constructor(host: ScratchHost, team: number) {
    this.#host = host;
    this.#team = team;
  }

  /** Bytes in use; the claim lines are not counted. */
  get bytes(): number {
    return [...this.#arenas, ...this.#threads].reduce((n, block) => n + (block?.bytes ?? 0), 0);
  }

  /** The address from which a program may use `bytes` of a shard while it runs; grows to the largest that was asked for. */
  arena(shard: number, bytes: number): number {
    this.#arenas[shard] = this.#grown(shard, "scratch", this.#arenas[shard], bytes);
    return this.#arenas[shard].offset;
  }

  /** Makes sure that each thread has `bytes` of its own in a shard. */
  threads(shard: number, bytes: number): void {
    const what = "the threads' scratch";
    const all = this.#grown(shard, what, this.#threads[shard], bytes * this.#team);
    this.#threads[shard] = all;
    const each = Math.floor(all.bytes / this.#team / 64) * 64;
    this.#host.shard(shard).words(SCRATCH, 2).set([all.offset, each]);
  }

  /** Makes sure that a shard has claim lines for that many ops. Old ones are never used for anything else: see executor.ts. */
  claimLines(shard: number, ops: number): void {
    if (ops <= (this.#lines[shard] ?? 0)) return;
    const lines = Math.max(ops, 2 * (this.#lines[shard] ?? 256));
    const offset = this.#host.allocate(shard, lines * LINE_BYTES, "the claim lines");
    const memory = this.#host.shard(shard);
    memory.words(offset, (lines * LINE_BYTES) / 4).fill(-1);
    memory.words(LINES, 2).set([offset, 0]);
    this.#lines[shard] = lines;
  }

  #grown(shard: number, what: string, block: Block | undefined, bytes: number): Block {
    if (block !== undefined && block.bytes >= bytes) return block;
    const more = bytes - (block?.bytes ?? 0);
    this.#host.checkFree(more, `${what} of a program needs ${showBytes(bytes)}`);
    const offset = this.#host.allocate(shard, bytes, what, { zero: false }, block);
    this.#host.moved();
    return { offset, bytes };
  }
}
