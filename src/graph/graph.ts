// The interface between models and backends: a model records coarse ops into a Graph, a plan orders them, a backend replays the plan.
// Knows nothing of models, kernels, threads or numbers.

import { InputError } from "../errors.ts";

export type Shape = readonly number[];

/**
 * How a tensor is stored. Computed tensors are "f32" or "i32". A weight has the name of a format of `formats/`, which may be followed by
 * the compute path of products with it: "nf4-64", "nf4-64:fixed16".
 */
export type DType = string;

/** weight: never changes. state: ops change it (a cache, an optimiser's numbers). input: written before each replay. */
export type LeafKind = "weight" | "state" | "input";

/**
 * A plan is recorded for a capacity; a replay may have fewer rows. Of a tensor's first dimension it computes only the live part: as many
 * as the replay has rows, or has wanted rows.
 */
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

/** Numbers of the reference backend: float64, which also holds ids and indices exactly. */
export type Values = Float64Array;

export type Op<A = unknown> = {
  readonly name: string;
  /** Which dtypes each input may have: what the op's kernels read. Checked when the op is emitted, before its shapes. */
  readonly takes: readonly Takes[];
  /** The dtype of each output. */
  readonly gives: readonly ("f32" | "i32")[];
  /** Checks the inputs' shapes; gives one entry for each output. @throws InputError */
  shapes(ins: readonly Tensor[], attrs: A): readonly Output[];
  /** Computes the op in plain loops: the specification of every kernel. `shapes`: the inputs' live shapes. */
  run(outs: readonly Values[], ins: readonly Values[], shapes: readonly Shape[], attrs: A): void;
  /** Indices of the inputs that the op changes in place; they must be `state` leaves. */
  readonly writes?: readonly number[];
  /**
   * The vector-Jacobian product: given the outputs' gradients, a function for each input that emits the input's gradient into the same
   * graph. Only those of wanted gradients are called.
   */
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

  /** The leaf of that name. The first use makes it; later uses must agree with the first one. @throws InputError they do not */
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

  /** Records one op and returns its outputs. @throws InputError dtypes or shapes of the inputs do not fit the op */
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

  /** All nodes that `record` emits belong to the region `name`, such as a layer, whose leaves are placed together. Undefined: to none. */
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

/** An output that has the rows of `x` (capacity and live count), and these further dimensions. */
export function rowsOf(x: Tensor, ...dims: number[]): Output {
  return { shape: [x.shape[0], ...dims], live: x.live };
}

/** The part of a dtype that says how the bytes lie. Plans with different compute paths share these bytes. */
export function layoutOf(dtype: DType): DType {
  return dtype.split(":")[0];
}

export function elements(shape: Shape): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** The tensor's shape, its first dimension being the live count. */
export function liveShape(t: Tensor, counts: LiveCounts): Shape {
  return t.live === undefined ? t.shape : [counts[t.live], ...t.shape.slice(1)];
}

/** A leaf's name, or `%id`, and the shape: for errors and printed plans. */
export function describe(t: Tensor): string {
  return `${"name" in t ? (t as Leaf).name : `%${t.id}`} ${show(t.shape)}`;
}

/** The shape, with the kind of live count that its first dimension has: [rows ≤ 8, 64]. */
export function showLive({ shape, live }: { shape: Shape; live: Live | undefined }): string {
  return live === undefined ? show(shape) : `[${live} ≤ ${shape.join(", ")}]`;
}

export function show(shape: Shape): string {
  return `[${shape.map(String).join(", ")}]`;
}
