// The memory that programs need in each shard while they run: an arena for computed tensors, scratch for each thread, and the
// claim lines, through which threads share out work. All programs use the same memory, since only one runs at a time. Arena and
// scratch grow by being allocated anew, without a copy: nothing in them is needed after a run. Knows no leaves and no ops.

import { showBytes } from "../../show-bytes.ts";
import { LINE_BYTES, LINES, SCRATCH } from "./kernels/header.ts";
import type { Block, Shard, Use } from "./shard.ts";

/** The memory that scratch is taken from. */
export type ScratchHost = {
  /** The shard with that number, which is made if need be. */
  shard(index: number): Shard;
  /**
   * @param what what the memory is for, as the error says it
   * @param replaced a block that is freed first; it stays if there is no room for the new one
   * @throws MemoryError
   */
  allocate(shard: number, bytes: number, what: string, use?: Use, replaced?: Block): number;
  /** @throws MemoryError `more` bytes may not be taken; `need` says what for */
  checkFree(more: number, need: string): void;
  /** Says that something has moved: programs must be linked again. */
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

  /** The arena of a shard, made larger if it has fewer than `bytes`. @returns its address */
  arena(shard: number, bytes: number): number {
    this.#arenas[shard] = this.#grown(shard, "scratch", this.#arenas[shard], bytes);
    return this.#arenas[shard].offset;
  }

  /** Makes sure that each thread has `bytes` of scratch of its own in a shard. */
  threads(shard: number, bytes: number): void {
    const what = "the threads' scratch";
    const all = this.#grown(shard, what, this.#threads[shard], bytes * this.#team);
    this.#threads[shard] = all;
    const each = Math.floor(all.bytes / this.#team / 64) * 64;
    this.#host.shard(shard).words(SCRATCH, 2).set([all.offset, each]);
  }

  /**
   * Makes sure that a shard has a claim line for each of `ops` ops. Lines that are replaced are never freed: a thread that the
   * system wakes late still looks at its old one, see kernels/executor.ts.
   */
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
