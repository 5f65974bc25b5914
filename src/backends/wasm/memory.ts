// Places leaves (weights and states) in shards, which are WASM memories of at most 4 GiB. All leaves of a region of the model lie
// in one shard. A state that will grow reserves addresses, not memory.
// Contract: after a MemoryError everything is as it was before. Knows no ops and no threads.

import type { MemoryMaxima, NativeMemory } from "#platform";
import { EngineError, MemoryError } from "../../errors.ts";
import type { LeafSpec, Room } from "../backend.ts";
import { AddressSpace, type SizedMemory } from "./address-space.ts";
import { showBytes } from "../../show-bytes.ts";
import { Budget } from "./budget.ts";
import type { Wanted } from "./file-spans.ts";
import { BASE, NATIVE, SUMS_32, WIDE } from "./kernels/header.ts";
import {
  addressesOf,
  bytesOf,
  partsOf,
  reservedBytes,
  rowBytes,
  spareBytes,
  withRows,
} from "./leaf-bytes.ts";
import { type MappedBlock, MappedFiles, type Place } from "./mapped-files.ts";
import { assignRegions } from "./regions.ts";
import { Scratch } from "./scratch.ts";
import { type Block, Shard, type Use } from "./shard.ts";

/** What lies where, as plain data. A worker that takes over needs only this and the memories. */
export type Directory = {
  readonly leaves: Record<string, { spec: LeafSpec; places: Place[] }>;
  /** The shard of each region. */
  readonly regions: Record<string, number>;
  /** Bytes that the memory of each shard can grow to. */
  readonly limits: number[];
  /** The blocks in which files are mapped, and those of parts that the files lack. */
  readonly mapped: MappedBlock[];
};

