// Where leaves lie: weights and states in shards (WASM memories of 4 GiB or less), whole regions of the model together; and the arena
// and the threads' scratch of each shard, which all programs share. Contract: a MemoryError leaves everything as it was.
// Knows no ops and no threads.

import {
  availableBytes,
  LARGE_PAGE,
  MAP_UNIT,
  type MemoryMaxima,
  type NativeMemory,
} from "#platform";
import { EngineError, MemoryError } from "../../errors.ts";
import { partBytes } from "../../formats/registry.ts";
import { type DType, elements, type Shape } from "../../graph/graph.ts";
import type { LeafSpec } from "../backend.ts";
import { fileSpans } from "./file-spans.ts";
import { align } from "./header.ts";
import { LINE_BYTES, LINES, SCRATCH, SUMS_32, WIDE } from "./kernels/header.ts";
import { AddressSpace, show, type SizedMemory } from "./address-space.ts";
import { assignRegions } from "./regions.ts";
import { Shard } from "./shard.ts";

/** Where a leaf lies: its shard, and the address of each of its parts. */
export type Place = { readonly shard: number; readonly parts: readonly number[] };

/** What lies where, as plain data: with the memories it is all that a new worker needs to go on. */
export type Directory = {
  readonly leaves: Record<string, { spec: LeafSpec; places: Place[] }>;
  /** The shard of each region. */
  readonly regions: Record<string, number>;
  /** Bytes that each shard's memory can grow to. */
  readonly limits: number[];
  /** Where files are mapped, and what is kept beside; leaves may lie in these blocks. */
  readonly mapped: { readonly shard: number; readonly offset: number; readonly bytes: number }[];
};

export type MemoryOptions = {
  readonly shared: boolean;
  readonly threads: number;
  /** Whether kernels use the tiles for 256-bit vectors. */
  readonly wide: boolean;
  /** Whether 8-bit products are summed in 32 bits. */
  readonly sums32?: boolean;
  /** Memories and directory of a backend whose worker died. */
  readonly memories?: readonly WebAssembly.Memory[];
  readonly directory?: Directory;
  /** Bytes that leaves and scratch may take; not given: what the system has available. */
  readonly memoryLimit?: number;
  /** Bytes of addresses that the memories may reserve. */
  readonly maxima: MemoryMaxima;
  /** Bytes of weights after which a new shard is begun, at most half of it: the rest is for states and scratch. */
  readonly shardBytes?: number;
  readonly native?: NativeMemory;
};

type Wanted = {
  readonly spec: LeafSpec;
  readonly bytes: number;
  readonly shards: readonly number[];
};

export class ShardedMemory {
  readonly shards: Shard[] = [];
  readonly directory: Directory;
  /** Counts the times that something moved: programs made before must be linked again. */
  epoch = 0;
  readonly #options: MemoryOptions;
  readonly #addresses: AddressSpace;
  readonly #arenas: { offset: number; bytes: number }[] = [];
  readonly #scratch: { offset: number; bytes: number }[] = [];
  readonly #lines: number[] = [];

  constructor(options: MemoryOptions) {
    this.#options = options;
    this.#addresses = new AddressSpace(options.maxima);
    this.directory = structuredClone(
      options.directory ?? { leaves: {}, regions: {}, limits: [], mapped: [] },
    );
    for (const [i, memory] of (options.memories ?? []).entries()) {
      const limit = this.directory.limits[i];
      this.#addresses.count(limit);
      this.#addShard({ memory, limit }, true);
    }
    for (const { shard, offset, bytes } of this.directory.mapped)
      this.shards[shard].claim(offset, bytes);
    for (const { spec, places } of Object.values(this.directory.leaves)) {
      for (const place of places) {
        if (this.isMapped(place)) continue;
        this.shards[place.shard].claim(place.parts[0], bytesOf(spec.dtype, spec.shape));
      }
    }
  }

