// A compiled plan. Each of its segments becomes words in the memory of one shard, encoded once. Linking writes the addresses of
// leaves, slots and inputs into them, again whenever something has moved. A replay writes the inputs, runs segment after
// segment, copies tensors that a segment needs from another shard, and copies the outputs out. Knows no kernels.

import { EngineError } from "../../errors.ts";
import {
  describe,
  elements,
  layoutOf,
  type Leaf,
  type LiveCounts,
  liveShape,
  show,
  type Tensor,
} from "../../graph/graph.ts";
import type { Plan } from "../../graph/plan.ts";
import type { InputData, Program } from "../backend.ts";
import { lower } from "./lower.ts";
import { encode } from "./encode.ts";
import type { Encoded } from "./encoded.ts";
import { align } from "./header.ts";
import { ARGS_WORD, LIVE, OP_BYTES, PROGRAM_HEADER } from "./kernels/header.ts";
import { type Layout, layOut, type Segment } from "./layout.ts";
import type { ShardedMemory } from "./memory.ts";
import type { Team } from "./threads.ts";

/** An argument of an op that is the address of a tensor's part, which is known only when the program is linked. */
type Reference = { readonly tensor: Tensor; readonly part: number };

/** Until the program is linked, 2³² + n stands for the address of reference n. No real word of an op is as large. */
const REFERENCE = 2 ** 32;

export class WasmProgram implements Program {
  readonly #plan: Plan;
  readonly #memory: ShardedMemory;
  readonly #team: Team;
  readonly #layout: Layout;
  /** Per segment: its encoded ops, with references in place of addresses. */
  readonly #ops: readonly Encoded[][];
  readonly #references: Reference[] = [];
  /** Per segment: the address of its program in its shard. */
  readonly #programs: number[];
  /** Per shard: where each computed tensor and each input lies, by tensor id, from the arena's start. */
  readonly #offsets: Map<number, number>[];
  readonly #arenaBytes: number[];
  /** Per shard: the arena's address when the program was last linked. */
  #arenas: number[] = [];
  /** The memory's epoch at that time. */
  #epoch = -1;

  constructor(plan: Plan, memory: ShardedMemory, team: Team) {
    plan = lower(plan);
    this.#plan = plan;
    this.#memory = memory;
    this.#team = team;
    for (const leaf of plan.leaves.values()) if (leaf.kind !== "input") checkLeaf(leaf, memory);
    this.#layout = layOut(
      plan,
      (leaf) => memory.leaf(leaf.name).places.map(({ shard }) => shard),
      (region) => memory.directory.regions[region],
    );
    const arenas = arenasOf(plan, this.#layout);
    this.#offsets = arenas.map(({ offsets }) => offsets);
    this.#arenaBytes = arenas.map(({ bytes }) => bytes);
    // An op without a kernel is refused here, before memory is taken.
    this.#ops = this.#layout.segments.map(({ nodes }) =>
      nodes.map((node) =>
        encode(node, (tensor, part = 0) => REFERENCE + this.#references.push({ tensor, part }) - 1),
      ),
    );
    this.#programs = this.#layout.segments.map(({ shard, nodes }) =>
      memory.allocate(shard, programBytes(nodes.length), "a program"),
    );
    try {
      this.#link();
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Runs the whole replay before it returns: the promise is already settled. */
  async submit(
    inputs: Readonly<Record<string, InputData>>,
    live: LiveCounts,
    outputs: readonly number[],
  ): Promise<Float32Array[]> {
    if (this.#epoch !== this.#memory.epoch) this.#link();
    this.#writeInputs(inputs, live);
    const memories = this.#memory.shards.map(({ memory }) => memory);
    for (const [i, segment] of this.#layout.segments.entries()) {
      const { shard, nodes } = segment;
      this.#copyIn(segment, live);
      this.#memory.shards[shard].words(LIVE, 2).set([live.rows, live.wanted]);
      this.#team.run(memories, shard, this.#programs[i], (op) => nodes[op]?.op.name ?? `op ${op}`);
    }
    return outputs.map((index) => this.#read(this.#plan.outputs[index], live));
  }

  #read(t: Tensor, live: LiveCounts): Float32Array {
    const length = elements(liveShape(t, live));
    const { shard, offset } = this.#find(t);
    const result = new Float32Array(length);
    if (t.dtype === "i32") result.set(this.#memory.shards[shard].words(offset, length));
    else result.set(this.#memory.shards[shard].floats(offset, length));
    return result;
  }

  dispose(): void {
    this.#layout.segments.forEach(({ shard }, i) =>
      this.#memory.shards[shard].free(this.#programs[i]),
    );
  }

  #link(): void {
    const { scratch } = this.#memory;
    for (const [i, { shard }] of this.#layout.segments.entries()) {
      const needs = this.#ops[i].map((op) => align(op.scratch));
      scratch.threads(shard, Math.max(64, ...needs));
      scratch.claimLines(shard, needs.length);
    }
    this.#arenas = this.#arenaBytes.map((bytes, shard) => scratch.arena(shard, bytes));
    this.#epoch = this.#memory.epoch;
    this.#ops.forEach((ops, i) => this.#writeProgram(ops, i));
  }

  #writeProgram(ops: readonly Encoded[], i: number): void {
    const { shard, barriers } = this.#layout.segments[i];
    const start = this.#programs[i];
    const words = this.#memory.shards[shard].words(
      start,
      (PROGRAM_HEADER + ops.length * OP_BYTES) / 4,
    );
    words[0] = ops.length;
    for (const [n, { code, rows, args, work }] of ops.entries()) {
      const live = rows.live === undefined ? 0 : rows.live === "rows" ? 1 : 2;
      const head = [
        code,
        barriers[n] ? 1 : 0,
        Math.min(work, 2 ** 31 - 1),
        live,
        rows.shape[0] ?? 1,
      ];
      words.set(head, PROGRAM_HEADER / 4 + (n * OP_BYTES) / 4);
      words.set(
        args.map((word) => this.#linked(word, shard)),
        PROGRAM_HEADER / 4 + (n * OP_BYTES) / 4 + ARGS_WORD,
      );
    }
  }

  /** The address that a word stands for, or the word itself. */
  #linked(word: number, shard: number): number {
    const reference = this.#references[word - REFERENCE];
    return reference === undefined ? word : this.#address(reference.tensor, shard, reference.part);
  }

