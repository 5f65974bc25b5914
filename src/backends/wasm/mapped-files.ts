// Maps files into shards instead of reading them: the system then loads what is touched, and may drop it again.
// Mapping is optional: where the system refuses it, or there is no room, a leaf is placed like any other. Knows no programs.

import { LARGE_PAGE, MAP_UNIT, type NativeMemory } from "#platform";
import { type FileSpan, fileSpans, type Wanted } from "./file-spans.ts";
import type { Shard } from "./shard.ts";

/** Where a leaf lies: its shard, and the address of each of its parts. */
export type Place = { readonly shard: number; readonly parts: readonly number[] };

/** A block of a shard that holds a mapped piece of a file, or a part of a leaf that the file lacks. */
export type MappedBlock = {
  readonly shard: number;
  readonly offset: number;
  readonly bytes: number;
};

/** The memory that blocks are taken from. */
export type MappingHost = {
  /** The shard with that number, which is made if need be. */
  shard(index: number): Shard;
  /** @throws MemoryError */
  allocate(shard: number, bytes: number, what: string): number;
};

export class MappedFiles {
  readonly #host: MappingHost;
  readonly #native: NativeMemory | undefined;
  readonly #blocks: MappedBlock[];

  /** @param blocks the directory's list, which this object keeps up to date */
  constructor(host: MappingHost, native: NativeMemory | undefined, blocks: MappedBlock[]) {
    this.#host = host;
    this.#native = native;
    this.#blocks = blocks;
  }

  /** Whether a leaf at that place lies in a mapped block. */
  has({ shard, parts }: Place): boolean {
    return this.#blocks.some(
      (block) =>
        block.shard === shard && parts[0] >= block.offset && parts[0] < block.offset + block.bytes,
    );
  }

  /** How many blocks there are: for `undo`. */
  get count(): number {
    return this.#blocks.length;
  }

  /** Maps files where that is worth it. @returns the places of the leaves in them, by name. @throws MemoryError: call `undo` */
  map(wanted: readonly Wanted[]): Map<string, Place> {
    const native = this.#native;
    const places = new Map<string, Place>();
    if (native === undefined) return places;
    for (const span of fileSpans(wanted)) {
      const begin = this.#mapSpan(native, span);
      if (begin === undefined) continue;
      for (const { name, file } of span.leaves) {
        const parts = file?.parts.map((part) =>
          "known" in part ? this.#keep(span.shard, part.known) : begin + part.offset - span.from,
        );
        places.set(name, { shard: span.shard, parts: parts ?? [] });
      }
    }
    return places;
  }

  /** Frees all blocks but the first `count`, and unmaps what was mapped in them. */
  undo(count: number): void {
    for (const { shard, offset, bytes } of this.#blocks.splice(count)) {
      const memory = this.#host.shard(shard);
      const begin = Math.ceil(offset / MAP_UNIT) * MAP_UNIT;
      const end = Math.floor((offset + bytes) / MAP_UNIT) * MAP_UNIT;
      if (end > begin) this.#native?.unmap(memory.memory.buffer, begin, end - begin);
      memory.free(offset);
    }
  }

  /** The address of a span's first byte, or undefined where it cannot be mapped. */
  #mapSpan(native: NativeMemory, { shard, path, from, bytes }: FileSpan): number | undefined {
    const memory = this.#host.shard(shard);
    const begin = from - (from % MAP_UNIT);
    const length = Math.ceil((from + bytes - begin) / MAP_UNIT) * MAP_UNIT;
    const block = memory.allocate(length + LARGE_PAGE, { zero: false });
    if (block === undefined) return undefined;
    const { buffer } = memory.memory;
    const phase = begin - native.largePagePhase(buffer); // large pages of the file fall on large pages of the memory
    const offset = Math.ceil((block - phase) / LARGE_PAGE) * LARGE_PAGE + phase;
    if (!native.mapFile(buffer, offset, path, begin, length)) {
      memory.free(block);
      return undefined;
    }
    this.#blocks.push({ shard, offset: block, bytes: length + LARGE_PAGE });
    return offset + from - begin;
  }

  /** Puts a part that the file lacks into a block of its own. @returns its address. @throws MemoryError */
  #keep(shard: number, bytes: Uint8Array): number {
    const offset = this.#host.allocate(shard, bytes.length, "a table of scales");
    this.#blocks.push({ shard, offset, bytes: bytes.length });
    this.#host.shard(shard).bytes(offset, bytes.length).set(bytes);
    return offset;
  }
}
