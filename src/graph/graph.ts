// The seam: models record coarse ops into a Graph, a plan orders them, backends replay the plan.
// Knows nothing of models, kernels, threads or numbers.

import { InputError } from "../errors.ts";

export type Shape = readonly number[];

/**
 * How a tensor is stored. Computed tensors are "f32" or "i32"; weights may have any format of `formats/` by its name, which
 * may be followed by the road on which products with it are computed: "nf4-64", "nf4-64:fixed16".
 */
export type DType = string;

/** weight: never changes · state: changed by ops (cache, optimiser) · input: written before each replay */
export type LeafKind = "weight" | "state" | "input";

/** A plan has a capacity; of a tensor's first dimension only the live part is computed: `rows` live rows, or `wanted` ones. */
export type Live = "rows" | "wanted";

/** How many rows, and how many wanted rows, are live in one replay. */
export type LiveCounts = Readonly<Record<Live, number>>;

export type Tensor = {
  readonly graph: Graph;
  readonly id: number;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly live: Live | undefined;
};

export type Leaf = Tensor & { readonly name: string; readonly kind: LeafKind };

/** What an op says of the shape of one output. */
export type Output = { shape: Shape; live: Live | undefined };

/** The dtypes that an op takes in one place. Those that ops share have names in ops/dtypes.ts. */
export type Takes = {
  has(dtype: DType): boolean;
  /** For errors: which they are, and what to do about a tensor of another one. */
  readonly words: string;
  readonly remedy: string;
  /** This input may be left out, as may all after it. */
  readonly optional?: boolean;
};

/** The reference works on float64, which holds every id and index exactly. */
export type Values = Float64Array;

export type Op<A = unknown> = {
  readonly name: string;
  /** Which dtypes each input may have: what the op's kernels read. Checked when the op is emitted, before its shapes. */
  readonly takes: readonly Takes[];
  /** The dtype of each output. */
  readonly gives: readonly ("f32" | "i32")[];
  /** One entry per output. Checks the inputs' shapes. @throws InputError */
  shapes(ins: readonly Tensor[], attrs: A): readonly Output[];
  /** Plain loops: the specification and the oracle. `shapes` are the inputs' live shapes. */
  run(outs: readonly Values[], ins: readonly Values[], shapes: readonly Shape[], attrs: A): void;
  /** Inputs changed in place: `state` leaves only. */
  readonly writes?: readonly number[];
  /** Per input a thunk that emits its gradient into the same graph, so that only wanted gradients are emitted. */
  vjp?(
    dys: readonly (Tensor | undefined)[],
    ins: readonly Tensor[],
    outs: readonly Tensor[],
    attrs: A,
  ): readonly ((() => Tensor) | undefined)[];
};

export type Node = {
  readonly op: Op;
  readonly ins: readonly Tensor[];
  readonly outs: readonly Tensor[];
  readonly attrs: object;
  readonly region: string | undefined;
};

export class Graph {
  readonly nodes: Node[] = [];
  readonly leaves: Map<string, Leaf> = new Map();
  #tensors = 0;
  #region: string | undefined;

  /** The leaf of that name, made at its first use; every later use must agree in all of this. */
  leaf(name: string, kind: LeafKind, shape: Shape, dtype: DType = "f32", live?: Live): Leaf {
    const known = this.leaves.get(name);
    if (known === undefined) {
      if (kind === "input" && dtype !== "f32" && dtype !== "i32") {
        throw new InputError(
          `leaf ${name}: inputs are written as f32 or i32, not as ${dtype}; make it a weight or a state`,
        );
      }
      const leaf = { ...this.#tensor({ shape, dtype, live }), name, kind };
      this.leaves.set(name, leaf);
      return leaf;
    }
    const came = `${kind} ${dtype} ${showLive({ shape, live })}`;
    const first = `${known.kind} ${known.dtype} ${showLive(known)}`;
    if (came === first) return known;
    throw new InputError(`leaf ${name}: ${came} does not agree with its first use, ${first}`);
  }

  /** Records one op and returns its outputs. @throws InputError when dtypes or shapes do not fit */
  emit<A extends object>(op: Op<A>, ins: readonly Tensor[], attrs: A): Tensor[] {
    checkDTypes(op as Op, ins);
    for (const i of op.writes ?? []) {
      const leaf = [...this.leaves.values()].find((l) => l.id === ins[i].id);
      if (leaf?.kind !== "state")
        throw new InputError(`${op.name}: input ${i} is written, so it must be a state leaf`);
    }
    const outs = op
      .shapes(ins, attrs)
      .map((output, i) => this.#tensor({ ...output, dtype: op.gives[i] }));
    for (const { shape } of outs) {
      if (!shape.every(Number.isSafeInteger)) {
        const came = ins.map(describe).join(" · ");
        throw new InputError(
          `${op.name}: ${came}: the output would be ${show(shape)}; have the inputs the right number of dimensions?`,
        );
      }
    }
    this.nodes.push({ op, ins, outs, attrs, region: this.#region });
    return outs;
  }

  /** Marks all that `record` emits as one region (a layer; undefined: none), so that it can be placed, or re-emitted, as a whole. */
  region<T>(name: string | undefined, record: () => T): T {
    const outer = this.#region;
    this.#region = name;
    try {
      return record();
    } finally {
      this.#region = outer;
    }
  }

  #tensor({ shape, dtype, live }: Output & { dtype: DType }): Tensor {
    return { graph: this, id: this.#tensors++, shape, dtype, live };
  }
}

/** @throws InputError an input is missing, or one too many, or of a dtype that the op does not take there */
function checkDTypes({ name, takes }: Op, ins: readonly Tensor[]): void {
  const least = takes.filter(({ optional }) => !optional).length;
  if (ins.length < least || ins.length > takes.length) {
    const count = least === takes.length ? `${least}` : `${least} to ${takes.length}`;
    throw new InputError(
      `${name}: ${ins.map(describe).join(" · ")}: ${ins.length} inputs came, it takes ${count}; its file in src/ops/ says which`,
    );
  }
  for (const [i, t] of ins.entries()) {
    const { words, remedy } = takes[i];
    if (takes[i].has(t.dtype)) continue;
    throw new InputError(
      `${name}: ${describe(t)} is ${t.dtype}, but input ${i} must be ${words}; ${remedy}`,
    );
  }
}

/** An output with the rows of `x` (capacity and live count) and the given further dimensions. */
export function rowsOf(x: Tensor, ...dims: number[]): Output {
  return { shape: [x.shape[0], ...dims], live: x.live };
}

/** The part of a dtype that says how the bytes lie: plans with other roads share them. */
export function layoutOf(dtype: DType): DType {
  return dtype.split(":")[0];
}

export function elements(shape: Shape): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** The tensor's shape with its first dimension cut to the live count. */
export function liveShape(t: Tensor, counts: LiveCounts): Shape {
  return t.live === undefined ? t.shape : [counts[t.live], ...t.shape.slice(1)];
}

/** The name of a leaf, or `%id`, with its shape: for error texts and printed plans. */
export function describe(t: Tensor): string {
  return `${"name" in t ? (t as Leaf).name : `%${t.id}`} ${show(t.shape)}`;
}

/** The shape, with what is live of its first dimension: [rows ≤ 8, 64]. */
export function showLive({ shape, live }: { shape: Shape; live: Live | undefined }): string {
  return live === undefined ? show(shape) : `[${live} ≤ ${shape.join(", ")}]`;
}

export function show(shape: Shape): string {
  return `[${shape.map(String).join(", ")}]`;
}
