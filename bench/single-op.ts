// Takes the ops of a plan one by one, and times them on a backend. Ops of one name and shape are one group; the repetitions of a group
// go round its layers, so that weights come from memory as they do in a step. What an op must compute and move, the table of
// test/contract/ says.

import type { Backend, InputData, Program } from "../src/backends/backend.ts";
import { partBytes } from "../src/formats/registry.ts";
import { tableSize } from "../src/generate/pages.ts";
import { recordStep, type StepModel } from "../src/generate/record.ts";
import {
  elements,
  Graph,
  type Leaf,
  type LiveCounts,
  liveShape,
  type Node,
  type Tensor,
} from "../src/graph/graph.ts";
import { makePlan, type Plan } from "../src/graph/plan.ts";
import type { CacheDType } from "../src/models/attend.ts";
import type { MistralConfig } from "../src/models/config.ts";
import { ropeAngles } from "../src/models/rope.ts";
import type { Moved, Work } from "../test/contract/case.ts";
import { table } from "../test/contract/table.ts";
import { median } from "./statistics.ts";

export type OpTime = {
  readonly op: string;
  /** Shapes of its inputs. */
  readonly shapes: string;
  /** How often a step has it. */
  readonly count: number;
  /** Of one, as is its work. */
  readonly seconds: number;
} & Work;

export type Phase = {
  readonly name: string;
  readonly ops: readonly OpTime[];
  /** The whole step as the engine runs it, inputs written and logits read. */
  readonly stepSeconds: number;
};

export type Inputs = Readonly<Record<string, InputData>>;

/** Repetitions in one plan at most, and bytes of results that they may leave. */
const REPEATS = 256;
const RESULT_BYTES = 2 ** 28;
/** A plan of several must take so much longer than a plan of one (seconds). */
const ENOUGH = 0.01;

/** A step of T rows that begin at column `start` of one sequence; the pool has so many pages, and the cache holds zeros. */
export type StepOf = {
  readonly T: number;
  readonly start: number;
  readonly pages: number;
  readonly cache: CacheDType;
};

/** Times a step and its ops. */
export async function timePhase(
  name: string,
  backend: Backend,
  model: StepModel,
  { T, start, pages, cache }: StepOf,
): Promise<Phase> {
  const P = tableSize(pages);
  const shape = { T, N: 1, S: 1, P, columns: 0, embeds: false, cache };
  const { plan } = recordStep(model, { ...shape, wants: { logits: true } });
  const live = { rows: T, wanted: 1 };
  const at = Int32Array.from({ length: T }, (_, t) => start + t);
  const inputs = stepInputs(model.config, P, at);

  const whole = await backend.compile(plan);
  const stepSeconds = await secondsOf(whole, inputs, live, [0]);
  whole.dispose();
  const groups = Map.groupBy(plan.nodes, ({ op, ins }) =>
    [op.name, shapesOf(ins), ...ins.map((t) => t.live)].join(" "),
  );
  const ops: OpTime[] = [];
  for (const nodes of groups.values())
    ops.push(await timeOp(backend, plan, nodes, inputs, live, pages));
  return { name, ops, stepSeconds };
}

/**
 * Times one op of a plan.
 * @param nodes of one op and shape; repetitions go round them
 * @param pages of the cache's pools, which a step's plan is recorded with one page of
 */
export async function timeOp(
  backend: Backend,
  plan: Plan,
  nodes: readonly Node[],
  inputs: Inputs,
  live: LiveCounts,
  pages = 1,
): Promise<OpTime> {
  const seconds = await secondsOfOne(backend, plan, nodes, inputs, live);
  const [{ op, ins }] = nodes;
  const work = workOf(nodes[0], plan, inputs, live, pages);
  return { op: op.name, shapes: shapesOf(ins), count: nodes.length, seconds, ...work };
}

