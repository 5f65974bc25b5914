// One WASM memory of at most 4 GiB, and a first-fit allocator over it. Knows nothing of what is kept there.

import { LARGE_PAGE, MAP_UNIT, type NativeMemory } from "#platform";
import { PAGE, type SizedMemory } from "./address-space.ts";
import { align } from "./header.ts";
import { HEAP } from "./kernels/header.ts";

/** A block that ends at this address or beyond asks the system for large pages (2 MiB). */
const LARGE = 32 * 2 ** 20;

export type Block = { readonly offset: number; readonly bytes: number };

/** How a block will be used. */
export type Use = {
  /** Bytes at its beginning that can be used at once. The others are only addresses and take no memory until `use`. Default: all. */
  readonly usable?: number;
  /** Whether the usable bytes must be zero. Default: true. */
  readonly zero?: boolean;
};

/** A block that is in use. */
type Taken = Block & {
  /** From this address to the block's end, memory has never been used and so is zero. */
  readonly touched: number;
};

export class Shard {
  readonly memory: WebAssembly.Memory;
  /** Bytes that the memory can grow to. */
  readonly limit: number;
  /** Sorted by offset. */
  readonly #blocks: Taken[] = [];
  /** From this address on, memory has never been used and so is zero. */
  #touched = HEAP;

  readonly #native: NativeMemory | undefined;

  /** @param inUse the memory was in use by another Shard: the caller then names the blocks in it by `claim` */
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
   * Makes bytes [from, to) of a block usable, and zero. Large pages (2 MiB) are asked for only when the usable part has grown
   * past another 2 MiB, and only up to `to`: otherwise the first byte written beyond would take 2 MiB of memory at once.
   */
  use(offset: number, from: number, to: number): void {
    if (Math.floor(from / LARGE_PAGE) < Math.floor(to / LARGE_PAGE))
      this.#native?.useLargePages(this.memory.buffer, ...inward(offset, offset + to));
    const block = this.#blocks.find((taken) => taken.offset === offset);
    this.#clear(offset + from, Math.min(offset + to, block?.touched ?? offset));
  }

  /** Counts the block at `offset`, with what it holds, as in use: one from before this object was made, or one just freed. */
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

  /** Bytes that no block has, of all that the memory can grow to. */
  get unused(): number {
    return this.limit - HEAP - this.#blocks.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  // Views must be made anew for each use: growing a memory replaces its buffer.
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

/** The whole pieces of MAP_UNIT bytes inside [from, to): pieces that neighbouring blocks share are left out. */
function inward(from: number, to: number): [from: number, to: number] {
  const begin = Math.ceil(from / MAP_UNIT) * MAP_UNIT;
  return [begin, Math.max(begin, Math.floor(to / MAP_UNIT) * MAP_UNIT)];
}

/** All pieces of MAP_UNIT bytes that [from, to) touches, so that no gap is left between neighbouring blocks. */
function outward(from: number, to: number): [from: number, to: number] {
  return [Math.floor(from / MAP_UNIT) * MAP_UNIT, Math.ceil(to / MAP_UNIT) * MAP_UNIT];
}
