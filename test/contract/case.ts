// What the table says of an op: one entry serves correctness on every backend, the check of its gradient, and its timing.

import {
  elements,
  Graph,
  type Leaf,
  type Node,
  type Op,
  type Shape,
  type Values,
} from "../../src/graph/graph.ts";
import type { Random } from "../random.ts";
import type { TestTensor } from "./tensors.ts";

/** Half a unit in the last place of f32: what one rounding adds at most, times the number that is rounded. */
export const u: number = 2 ** -24;

export type Sizes = Readonly<Record<string, number>>;

/** Per output, how far element `i` may lie from the op's own loops. */
export type Bound = (output: number, i: number) => number;

/** Inputs, and the results that were worked out by hand or in another way: written states first, then outputs. */
export type Example = {
  readonly sizes: Sizes;
  readonly ins: readonly TestTensor[];
  readonly outs: readonly (readonly number[])[];
};

/** Of the inputs of an op that runs: live shape, bytes, and the numbers of those that are indices. */
export type Moved = {
  readonly shape: Shape;
  readonly bytes: number;
  readonly values?: ArrayLike<number>;
};

export type Work = { readonly flops: number; readonly bytes: number };

export type Case = {
  readonly op: Op;
  /** 1, lanes ± 1, many lanes, a real one. */
  readonly sizes: readonly Sizes[];
  inputs(sizes: Sizes, random: Random): TestTensor[];
  attrs(sizes: Sizes): object;
  /** Follows from the arithmetic and the data; not weaker than it must be. */
  bound(run: {
    ins: readonly Values[];
    outs: readonly Values[];
    sizes: Sizes;
    attrs: object;
  }): Bound;
  readonly examples?: readonly Example[];
  /** Of an op with a gradient: small sizes, and the inputs that have none though they are f32. */
  readonly gradient?: { readonly sizes: readonly Sizes[]; readonly constant?: readonly number[] };
  /** Sizes of Mistral-7B for bench/ops.ts: one row, then many. Absent: the CPU backend has no kernel. */
  readonly timed?: readonly Sizes[];
  /** What a run must compute, and move, at least; not given: nothing, and each input and output once. */
  work?(run: { ins: readonly Moved[]; outs: readonly Moved[]; attrs: object }): Partial<Work>;
};

export const exact = (): Bound => () => 0;

/** Every combination of the given values. */
export function grid(axes: Readonly<Record<string, readonly number[]>>): Sizes[] {
  return Object.entries(axes).reduce<Sizes[]>(
    (all, [name, values]) =>
      all.flatMap((sizes) => values.map((value) => ({ ...sizes, [name]: value }))),
    [{}],
  );
}

/** A case at some sizes, with its inputs. */
export type Run = {
  readonly case: Case;
  readonly sizes: Sizes;
  readonly ins: readonly TestTensor[];
};

/** The examples of a case, as f32 holds their numbers. */
export function exampleRuns(c: Case): Run[] {
  return (c.examples ?? []).map(({ sizes, ins }) => ({
    case: c,
    sizes,
    ins: ins.map((t) => ({ ...t, values: t.values.map(Math.fround) })),
  }));
}

/** The op recorded on leaves in0, in1 … @param copy told from others of the graph by the names of its weights and states */
export function record(
  { case: c, sizes, ins }: Run,
  graph: Graph = new Graph(),
  copy = "",
): { graph: Graph; leaves: Leaf[]; node: Node } {
  const leaves = ins.map(({ kind, shape, dtype }, i) =>
    graph.leaf(`in${i}${kind === "input" ? "" : copy}`, kind, shape, dtype),
  );
  graph.emit(c.op, leaves, c.attrs(sizes));
  return { graph, leaves, node: graph.nodes[graph.nodes.length - 1] };
}

/** What the op's own loops give: the written states, then the outputs; and how far others may be off. */
export function expected(run: Run): { results: Values[]; bound: Bound } {
  const { case: c, sizes, ins } = run;
  const values = ins.map((t) => t.values.slice());
  const outs = record(run).node.outs.map(({ shape }) => new Float64Array(elements(shape)));
  const attrs = c.attrs(sizes);
  c.op.run(
    outs,
    values,
    ins.map((t) => t.shape),
    attrs,
  );
  const bound = c.bound({ ins: values, outs, sizes, attrs });
  return { results: [...(c.op.writes ?? []).map((i) => values[i]), ...outs], bound };
}

/** The element that is the most off, and its error over its bound (0/0 counts as 0). */
export function worst(
  came: readonly ArrayLike<number>[],
  results: readonly ArrayLike<number>[],
  bound: Bound,
): { ratio: number; at: string } {
  let found = { ratio: 0, at: "" };
  for (const [output, values] of results.entries()) {
    for (let i = 0; i < values.length; i++) {
      const [value, other] = [values[i], came[output][i]];
      const same = Object.is(other, value) || (Number.isNaN(value) && Number.isNaN(other));
      const error = same ? 0 : Math.abs(other - value);
      const ratio = error === 0 ? 0 : Number.isNaN(error) ? Infinity : error / bound(output, i);
      if (ratio > found.ratio)
        found = { ratio, at: `output ${output}, element ${i}: ${other} for ${value}` };
    }
  }
  return found;
}