/** What a step of one sequence is given: its columns, and page b of the pool for block b. */
function stepInputs(c: MistralConfig, P: number, at: Int32Array): Inputs {
  const { cos, sin } = ropeAngles(c, at);
  return {
    ids: at.map((column) => (column * 7919) % c.vocab_size),
    seq: new Int32Array(at.length),
    at,
    slots: at,
    pages: Int32Array.from({ length: 2 * P }, (_, i) => (i % 2 === 0 ? i >> 1 : 0xffff)),
    want: Int32Array.of(at.length - 1),
    cos,
    sin,
  };
}

async function secondsOfOne(
  backend: Backend,
  plan: Plan,
  nodes: readonly Node[],
  inputs: Inputs,
  live: LiveCounts,
): Promise<number> {
  const given = { ...inputs };
  nodes[0].ins.forEach((t, i) => {
    if (!isLeaf(t)) given[`x${i}`] = noise(elements(t.shape));
  });
  const time = async (count: number): Promise<number> => {
    const program = await backend.compile(repeated(plan, nodes, count));
    try {
      return await secondsOf(program, given, live, []);
    } finally {
      program.dispose();
    }
  };
  const resultBytes = 4 * nodes[0].outs.reduce((sum, t) => sum + elements(t.shape), 1);
  const most = Math.min(REPEATS, Math.max(4, Math.floor(RESULT_BYTES / resultBytes)));
  const one = await time(1);
  for (let count = 4; ; count *= 2) {
    const several = await time(Math.min(count, most));
    if (several - one > ENOUGH || count >= most)
      return Math.max(0, several - one) / (Math.min(count, most) - 1);
  }
}

/** A plan of `count` such ops that do not depend on each other. Computed inputs become the input leaves x0, x1 … */
function repeated(plan: Plan, nodes: readonly Node[], count: number): Plan {
  const graph = new Graph();
  const outputs: Tensor[] = [];
  for (let i = 0; i < count; i++) {
    const { op, ins, outs, attrs, region } = nodes[i % nodes.length];
    const leaves = ins.map((t, n) => {
      const { name, kind } = isLeaf(t) ? t : { name: `x${n}`, kind: "input" as const };
      return graph.leaf(name, kind, t.shape, t.dtype, t.live);
    });
    const made = graph.region(region ?? "head", () => graph.emit(op, leaves, attrs));
    outputs.push(...made.filter((_, n) => plan.slotOf.has(outs[n].id)));
  }
  return makePlan(graph, outputs);
}

/** Median of several runs, after two that are not counted. */
async function secondsOf(
  program: Program,
  inputs: Inputs,
  live: LiveCounts,
  outputs: readonly number[],
): Promise<number> {
  const seconds: number[] = [];
  const begin = performance.now();
  while (seconds.length < 5 || (seconds.length < 30 && performance.now() - begin < 200)) {
    const start = performance.now();
    await program.submit(inputs, live, outputs);
    seconds.push((performance.now() - start) / 1000);
  }
  return median(seconds.slice(2));
}

function workOf(node: Node, plan: Plan, inputs: Inputs, live: LiveCounts, pages: number): Work {
  const moved = (t: Tensor): Moved => {
    const shape = liveShape(t, live);
    const packed = isLeaf(t) && t.kind !== "input" ? partBytes(t.dtype, t.shape) : undefined;
    const bytes = packed?.reduce((sum, part) => sum + part, 0) ?? 4 * elements(shape);
    const times = isLeaf(t) && t.kind === "state" ? pages : 1;
    return { shape, bytes: times * bytes, values: isLeaf(t) ? inputs[t.name] : undefined };
  };
  const ins = node.ins.map(moved);
  const outs = node.outs.filter((t) => plan.slotOf.has(t.id)).map(moved);
  const bytes = [...ins, ...outs].reduce((sum, t) => sum + t.bytes, 0);
  const { work } = table.find(({ op }) => op === node.op) ?? {};
  return { flops: 0, bytes, ...work?.({ ins, outs, attrs: node.attrs }) };
}

function isLeaf(t: Tensor): t is Leaf {
  return "kind" in t;
}

function shapesOf(ins: readonly Tensor[]): string {
  return ins.map(({ shape }) => `[${shape.join(",")}]`).join(" ");
}

function noise(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((i * 7919) % 2003) / 1001 - 1);
}
