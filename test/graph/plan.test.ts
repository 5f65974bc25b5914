import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { elements, Graph, type Op, type Tensor } from "../../src/graph/graph.ts";
import { makePlan, type Plan } from "../../src/graph/plan.ts";
import { f32, optional } from "../../src/ops/dtypes.ts";
import { evaluator } from "./evaluate.ts";

/** Outputs of any sizes, each element a whole number made of all inputs: exact, and different when one input is. */
const mix: Op<{ sizes: readonly number[]; salt: number }> = {
  name: "mix",
  takes: [f32, optional(f32), optional(f32)],
  gives: ["f32", "f32", "f32"],
  shapes: (_ins, { sizes }) => sizes.map((size) => ({ shape: [size], live: undefined })),
  run(outs, ins, _shapes, { salt }) {
    const seen = ins.flatMap((values) => [...values]);
    outs.forEach((out, o) => {
      for (let i = 0; i < out.length; i++) {
        out[i] = seen.reduce((hash, x) => (hash * 31 + x) % 1_000_003, salt + 7 * o + i);
      }
    });
  },
};

/** Adds its inputs to the state; gives what the state was. */
const bump: Op<object> = {
  name: "bump",
  takes: [f32, optional(f32), optional(f32), optional(f32)],
  gives: ["f32"],
  writes: [0],
  shapes: ([state]) => [{ shape: state.shape, live: undefined }],
  run([before], [state, ...others]) {
    before.set(state);
    for (const x of others) for (let i = 0; i < state.length; i++) state[i] += x[i % x.length];
  },
};

type Step = { write: boolean; from: number[]; sizes: number[]; salt: number };
type Program = { steps: Step[]; wanted: number[] };

const programs: fc.Arbitrary<Program> = fc.record({
  steps: fc.array(
    fc.record({
      write: fc.boolean(),
      from: fc.array(fc.nat(1000), { minLength: 1, maxLength: 3 }),
      sizes: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
      salt: fc.nat(1000),
    }),
    { minLength: 1, maxLength: 40 },
  ),
  wanted: fc.array(fc.nat(1000), { minLength: 1, maxLength: 4 }),
});

const LEAVES = { x: [1, 2, 3], y: [40, 50] };

function record({ steps, wanted }: Program): { graph: Graph; outputs: Tensor[]; all: Tensor[] } {
  const graph = new Graph();
  const state = graph.leaf("state", "state", [4]);
  const all: Tensor[] = [graph.leaf("x", "input", [3]), graph.leaf("y", "weight", [2]), state];
  const pick = (n: number): Tensor => all[n % all.length];
  for (const { write, from, sizes, salt } of steps) {
    const ins = from.map(pick);
    all.push(
      ...(write ? graph.emit(bump, [state, ...ins], {}) : graph.emit(mix, ins, { sizes, salt })),
    );
  }
  return { graph, outputs: wanted.map(pick), all };
}

/** Every tensor in memory of its own, node after node as recorded: what each value must be. */
function interpret(graph: Graph): Map<number, Float64Array> {
  const values = new Map<number, Float64Array>();
  for (const [name, leaf] of graph.leaves) {
    values.set(leaf.id, Float64Array.from(LEAVES[name as "x"] ?? [0, 0, 0, 0]));
  }
  for (const { op, ins, outs, attrs } of graph.nodes) {
    for (const t of outs) values.set(t.id, new Float64Array(elements(t.shape)));
    const of = (t: Tensor): Float64Array => values.get(t.id) ?? new Float64Array();
    const shapes = ins.map((t) => t.shape);
    op.run(outs.map(of), ins.map(of), shapes, attrs);
  }
  return values;
}

