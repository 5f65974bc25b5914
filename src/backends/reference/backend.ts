// The reference backend: every op's own loops in float64. Slow and plain, the oracle of all others.
// Knows no kernels, no threads; a stop is looked at between two ops.

import { availableBytes } from "#platform";
import { EngineError, MemoryError } from "../../errors.ts";
import { weightDType } from "../../formats/registry.ts";
import { matrixShape, type Parts } from "../../formats/weight-format.ts";
import {
  elements,
  liveShape,
  type LiveCounts,
  type Tensor,
  type Values,
} from "../../graph/graph.ts";
import type { Plan } from "../../graph/plan.ts";
import { Aborted, type Backend, type InputData, type LeafSpec, type Program } from "../backend.ts";
import { LLM_INT8, llmInt8Linear } from "./llm-int8.ts";

/** A leaf's numbers; of weights whose bytes are computed with, these too. */
type PlacedLeaf = { readonly spec: LeafSpec; readonly values: Values; parts?: Parts };

export class ReferenceBackend implements Backend {
  readonly name = "reference";
  readonly #leaves = new Map<string, PlacedLeaf>();
  readonly #stop: Int32Array;
  readonly #memoryLimit: number | undefined;

  /**
   * @param stop one shared word: not 0 asks the running program to stop
   * @param memoryLimit bytes that leaves may take; not given: what the system has available
   */
  constructor(stop: Int32Array = new Int32Array(1), memoryLimit?: number) {
    this.#stop = stop;
    this.#memoryLimit = memoryLimit;
  }

  async place(leaves: readonly LeafSpec[]): Promise<void> {
    this.#checkRoom(leaves.reduce((sum, { shape }) => sum + elements(shape) * 8, 0));
    for (const spec of leaves) {
      const values = new Float64Array(elements(spec.shape));
      const old = this.#leaves.get(spec.name);
      if (old !== undefined) values.set(old.values.subarray(0, values.length));
      this.#leaves.set(spec.name, { spec, values, parts: old?.parts });
    }
  }

  async load(
    name: string,
    fill: (parts: readonly Uint8Array[], there: boolean) => Promise<void>,
  ): Promise<void> {
    const leaf = this.#leaf(name);
    const { spec, values } = leaf;
    const { format } = weightDType(spec.dtype);
    const shape = matrixShape(spec.shape);
    const parts = format.parts(shape.rows, shape.columns).map((bytes) => new Uint8Array(bytes));
    await fill(parts, false);
    const widened = new Float32Array(values.length);
    format.unpack(parts, shape, 0, shape.rows, widened);
    values.set(widened);
    if (format.family === LLM_INT8) leaf.parts = parts;
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

  #checkRoom(bytes: number): void {
    const { weights, states } = this.memory();
    const limit = this.#memoryLimit;
    const free = limit === undefined ? availableBytes() : limit - weights - states;
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
  #results: Values[] = [];

  constructor(plan: Plan, leaf: (name: string) => PlacedLeaf, stop: Int32Array) {
    this.#plan = plan;
    this.#leaf = leaf;
    this.#stop = stop;
  }

  async run(inputs: Readonly<Record<string, InputData>>, live: LiveCounts): Promise<void> {
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
        if (placed.parts !== undefined) packed.set(leaf.id, placed.parts);
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
    this.#results = this.#plan.outputs.map(value);
  }

  async read(index: number): Promise<Float32Array> {
    return Float32Array.from(this.#results[index]);
  }

  dispose(): void {
    this.#results = [];
  }
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