  /** Reserves memory for leaves; see Backend.place. @throws MemoryError */
  place(specs: readonly LeafSpec[]): void {
    const regions = this.#assignRegions(specs);
    const wanted = specs
      .filter((spec) => !this.#isPlaced(spec))
      .map((spec): Wanted => {
        const shards = spec.regions.map((region) => regions.get(region) ?? 0);
        return {
          spec,
          bytes: bytesOf(spec.dtype, spec.shape),
          shards: [...new Set(shards.length > 0 ? shards : [0])],
        };
      });
    if (wanted.length === 0) return;
    this.#checkLimit(wanted);
    const mapped = this.#mapFiles(wanted);
    const placed = this.#allocateAll(wanted, mapped);
    for (const [region, shard] of regions) this.directory.regions[region] = shard;
    wanted.forEach(({ spec }, i) => this.#replace(spec, placed[i]));
    this.epoch++;
  }

  leaf(name: string): { spec: LeafSpec; places: readonly Place[] } {
    const leaf = this.directory.leaves[name];
    if (leaf === undefined)
      throw new EngineError(`leaf ${name} has not been placed in the backend's memory`);
    return leaf;
  }

  /** What is mapped stays until the memory goes. */
  release(name: string): void {
    for (const place of this.directory.leaves[name]?.places ?? []) {
      if (!this.isMapped(place)) this.shards[place.shard].free(place.parts[0]);
    }
    delete this.directory.leaves[name];
  }

  /** Whether a file is mapped where a leaf lies. */
  isMapped({ shard, parts }: Place): boolean {
    return this.directory.mapped.some(
      (block) =>
        block.shard === shard && parts[0] >= block.offset && parts[0] < block.offset + block.bytes,
    );
  }

  /** The bytes of each part of a leaf at one of its places. */
  views(spec: LeafSpec, { shard, parts }: Place): Uint8Array[] {
    return partsOf(spec.dtype, spec.shape).map((bytes, i) =>
      this.shards[shard].bytes(parts[i], bytes),
    );
  }

  /** The address from which a program may use `bytes` of a shard while it runs; grows to the largest that was asked for. */
  arena(shard: number, bytes: number): number {
    this.#need(shard);
    this.#arenas[shard] = this.#grown(shard, "scratch", this.#arenas[shard], bytes);
    return this.#arenas[shard].offset;
  }

  /** Makes sure that each thread has `bytes` of its own in a shard. */
  threadScratch(shard: number, bytes: number): void {
    this.#need(shard);
    const { threads } = this.#options;
    const all = this.#grown(shard, "the threads' scratch", this.#scratch[shard], bytes * threads);
    this.#scratch[shard] = all;
    this.shards[shard]
      .words(SCRATCH, 2)
      .set([all.offset, Math.floor(all.bytes / threads / 64) * 64]);
  }

  /** Makes sure that a shard has claim lines for that many ops. Old ones are never used for anything else: see executor.ts. */
  claimLines(shard: number, ops: number): void {
    this.#need(shard);
    if (ops <= (this.#lines[shard] ?? 0)) return;
    const lines = Math.max(ops, 2 * (this.#lines[shard] ?? 256));
    const offset = this.allocate(shard, lines * LINE_BYTES, "the claim lines");
    this.shards[shard].words(offset, (lines * LINE_BYTES) / 4).fill(-1);
    this.shards[shard].words(LINES, 2).set([offset, 0]);
    this.#lines[shard] = lines;
  }

  /** Memory for a program in a shard. @throws MemoryError */
  allocate(shard: number, bytes: number, what: string): number {
    this.#need(shard);
    const offset = this.shards[shard].allocate(bytes);
    if (offset !== undefined) return offset;
    const { unused, limit } = this.shards[shard];
    const why =
      unused < bytes
        ? `it has ${show(unused)} of ${show(limit)} left`
        : `the system gives no piece of that size, though ${show(unused)} of ${show(limit)} addresses are free`;
    throw new MemoryError(
      `${what} needs ${show(bytes)} in memory ${shard}, but ${why}; ` +
        "use a smaller batch, a shorter max_length or fewer pages, or close other programs",
    );
  }

  usage(): { weights: number; states: number; scratch: number } {
    const leaves = Object.values(this.directory.leaves);
    const sum = (kind: string): number =>
      leaves
        .filter(({ spec }) => spec.kind === kind)
        .reduce((n, { spec, places }) => n + places.length * bytesOf(spec.dtype, spec.shape), 0);
    const scratch = [...this.#arenas, ...this.#scratch].reduce(
      (n, block) => n + (block?.bytes ?? 0),
      0,
    );
    return { weights: sum("weight"), states: sum("state"), scratch };
  }

  #isPlaced(spec: LeafSpec): boolean {
    const known = this.directory.leaves[spec.name]?.spec;
    return (
      known !== undefined &&
      known.dtype === spec.dtype &&
      String(known.shape) === String(spec.shape)
    );
  }

  #assignRegions(specs: readonly LeafSpec[]): Map<string, number> {
    const sizes = new Map<string, number>();
    for (const { kind, regions, dtype, shape } of specs) {
      for (const name of regions)
        sizes.set(name, (sizes.get(name) ?? 0) + (kind === "weight" ? bytesOf(dtype, shape) : 0));
    }
    this.#need(0);
    return assignRegions(sizes, {
      known: this.directory.regions,
      shards: this.shards,
      weightsIn: (shard) =>
        Object.values(this.directory.leaves)
          .filter(
            ({ spec, places }) => spec.kind === "weight" && places.some((at) => at.shard === shard),
          )
          .reduce((sum, { spec }) => sum + bytesOf(spec.dtype, spec.shape), 0),
      shardBytes: this.#options.shardBytes,
      reach: (shard) => this.#reach(shard),
    });
  }

  #checkLimit(wanted: readonly Wanted[]): void {
    const sum = (kind: string): number =>
      wanted
        .filter(({ spec }) => spec.kind === kind)
        .reduce((n, w) => n + w.bytes * w.shards.length, 0);
    const [weights, states] = [sum("weight"), sum("state")];
    const need = `placing ${wanted.length} tensors needs ${show(weights + states)} (weights ${show(weights)}, states ${show(states)})`;
    this.#checkFree(weights + states, need);
    this.#addresses.check(weights + states, need, this.shards);
  }

  /** @throws MemoryError less than `bytes` may still be taken; `need` says what for */
  #checkFree(bytes: number, need: string): void {
    const { memoryLimit } = this.#options;
    const used = this.usage();
    const taken = used.weights + used.states + used.scratch;
    const free = memoryLimit === undefined ? availableBytes() : memoryLimit - taken;
    if (bytes <= free) return;
    const limit =
      memoryLimit === undefined
        ? `${show(free)} are available on this machine`
        : `the limit of ${show(memoryLimit)} less ${show(taken)} in use leaves ${show(Math.max(0, free))}`;
    throw new MemoryError(
      `${need}, but ${limit}; use a smaller dtype, a shorter max_length or a smaller batch`,
    );
  }

  /** Maps the files of leaves that may be; where the system refuses, or has no room, they are placed like others. */
  #mapFiles(wanted: readonly Wanted[]): Map<string, Place> {
    const { native } = this.#options;
    const places = new Map<string, Place>();
    for (const { shard, path, from, bytes, leaves } of native ? fileSpans(wanted) : []) {
      this.#need(shard);
      const begin = from - (from % MAP_UNIT);
      const length = Math.ceil((from + bytes - begin) / MAP_UNIT) * MAP_UNIT;
      const block = this.shards[shard].allocate(length + LARGE_PAGE);
      if (native === undefined || block === undefined) continue;
      const { buffer } = this.shards[shard].memory;
      const phase = begin - native.largePagePhase(buffer); // large pages of the file fall on large pages of the memory
      const offset = Math.ceil((block - phase) / LARGE_PAGE) * LARGE_PAGE + phase;
      if (!native.mapFile(buffer, offset, path, begin, length)) {
        this.shards[shard].free(block);
        continue;
      }
      this.directory.mapped.push({ shard, offset: block, bytes: length + LARGE_PAGE });
      for (const { name, file } of leaves) {
        const parts = file?.parts.map((part) =>
          "known" in part ? this.#keep(shard, part.known) : offset + part.offset - begin,
        );
        places.set(name, { shard, parts: parts ?? [] });
      }
    }
    return places;
  }

  /** Bytes that stay beside what is mapped. @throws MemoryError */
  #keep(shard: number, bytes: Uint8Array): number {
    const offset = this.allocate(shard, bytes.length, "a table of scales");
    this.directory.mapped.push({ shard, offset, bytes: bytes.length });
    this.shards[shard].bytes(offset, bytes.length).set(bytes);
    return offset;
  }