describe("slots", () => {
  test("random graphs give the same values in shared slots as in memory of their own", () => {
    fc.assert(
      fc.property(programs, (program) => {
        const { graph, outputs } = record(program);
        const expected = interpret(graph);
        const state = new Float64Array(4);
        const got = evaluator(graph, outputs)({ ...LEAVES, state });
        const final = graph.leaves.get("state");
        expect([...state]).toEqual([...(expected.get(final?.id ?? -1) ?? [])]);
        outputs.forEach((t, i) => expect([...got[i]]).toEqual([...(expected.get(t.id) ?? [])]));
      }),
      { numRuns: 400 },
    );
  });

  test("no node reads and writes one slot, no two outputs share one, every tensor fits", () => {
    fc.assert(
      fc.property(programs, (program) => {
        const { graph, outputs } = record(program);
        const plan = makePlan(graph, outputs);
        for (const { ins, outs } of plan.nodes) {
          const written = slotsOf(plan, outs);
          const read = new Set(slotsOf(plan, ins));
          expect(new Set(written).size).toBe(written.length);
          expect(written.filter((slot) => read.has(slot))).toEqual([]);
          const held = outs.filter((t) => plan.slotOf.has(t.id));
          held.forEach((t, i) => {
            expect(plan.slots[written[i]].elements).toBeGreaterThanOrEqual(elements(t.shape));
          });
        }
      }),
      { numRuns: 400 },
    );
  });

  test("a tensor that nobody reads has no slot; one that is read, or wanted, has", () => {
    fc.assert(
      fc.property(programs, (program) => {
        const { graph, outputs } = record(program);
        const plan = makePlan(graph, outputs);
        const used = new Set(
          [...plan.nodes.flatMap((node) => node.ins), ...outputs].map((t) => t.id),
        );
        for (const t of plan.nodes.flatMap((node) => node.outs)) {
          expect(plan.slotOf.has(t.id)).toBe(used.has(t.id));
        }
      }),
      { numRuns: 400 },
    );
  });

  test("two wanted tensors never share a slot", () => {
    fc.assert(
      fc.property(programs, (program) => {
        const { graph, outputs } = record(program);
        const plan = makePlan(graph, outputs);
        const distinct = [...new Map(outputs.map((t) => [t.id, t])).values()];
        const slots = slotsOf(plan, distinct);
        expect(new Set(slots).size).toBe(slots.length);
      }),
    );
  });

  test("a long chain lives in a handful of slots, with neighbours apart", () => {
    const graph = new Graph();
    let x: Tensor = graph.leaf("x", "input", [3]);
    for (let i = 0; i < 200; i++) [x] = graph.emit(mix, [x], { sizes: [5], salt: i });
    const plan = makePlan(graph, [x]);
    expect(plan.slots.length).toBeLessThanOrEqual(5);
    // The node that may still run beside a neighbour must not lose what the neighbour reads.
    for (let i = 3; i < plan.nodes.length; i++) {
      const near = plan.nodes.slice(i - 3, i).flatMap((node) => slotsOf(plan, node.outs));
      expect(near).not.toContain(slotsOf(plan, plan.nodes[i].outs)[0]);
    }
  });
});

describe("nodes", () => {
  test("what nobody wants is dropped, with all that only it needed", () => {
    const graph = new Graph();
    const x = graph.leaf("x", "input", [3]);
    const only = graph.leaf("only for the unwanted", "weight", [3]);
    const emit = (...ins: Tensor[]): Tensor => graph.emit(mix, ins, { sizes: [2], salt: 0 })[0];
    const wanted = emit(emit(x));
    emit(emit(only, wanted));
    const plan = makePlan(graph, [wanted]);
    expect(plan.nodes).toEqual(graph.nodes.slice(0, 2));
    expect([...plan.leaves.keys()]).toEqual(["x"]);
  });

  test("a node that writes state stays, with all that it needs, in its order", () => {
    const graph = new Graph();
    const state = graph.leaf("state", "state", [4]);
    const x = graph.leaf("x", "input", [3]);
    const [before] = graph.emit(mix, [state], { sizes: [1], salt: 0 });
    const [feeds] = graph.emit(mix, [x], { sizes: [3], salt: 1 });
    graph.emit(bump, [state, feeds], {});
    const [after] = graph.emit(mix, [state], { sizes: [1], salt: 0 });

    expect(makePlan(graph, []).nodes.map((node) => node.op.name)).toEqual(["mix", "bump"]);
    const run = evaluator(graph, [before, after]);
    const [first, second] = run({ x: [1, 2, 3], state: new Float64Array(4) });
    expect(first[0]).not.toBe(second[0]);
  });

  test("a leaf may be an output", () => {
    const graph = new Graph();
    const x = graph.leaf("x", "input", [3]);
    expect(evaluator(graph, [x])(LEAVES)).toEqual([Float64Array.from(LEAVES.x)]);
  });
});

test("the simulation notices a slot that is given away too early", () => {
  const graph = new Graph();
  let x: Tensor = graph.leaf("x", "input", [3]);
  const [kept] = graph.emit(mix, [x], { sizes: [1], salt: 0 });
  for (let i = 0; i < 9; i++) [x] = graph.emit(mix, [x], { sizes: [1], salt: i });
  const run = evaluator(graph, [x, kept], (plan) => {
    const slotOf = new Map(plan.slotOf);
    slotOf.set(kept.id, slotsOf(plan, [x])[0]);
    return { ...plan, slotOf };
  });
  const [, broken] = run(LEAVES);
  expect([...broken]).not.toEqual([...(interpret(graph).get(kept.id) ?? [])]);
});

function slotsOf(plan: Plan, tensors: readonly Tensor[]): number[] {
  return tensors.map((t) => plan.slotOf.get(t.id)).filter((slot) => slot !== undefined);
}