export type MemoryOptions = {
  readonly shared: boolean;
  readonly threads: number;
  /** Whether kernels use the tiles for 256-bit vectors. */
  readonly wide: boolean;
  /** Whether 8-bit products are summed in 32 bits, see sums-probe.ts. */
  readonly sums32?: boolean;
  /** The families of kernels that machine code computes (bits of NATIVE), and how to find a memory's address for it. */
  readonly machineCode?: { readonly families: number; addressOf(buffer: ArrayBufferLike): number };
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

// When states reserve addresses of a shard, they leave some to the scratch of programs: the bytes of the computed tensors of a
// usual step, plus the share PACKED_ROWS of that for rows that are packed for products, plus PROGRAMS bytes for programs and for
// the threads' own scratch. If a step needs more, the states give back what they have reserved and do not use.
const PACKED_ROWS = 0.25;
const PROGRAMS = 64 * 2 ** 20;

/** The largest share of all memory that states leave to the scratch of programs. */
const SCRATCH_SHARE = 1 / 8;

export class ShardedMemory {
  readonly shards: Shard[] = [];
  readonly directory: Directory;
  readonly scratch: Scratch;
  /** Goes up by one whenever something moves: programs that were linked before must be linked again. */
  epoch = 0;
  readonly #options: MemoryOptions;
  readonly #budget: Budget;
  readonly #addresses: AddressSpace;
  readonly #files: MappedFiles;

  constructor(options: MemoryOptions) {
    this.#options = options;
    this.directory = structuredClone(
      options.directory ?? { leaves: {}, regions: {}, limits: [], mapped: [] },
    );
    this.#budget = new Budget(options.memoryLimit, () => {
      const { weights, states, scratch } = this.usage();
      return weights + states + scratch;
    });
    this.#addresses = new AddressSpace(options.maxima, this.directory.limits);
    this.scratch = new Scratch(
      {
        shard: (index) => this.shard(index),
        allocate: (...block) => this.allocate(...block),
        checkFree: (more, need) => this.#budget.check(more, need),
        moved: () => void this.epoch++,
      },
      options.threads,
    );
    this.#files = new MappedFiles(this, options.native, this.directory.mapped);
    for (const [i, memory] of (options.memories ?? []).entries())
      this.#addShard({ memory, limit: this.directory.limits[i] }, true);
    for (const { shard, offset, bytes } of this.directory.mapped)
      this.shards[shard].claim(offset, bytes);
    for (const { spec, places } of Object.values(this.directory.leaves)) {
      for (const place of places) {
        if (this.isMapped(place)) continue;
        this.shards[place.shard].claim(place.parts[0], reservedBytes(spec));
      }
    }
  }

  /** Takes memory for leaves; see Backend.place. @throws MemoryError */
  place(specs: readonly LeafSpec[]): void {
    const regions = this.#assignRegions(specs);
    const wanted = specs
      .filter((spec) => !this.#isPlaced(spec))
      .map((spec): Wanted => {
        const shards = shardsOf(spec, regions);
        return { spec, bytes: bytesOf(spec.dtype, spec.shape), shards };
      });
    if (wanted.length === 0) return;
    this.#checkLimit(wanted);
    const mappedBefore = this.#files.count;
    let placed: Place[][];
    try {
      placed = this.#allocateAll(wanted, this.#files.map(wanted));
    } catch (error) {
      this.#files.undo(mappedBefore);
      throw error;
    }
    for (const [region, shard] of regions) this.directory.regions[region] = shard;
    wanted.forEach(({ spec }, i) => this.#replace(spec, placed[i]));
    this.epoch++;
  }

  /** Makes rows of states usable; see Backend.grow. @throws MemoryError */
  grow(names: readonly string[], rows: number): void {
    const growing = names
      .map((name) => this.leaf(name))
      .filter(({ spec }) => spec.shape[0] < rows)
      .map(({ spec, places }) => ({ old: spec, spec: withRows(spec, rows), places }));
    const more = growing.reduce(
      (sum, { old, spec, places }) =>
        sum + places.length * (bytesOf(spec.dtype, spec.shape) - bytesOf(old.dtype, old.shape)),
      0,
    );
    this.#budget.check(
      more,
      `growing ${names.length} states to ${rows} rows needs ${showBytes(more)} more`,
    );
    if (growing.some(({ old }) => rows > (old.reserve ?? 0)))
      return this.place(growing.map(({ spec }) => ({ ...spec, reserve: rows })));
    for (const { old, spec, places } of growing) {
      const [from, to] = [old, spec].map(({ dtype, shape }) => bytesOf(dtype, shape));
      for (const { shard, parts } of places) this.shards[shard].use(parts[0], from, to);
      this.directory.leaves[spec.name] = { spec, places: [...places] };
    }
  }

  /** How many rows states could have; see Backend.room. */
  room(states: readonly LeafSpec[], scratch: number): Room {
    const placed = states.map(({ name }) => this.directory.leaves[name]?.spec);
    const least = (rows: (spec: LeafSpec) => number): number =>
      Math.min(...placed.map((spec) => (spec === undefined ? 0 : rows(spec))));
    const usable = least(({ shape }) => shape[0]);
    const bytes = states.reduce((sum, spec) => sum + rowBytes(spec), 0);
    let reserve = least((spec) => spec.reserve ?? spec.shape[0]);
    if (reserve === usable) {
      const most = usable + Math.floor(this.#budget.most / bytes);
      reserve = Math.max(reserve, Math.min(most, this.#rowsThatFit(states, scratch)));
    }
    // Part of the free memory is kept for the scratch that later steps will take.
    const kept = Math.min(scratch, this.#budget.total * SCRATCH_SHARE) - this.scratch.bytes;
    const free = Math.max(0, this.#budget.free - Math.max(0, kept));
    return { reserve, now: Math.min(reserve, usable + Math.floor(free / bytes)) };
  }

  leaf(name: string): { spec: LeafSpec; places: readonly Place[] } {
    const leaf = this.directory.leaves[name];
    if (leaf === undefined)
      throw new EngineError(`leaf ${name} has not been placed in the backend's memory`);
    return leaf;
  }

  /** Frees a leaf; a name that is not placed is ignored. A mapped file stays mapped as long as the memory exists. */
  release(name: string): void {
    for (const place of this.directory.leaves[name]?.places ?? []) {
      if (!this.isMapped(place)) this.shards[place.shard].free(place.parts[0]);
    }
    delete this.directory.leaves[name];
  }

  /** Whether the leaf at that place lies in a mapped file. */
  isMapped(place: Place): boolean {
    return this.#files.has(place);
  }

  /** The bytes of each part of a leaf at one of its places. */
  views(spec: LeafSpec, { shard, parts }: Place): Uint8Array[] {
    return partsOf(spec.dtype, spec.shape).map((bytes, i) =>
      this.shards[shard].bytes(parts[i], bytes),
    );
  }

  /** The shard with that number; shards up to it are made if need be. @throws MemoryError there are no addresses for it */
  shard(index: number): Shard {
    if (!this.#reach(index)) throw this.#addresses.refusal();
    return this.shards[index];
  }

  /**
   * Takes memory in a shard. If no addresses are left, the states give back those that they have reserved and do not use.
   * @param replaced a block that is freed first; it stays if there is no room for the new one
   * @throws MemoryError
   */
  allocate(shard: number, bytes: number, what: string, use: Use = {}, replaced?: Block): number {
    const memory = this.shard(shard);
    const attempt = (): number | undefined => {
      if (replaced !== undefined) memory.free(replaced.offset);
      const offset = memory.allocate(bytes, use);
      if (offset === undefined && replaced !== undefined)
        memory.claim(replaced.offset, replaced.bytes);
      return offset;
    };
    const offset = attempt() ?? (this.#giveBackReserves(shard, bytes) ? attempt() : undefined);
    if (offset !== undefined) return offset;
    const { unused, limit } = memory;
    const why =
      unused < bytes
        ? `it has ${showBytes(unused)} of ${showBytes(limit)} left`
        : `the system gives no piece of that size, though ${showBytes(unused)} of ${showBytes(limit)} addresses are free`;
    throw new MemoryError(
      `${what} needs ${showBytes(bytes)} in memory ${shard}, but ${why}; ` +
        "use a smaller batch, a shorter max_length or fewer pages, or close other programs",
    );
  }

  /** Bytes in use, without what is only reserved. */
  usage(): { weights: number; states: number; scratch: number } {
    const leaves = Object.values(this.directory.leaves);
    const sum = (kind: string): number =>
      leaves
        .filter(({ spec }) => spec.kind === kind)
        .reduce((n, { spec, places }) => n + places.length * bytesOf(spec.dtype, spec.shape), 0);
    return { weights: sum("weight"), states: sum("state"), scratch: this.scratch.bytes };
  }

  #isPlaced(spec: LeafSpec): boolean {
    const known = this.directory.leaves[spec.name]?.spec;
    return (
      known !== undefined &&
      known.dtype === spec.dtype &&
      String(known.shape) === String(spec.shape)
    );
  }

  /**
   * For how many rows of the states the shards have addresses, counting only those behind a shard's last block. Some are kept for
   * scratch, at most half of them.
   */
  #rowsThatFit(states: readonly LeafSpec[], scratch: number): number {
    const kept = scratch * (1 + PACKED_ROWS) + PROGRAMS;
    const regions = this.#assignRegions(states);
    const sizes: number[] = [];
    for (const spec of states) {
      for (const shard of shardsOf(spec, regions))
        sizes[shard] = (sizes[shard] ?? 0) + rowBytes(spec);
    }
    const rows = sizes.map((bytes, shard) => {
      const { limit, end } = this.shards[shard];
      const free = limit - end - 64 * states.length;
      return Math.max(0, Math.floor(Math.max(free / 2, free - kept) / bytes));
    });
    return Math.min(...Object.values(rows));
  }

  /**
   * Moves the states of a shard to places that just fit them. That frees the addresses that they had reserved beyond.
   * @returns whether `bytes` may fit now; if they could not fit in any case, nothing is moved
   */
  #giveBackReserves(shard: number, bytes: number): boolean {
    const reserving = Object.values(this.directory.leaves).filter(
      ({ spec, places }) => places[0].shard === shard && spareBytes(spec) > 0,
    );
    const spare = reserving.reduce((sum, { spec }) => sum + spareBytes(spec), 0);
    if (spare === 0 || this.shards[shard].unused + spare < bytes) return false;
    for (const { spec } of reserving) {
      const exact = { ...spec, reserve: undefined };
      const offset = this.shards[shard].allocate(reservedBytes(exact));
      if (offset === undefined) break;
      this.#replace(exact, [{ shard, parts: addressesOf(exact, offset) }]);
      this.epoch++;
    }
    return true;
  }

  #assignRegions(specs: readonly LeafSpec[]): Map<string, number> {
    const sizes = new Map<string, number>();
    for (const { kind, regions, dtype, shape } of specs) {
      for (const name of regions)
        sizes.set(name, (sizes.get(name) ?? 0) + (kind === "weight" ? bytesOf(dtype, shape) : 0));
    }
    this.shard(0);
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
    const parts = `weights ${showBytes(weights)}, states ${showBytes(states)}`;
    const need = `placing ${wanted.length} tensors needs ${showBytes(weights + states)} (${parts})`;
    this.#budget.check(weights + states, need);
    const spare = Object.values(this.directory.leaves).reduce(
      (n, { spec, places }) => n + places.length * spareBytes(spec),
      0,
    );
    const unused = this.shards.reduce((n, shard) => n + shard.unused, spare);
    this.#addresses.check(weights + states, need, unused);
  }

  /** Takes a place for every leaf. If one does not fit, those taken so far are given back. @throws MemoryError */
  #allocateAll(wanted: readonly Wanted[], mapped: ReadonlyMap<string, Place>): Place[][] {
    const done: Place[] = [];
    try {
      return wanted.map(({ spec, bytes, shards }) =>
        shards.map((shard) => {
          const known = mapped.get(spec.name);
          if (known !== undefined) return known;
          const what = `${spec.kind} ${spec.name}`;
          const offset = this.allocate(shard, reservedBytes(spec), what, { usable: bytes });
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

  /** Records a leaf's new places. If it was placed before, its bytes are copied there, as far as they fit. */
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

  /** Makes shards up to that number. @returns false when there are no addresses for it */
  #reach(shard: number): boolean {
    while (this.shards.length <= shard) {
      const memory = this.#addresses.another(this.#options.shared);
      if (memory === undefined) return false;
      this.#addShard(memory, false);
    }
    return true;
  }

  #addShard(memory: SizedMemory, inUse: boolean): void {
    const shard = new Shard(memory, inUse, this.#options.native);
    const { wide, sums32 = false, machineCode } = this.#options;
    const { buffer } = memory.memory;
    shard.words(WIDE, 1)[0] = Number(wide);
    shard.words(SUMS_32, 1)[0] = Number(sums32);
    // In this order, so that no thread finds families without the address that they need.
    const [families, base] = [shard.words(NATIVE, 1), new BigInt64Array(buffer, BASE, 1)];
    Atomics.store(families, 0, 0);
    Atomics.store(base, 0, BigInt(machineCode?.addressOf(buffer) ?? 0));
    Atomics.store(families, 0, machineCode?.families ?? 0);
    this.shards.push(shard);
  }
}

/** The shards in which a leaf is to lie: those of the regions that it names. */
function shardsOf(spec: LeafSpec, regions: ReadonlyMap<string, number>): number[] {
  const shards = spec.regions.map((region) => regions.get(region) ?? 0);
  return [...new Set(shards.length > 0 ? shards : [0])];
}