  /** All or nothing. */
  #allocateAll(wanted: readonly Wanted[], mapped: ReadonlyMap<string, Place>): Place[][] {
    const done: Place[] = [];
    try {
      return wanted.map(({ spec, bytes, shards }) =>
        shards.map((shard) => {
          const there = mapped.get(spec.name);
          if (there !== undefined) return there;
          const offset = this.allocate(shard, bytes, `${spec.kind} ${spec.name}`);
          const place = { shard, parts: addressesOf(spec, offset) };
          done.push(place);
          return place;
        }),
      );
    } catch (error) {
      for (const { shard, parts } of done) this.shards[shard].free(parts[0]);
      throw error;
    }
  }

  /** Puts a leaf at its new places; what an old one held moves over, as far as it fits. */
  #replace(spec: LeafSpec, places: Place[]): void {
    const old = this.directory.leaves[spec.name];
    if (old !== undefined) {
      const from = this.views(old.spec, old.places[0]);
      for (const place of places) {
        this.views(spec, place).forEach((to, i) => {
          to.set(from[i].subarray(0, Math.min(from[i].length, to.length)));
        });
      }
      this.release(spec.name);
    }
    this.directory.leaves[spec.name] = { spec, places };
  }

  #grown(
    shard: number,
    what: string,
    block: { offset: number; bytes: number } | undefined,
    bytes: number,
  ): { offset: number; bytes: number } {
    if (block !== undefined && block.bytes >= bytes) return block;
    this.#checkFree(bytes - (block?.bytes ?? 0), `${what} of a program needs ${show(bytes)}`);
    const offset = this.allocate(shard, bytes, what);
    if (block !== undefined) this.shards[shard].free(block.offset);
    this.epoch++;
    return { offset, bytes };
  }

  /** @throws MemoryError there are no addresses for such a shard */
  #need(shard: number): void {
    if (!this.#reach(shard)) throw this.#addresses.refusal();
  }

  /** Makes shards up to that one. @returns whether it is there */
  #reach(shard: number): boolean {
    while (this.shards.length <= shard) {
      const made = this.#addresses.another(this.#options.shared);
      if (made === undefined) return false;
      this.directory.limits.push(made.limit);
      this.#addShard(made, false);
    }
    return true;
  }

  #addShard(memory: SizedMemory, inUse: boolean): void {
    const shard = new Shard(memory, inUse, this.#options.native);
    shard.words(WIDE, 1)[0] = this.#options.wide ? 1 : 0;
    shard.words(SUMS_32, 1)[0] = this.#options.sums32 ? 1 : 0;
    this.shards.push(shard);
  }
}

/** Bytes of each part of a tensor. */
function partsOf(dtype: DType, shape: Shape): readonly number[] {
  if (dtype === "i32") return [elements(shape) * 4];
  return partBytes(dtype, shape);
}

/** Bytes that a tensor takes: its parts one after the other, each at a multiple of 64. */
export function bytesOf(dtype: DType, shape: Shape): number {
  const parts = partsOf(dtype, shape);
  return parts.slice(0, -1).reduce((sum, bytes) => sum + align(bytes), 0) + (parts.at(-1) ?? 0);
}

function addressesOf({ dtype, shape }: LeafSpec, offset: number): number[] {
  let end = offset;
  return partsOf(dtype, shape).map((bytes) => {
    const begin = end;
    end += align(bytes);
    return begin;
  });
}
