// One WASM memory of at most 4 GiB, and a first-fit allocator over it. Knows nothing of what is kept there.

import { LARGE_PAGE, MAP_UNIT, type NativeMemory } from "#platform";
import { PAGE, type SizedMemory } from "./address-space.ts";
import { align } from "./header.ts";
import { HEAP } from "./kernels/header.ts";

/** From here on, large pages are asked for. */
const LARGE = 32 * 2 ** 20;

export type Block = { readonly offset: number; readonly bytes: number };

/** How a block will be used. */
export type Use = {
  /** Bytes at its beginning that will be used; the others are addresses, which take no memory until `use`. Default: all. */
  readonly usable?: number;
  /** Whether what is usable must be zero. Default true. */
  readonly zero?: boolean;
};

/** What is taken. */
type Taken = Block & {
  /** From here on, memory has never been used: it is zero. */
  readonly touched: number;
};

export class Shard {
  readonly memory: WebAssembly.Memory;
  /** Bytes that the memory can grow to. */
  readonly limit: number;
  /** By offset. */
  readonly #blocks: Taken[] = [];
  /** Beyond it, memory has never been used: it is zero. */
  #touched = HEAP;

  readonly #native: NativeMemory | undefined;

  /** @param inUse the memory has been used already: what is kept there is then claimed by `claim` */
  constructor({ memory, limit }: SizedMemory, inUse: boolean, native?: NativeMemory) {
    this.#native = native;
    this.memory = memory;
    this.limit = limit;
    if (inUse) this.#touched = memory.buffer.byteLength;
  }

  /** Offset of `bytes` at a multiple of 64, or undefined when they do not fit or the system gives no more memory. */
  allocate(bytes: number, { usable = bytes, zero = true }: Use = {}): number | undefined {
    const size = align(Math.max(bytes, 1));
    let offset = HEAP;
    let at = 0;
    for (; at < this.#blocks.length; at++) {
      const { offset: next, bytes: length } = this.#blocks[at];
      if (next - offset >= size) break;
      offset = next + length;
    }
    if (!this.#reach(offset + size)) return undefined;
    const touched = Math.min(offset + size, this.#touched);
    this.#blocks.splice(at, 0, { offset, bytes: size, touched });
    this.#touched = Math.max(this.#touched, offset + size);
    if (usable < bytes) {
      this.#native?.useSmallPages(this.memory.buffer, ...inward(offset, offset + size));
      this.use(offset, 0, usable);
      return offset;
    }
    const [from, to] = outward(offset, offset + size);
    if (to >= LARGE) this.#native?.useLargePages(this.memory.buffer, from, to);
    if (zero) this.#clear(offset, touched);
    return offset;
  }

  /**
   * Makes bytes [from, to) of a block usable: they are zero. Where a block is only partly usable, large pages are asked for when
   * another 2 MiB of it can be used, and up to there only: else the first byte written would take 2 MiB at once.
   */
  use(offset: number, from: number, to: number): void {
    if (Math.floor(from / LARGE_PAGE) < Math.floor(to / LARGE_PAGE))
      this.#native?.useLargePages(this.memory.buffer, ...inward(offset, offset + to));
    const block = this.#blocks.find((taken) => taken.offset === offset);
    this.#clear(offset + from, Math.min(offset + to, block?.touched ?? offset));
  }

  /** Takes what is kept at `offset` since before this object was made. */
  claim(offset: number, bytes: number): void {
    const size = align(Math.max(bytes, 1));
    this.#blocks.push({ offset, bytes: size, touched: offset + size });
    this.#blocks.sort((a, b) => a.offset - b.offset);
  }

  free(offset: number): void {
    const at = this.#blocks.findIndex((block) => block.offset === offset);
    if (at >= 0) this.#blocks.splice(at, 1);
  }

  /** Where the last block ends. */
  get end(): number {
    const last = this.#blocks.at(-1);
    return last === undefined ? HEAP : last.offset + last.bytes;
  }

  /** Bytes that are not taken, of all that the memory can hold. */
  get unused(): number {
    return this.limit - HEAP - this.#blocks.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Views are made when they are needed: growing replaces the buffer. */
  bytes(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, offset, length);
  }

  words(offset: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, offset, length);
  }

  floats(offset: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, offset, length);
  }

  #clear(from: number, to: number): void {
    if (to > from) this.bytes(from, to - from).fill(0);
  }

  #reach(end: number): boolean {
    const { byteLength } = this.memory.buffer;
    const missing = end - byteLength;
    if (missing <= 0) return true;
    if (end > this.limit) return false;
    try {
      this.memory.grow(Math.ceil(missing / PAGE));
      return true;
    } catch {
      return false; // the system gives no more; the caller says so with the arithmetic
    }
  }
}

/** [from, to) without what belongs to others in a first or last piece of MAP_UNIT bytes. */
function inward(from: number, to: number): [from: number, to: number] {
  const begin = Math.ceil(from / MAP_UNIT) * MAP_UNIT;
  return [begin, Math.max(begin, Math.floor(to / MAP_UNIT) * MAP_UNIT)];
}

/** [from, to) with the whole of the first and last piece of MAP_UNIT bytes, so that neighbours leave no gap. */
function outward(from: number, to: number): [from: number, to: number] {
  return [Math.floor(from / MAP_UNIT) * MAP_UNIT, Math.ceil(to / MAP_UNIT) * MAP_UNIT];
}
