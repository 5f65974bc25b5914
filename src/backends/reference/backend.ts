// The reference backend: it runs every op's own loops in float64. Slow and plain; other backends are tested against it.
// It looks for a stop between two ops. Knows no kernels and no threads.

import { availableBytes, machine } from "#platform";
import { EngineError, MemoryError } from "../../errors.ts";
import { unpackAll, weightDType } from "../../formats/registry.ts";
import { matrixShape, type Parts } from "../../formats/weight-format.ts";
import {
  elements,
  liveShape,
  type LiveCounts,
  type Tensor,
  type Values,
} from "../../graph/graph.ts";
import type { Plan } from "../../graph/plan.ts";
import {
  Aborted,
  type Backend,
  type InputData,
  type LeafSpec,
  type Program,
  type Room,
} from "../backend.ts";
import { LLM_INT8, llmInt8Linear } from "./llm-int8.ts";

/** A leaf's numbers, and the bytes from which a weight was loaded. */
type PlacedLeaf = { readonly spec: LeafSpec; readonly values: Values; parts?: Parts };

export class ReferenceBackend implements Backend {
  readonly name = "reference";
  readonly #leaves = new Map<string, PlacedLeaf>();
  readonly #stop: Int32Array;
  readonly #memoryLimit: number | undefined;

  /**
   * @param stop one shared word: when it is not 0, the running program stops
   * @param memoryLimit bytes that leaves may take; not given: what the system has available
   */
  constructor(stop: Int32Array = new Int32Array(1), memoryLimit?: number) {
    this.#stop = stop;
    this.#memoryLimit = memoryLimit;
  }

  async place(leaves: readonly LeafSpec[]): Promise<void> {
    this.#checkRoom(leaves.reduce((sum, { shape }) => sum + elements(shape) * 8, 0));
    for (const spec of leaves) this.#replace(spec);
  }

  /** Copies the states: an array cannot grow. */
  async grow(names: readonly string[], rows: number): Promise<void> {
    const growing = names
      .map((name) => this.#leaf(name).spec)
      .filter(({ shape }) => shape[0] < rows)
      .map((spec) => ({ ...spec, shape: [rows, ...spec.shape.slice(1)] }));
    this.#checkRoom(
      growing.reduce((sum, spec) => {
        const old = this.#leaf(spec.name).spec;
        return sum + (elements(spec.shape) - elements(old.shape)) * 8;
      }, 0),
    );
    for (const spec of growing) this.#replace(spec);
  }

