// One WASM memory of at most 4 GiB, and a first-fit allocator over it. Knows nothing of what is kept there.

import type { NativeMemory } from "#platform";
import { PAGE, type SizedMemory } from "./address-space.ts";
import { align } from "./header.ts";
import { HEAP } from "./kernels/header.ts";

/** From here on, large pages are asked for. */
const LARGE = 32 * 2 ** 20;

type Block = { offset: number; bytes: number };

export class Shard {
  readonly memory: WebAssembly.Memory;
  /** Bytes that the memory can grow to. */
  readonly limit: number;
  /** What is taken, by offset. */
  readonly #blocks: Block[] = [];
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

  /** Offset of `bytes` zeros at a multiple of 64, or undefined when they do not fit or the system gives no more memory. */
  allocate(bytes: number): number | undefined {
    const size = align(Math.max(bytes, 1));
    let offset = HEAP;
    let at = 0;
    for (; at < this.#blocks.length; at++) {
      const { offset: next, bytes: length } = this.#blocks[at];
      if (next - offset >= size) break;
      offset = next + length;
    }
    if (!this.#reach(offset + size)) return undefined;
    this.#blocks.splice(at, 0, { offset, bytes: size });
    const used = Math.min(offset + size, this.#touched) - offset;
    if (used > 0) this.bytes(offset, used).fill(0);
    this.#touched = Math.max(this.#touched, offset + size);
    return offset;
  }

  /** Takes what is kept at `offset` since before this object was made. */
  claim(offset: number, bytes: number): void {
    this.#blocks.push({ offset, bytes: align(Math.max(bytes, 1)) });
    this.#blocks.sort((a, b) => a.offset - b.offset);
  }

  free(offset: number): void {
    const at = this.#blocks.findIndex((block) => block.offset === offset);
    if (at >= 0) this.#blocks.splice(at, 1);
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

  #reach(end: number): boolean {
    const { byteLength } = this.memory.buffer;
    const missing = end - byteLength;
    if (missing <= 0) return true;
    if (end > this.limit) return false;
    try {
      this.memory.grow(Math.ceil(missing / PAGE));
      if (end >= LARGE) this.#native?.useLargePages(this.memory.buffer, byteLength);
      return true;
    } catch {
      return false; // the system gives no more; the caller says so with the arithmetic
    }
  }
}