  #address(t: Tensor, shard: number, part = 0): number {
    const offset = this.#offsets[shard]?.get(t.id);
    if (offset !== undefined) return (this.#arenas[shard] ?? 0) + offset;
    const leaf = leafOf(this.#plan, t);
    if (leaf === undefined) return 0; // an output that nobody reads
    const { places } = this.#memory.leaf(leaf.name);
    return places.find((place) => place.shard === shard)?.parts[part] ?? 0;
  }

  /** Where an output of the plan lies. */
  #find(t: Tensor): { shard: number; offset: number } {
    const shard =
      this.#layout.writtenIn.get(t.id) ?? this.#offsets.findIndex((offsets) => offsets?.has(t.id));
    if (shard >= 0) return { shard, offset: this.#address(t, shard) };
    const leaf = leafOf(this.#plan, t);
    if (leaf === undefined)
      throw new EngineError(`output ${describe(t)} is not computed by the plan`);
    const { shard: home, parts } = this.#memory.leaf(leaf.name).places[0];
    return { shard: home, offset: parts[0] };
  }

  #writeInputs(inputs: Readonly<Record<string, InputData>>, live: LiveCounts): void {
    for (const leaf of this.#plan.leaves.values()) {
      if (leaf.kind !== "input") continue;
      const count = elements(liveShape(leaf, live));
      if (leaf.live !== undefined && live[leaf.live] > leaf.shape[0]) {
        throw new EngineError(
          `input ${leaf.name}: ${live[leaf.live]} rows came, the plan has room for ${leaf.shape[0]}`,
        );
      }
      const data = inputs[leaf.name];
      if (data === undefined || data.length < count) {
        throw new EngineError(
          `input ${leaf.name}: ${data?.length ?? "no"} numbers came, ${count} are needed for ${show(liveShape(leaf, live))}`,
        );
      }
      this.#offsets.forEach((offsets, shard) => {
        const offset = offsets?.get(leaf.id);
        if (offset === undefined) return;
        const at = this.#arenas[shard] + offset;
        const target = this.#memory.shards[shard];
        (leaf.dtype === "i32" ? target.words(at, count) : target.floats(at, count)).set(
          data.subarray(0, count),
        );
      });
    }
  }

  #copyIn({ shard, copies }: Segment, live: LiveCounts): void {
    for (const { tensor, from } of copies) {
      const bytes = elements(liveShape(tensor, live)) * 4;
      const source = this.#memory.shards[from].bytes(this.#address(tensor, from), bytes);
      this.#memory.shards[shard].bytes(this.#address(tensor, shard), bytes).set(source);
    }
  }
}

function programBytes(ops: number): number {
  return PROGRAM_HEADER + ops * OP_BYTES;
}

function leafOf(plan: Plan, t: Tensor): Leaf | undefined {
  const name = "name" in t ? (t as Leaf).name : undefined;
  return name === undefined ? undefined : plan.leaves.get(name);
}

/** Gives every slot and every input an offset in the arena of its shard. `bytes`: the arena's size. */
function arenasOf(
  plan: Plan,
  { slots, inputs }: Layout,
): { offsets: Map<number, number>; bytes: number }[] {
  return Array.from({ length: Math.max(slots.length, inputs.length) }, (_, shard) => {
    let bytes = 0;
    const take = (count: number): number => {
      const offset = bytes;
      bytes += align(count * 4);
      return offset;
    };
    const slotAt = new Map(
      [...(slots[shard] ?? [])].map((slot) => [slot, take(plan.slots[slot].elements)]),
    );
    const offsets = new Map<number, number>();
    for (const [id, slot] of plan.slotOf) {
      const at = slotAt.get(slot);
      if (at !== undefined) offsets.set(id, at);
    }
    for (const leaf of inputs[shard] ?? []) offsets.set(leaf.id, take(elements(leaf.shape)));
    return { offsets, bytes };
  });
}

/** A weight must be placed with the plan's dtype and shape; a state may have more rows. @throws EngineError */
function checkLeaf(leaf: Leaf, memory: ShardedMemory): void {
  const { spec } = memory.leaf(leaf.name);
  const [rows, ...dims] = leaf.shape;
  const [placedRows, ...placedDims] = spec.shape;
  const enough = leaf.kind === "state" ? placedRows >= rows : placedRows === rows;
  if (spec.dtype === layoutOf(leaf.dtype) && enough && String(dims) === String(placedDims)) return;
  throw new EngineError(
    `leaf ${leaf.name}: the plan wants ${leaf.dtype} ${show(leaf.shape)}, but ${spec.dtype} ${show(spec.shape)} is placed`,
  );
}