  room(states: readonly LeafSpec[]): Room {
    const usable = Math.min(
      ...states.map(({ name }) => this.#leaves.get(name)?.spec.shape[0] ?? 0),
    );
    const rowBytes = states.reduce((sum, { shape }) => sum + elements(shape.slice(1)) * 8, 0);
    const rows = (bytes: number): number => usable + Math.floor(Math.max(0, bytes) / rowBytes);
    const reserve = rows(this.#memoryLimit === undefined ? machine().memory.total : this.#free);
    return { reserve, now: Math.min(reserve, rows(this.#free)) };
  }

  async load(
    name: string,
    fill: (parts: readonly Uint8Array[], alreadyMapped: boolean) => Promise<void>,
  ): Promise<void> {
    const leaf = this.#leaf(name);
    const parts = emptyParts(leaf.spec);
    await fill(parts, false);
    leaf.values.set(unpackAll(leaf.spec.dtype, leaf.spec.shape, parts));
    if (leaf.spec.kind === "weight") leaf.parts = parts;
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>[]> {
    const { spec, values, parts: loaded } = this.#leaf(name);
    if (loaded !== undefined) return loaded.map((part) => new Uint8Array(part));
    if (spec.dtype === "i32") return [new Uint8Array(Int32Array.from(values).buffer)];
    const parts = emptyParts(spec);
    const shape = matrixShape(spec.shape);
    const packer = weightDType(spec.dtype).format.packer?.(parts, shape);
    packer?.rows(Float32Array.from(values), 0, shape.rows);
    packer?.finish();
    return parts;
  }

  release(names: readonly string[]): void {
    for (const name of names) this.#leaves.delete(name);
  }

  compile(plan: Plan): Program {
    return new ReferenceProgram(plan, (name) => this.#leaf(name), this.#stop);
  }

  memory(): { weights: number; states: number; scratch: number } {
    const bytes = (kind: string): number =>
      [...this.#leaves.values()].reduce(
        (n, l) => n + (l.spec.kind === kind ? l.values.byteLength : 0),
        0,
      );
    return { weights: bytes("weight"), states: bytes("state"), scratch: 0 };
  }

  async dispose(): Promise<void> {
    this.#leaves.clear();
  }

  /** Places a leaf. If a leaf of that name was placed, its numbers are kept as far as they fit. */
  #replace(spec: LeafSpec): void {
    const values = new Float64Array(elements(spec.shape));
    const old = this.#leaves.get(spec.name);
    if (old !== undefined) values.set(old.values.subarray(0, values.length));
    this.#leaves.set(spec.name, { spec, values, parts: old?.parts });
  }

  /** Bytes that leaves may still take. */
  get #free(): number {
    const { weights, states } = this.memory();
    const limit = this.#memoryLimit;
    return limit === undefined ? availableBytes() : limit - weights - states;
  }

  #checkRoom(bytes: number): void {
    const free = this.#free;
    const limit = this.#memoryLimit;
    if (bytes <= free) return;
    throw new MemoryError(
      `the reference backend needs ${bytes} bytes more in float64, but has ${Math.max(0, free)} of ` +
        `${limit ?? "what is available"}; use device "cpu", a shorter max_length or a smaller batch`,
    );
  }

  #leaf(name: string): PlacedLeaf {
    const leaf = this.#leaves.get(name);
    if (leaf === undefined) throw new EngineError(`leaf ${name} has not been placed`);
    return leaf;
  }
}

class ReferenceProgram implements Program {
  readonly #plan: Plan;
  readonly #leaf: (name: string) => PlacedLeaf;
  readonly #stop: Int32Array;

  constructor(plan: Plan, leaf: (name: string) => PlacedLeaf, stop: Int32Array) {
    this.#plan = plan;
    this.#leaf = leaf;
    this.#stop = stop;
  }

  /** Runs the whole replay before it returns: the promise is already settled. */
  async submit(
    inputs: Readonly<Record<string, InputData>>,
    live: LiveCounts,
    outputs: readonly number[],
  ): Promise<Float32Array[]> {
    const values = new Map<number, Values>();
    const packed = new Map<number, Parts>();
    for (const [name, leaf] of this.#plan.leaves) {
      if (leaf.kind === "input")
        values.set(
          leaf.id,
          Float64Array.from(liveInput(inputs, name, elements(liveShape(leaf, live)))),
        );
      else {
        const placed = this.#leaf(name);
        values.set(leaf.id, placed.values);
        const { parts } = placed;
        const isCoded = parts !== undefined && familyOf(leaf) === LLM_INT8;
        if (isCoded) packed.set(leaf.id, parts);
      }
    }
    const value = (t: Tensor): Values => {
      const known = values.get(t.id);
      if (known === undefined)
        throw new EngineError(`tensor ${t.id} is used before it is computed`);
      return known;
    };
    for (const { op, ins, outs, attrs } of this.#plan.nodes) {
      if (Atomics.load(this.#stop, 0) !== 0) throw new Aborted();
      for (const t of outs) values.set(t.id, new Float64Array(elements(liveShape(t, live))));
      const parts = op.name === "linear" ? packed.get(ins[1].id) : undefined;
      if (parts !== undefined) {
        const [rows] = liveShape(ins[0], live);
        llmInt8Linear(value(outs[0]), value(ins[0]), parts, rows, ins[1]);
        continue;
      }
      op.run(
        outs.map(value),
        ins.map(value),
        ins.map((t) => liveShape(t, live)),
        attrs,
      );
    }
    return outputs.map((index) => Float32Array.from(value(this.#plan.outputs[index])));
  }

  dispose(): void {}
}

function familyOf({ dtype }: Tensor): string {
  return weightDType(dtype).format.family;
}

/** Zeros for each part of a leaf's format. */
function emptyParts({ dtype, shape }: LeafSpec): Uint8Array<ArrayBuffer>[] {
  const { rows, columns } = matrixShape(shape);
  return weightDType(dtype)
    .format.parts(rows, columns)
    .map((bytes) => new Uint8Array(bytes));
}

function liveInput(
  inputs: Readonly<Record<string, InputData>>,
  name: string,
  count: number,
): InputData {
  const data = inputs[name];
  if (data === undefined || data.length < count) {
    throw new EngineError(
      `input ${name}: ${data?.length ?? "no"} numbers came, ${count} are needed`,
    );
  }
  return data.subarray(0, count);
}
