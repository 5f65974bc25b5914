// What ops say of dtypes. Each place of each op refuses every dtype that it does not name; of those that it names, the CPU backend
// reads each as its format means it, or refuses the plan. Both follow from the declarations: a new op is tried by itself.

import { expect, test } from "vitest";
import { EngineError, InputError } from "../../src/errors.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { type DType, Graph, type Node, show } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { kvAppend } from "../../src/ops/kv-append.ts";
import { pagedAttention } from "../../src/ops/paged-attention.ts";
import { copyPages } from "../../src/ops/copy-pages.ts";
import { seeded } from "../random.ts";
import { type Case, expected, type Run, worst } from "./case.ts";
import { nodesOfTheTable } from "./every-op.ts";
import { runOn } from "./on-backend.ts";
import { packedFormats, pathsOf } from "./packed-matrix.ts";
import { table } from "./table.ts";
import { packedWeight } from "./tensors.ts";

const PATHS = ["", ":int8", ":fixed16", ":row", ":call", ":unheard_of"];
const weightDTypes = packedFormats.flatMap((format) => PATHS.map((path) => `${format}${path}`));
const dtypes: readonly DType[] = ["i32", "i8", "i8:int8", "f64", "nf4", "q5", ...weightDTypes];

const nodes = nodesOfTheTable();

/** Emits the op of a node again, with another leaf in one place. */
function emitWith({ op, ins, attrs }: Node, place: number, dtype: DType): void {
  const { graph, shape, live } = ins[place];
  const kind = op.writes?.includes(place) ? "state" : "weight";
  const leaf = graph.leaf(`${op.name} ${place} ${dtype}`, kind, shape, dtype, live);
  graph.emit(op, ins.with(place, leaf), attrs);
}

test.each([...nodes])("%s refuses what it does not take", (name, node) => {
  const { takes } = node.op;
  expect(node.ins).toHaveLength(takes.length);
  for (const [place, of] of takes.entries()) {
    const wrong = dtypes.filter((dtype) => !of.has(dtype));
    expect(wrong.length).toBeGreaterThan(0);
    for (const dtype of wrong) {
      const recorded = node.ins[0].graph.nodes.length;
      const leaf = `${name} ${place} ${dtype} ${show(node.ins[place].shape)}`;
      expect(() => emitWith(node, place, dtype)).toThrow(
        new InputError(
          `${name}: ${leaf} is ${dtype}, but input ${place} must be ${of.words}; ${of.remedy}`,
        ),
      );
      expect(node.ins[0].graph.nodes).toHaveLength(recorded);
    }
  }
});

test("add does not read the codes of an nf4 leaf", () => {
  const graph = new Graph();
  const x = graph.leaf("x", "input", [2, 64]);
  const w = graph.leaf("model.layers.0.self_attn.q_proj.weight", "weight", [2, 64], "nf4-64");
  for (const call of [() => add(x, w), () => add(w, x)]) {
    expect(call).toThrow(
      /^add: model\.layers\.0\.self_attn\.q_proj\.weight \[2, 64\] is nf4-64, but input [01] must be f32; only embed, linear, rms_norm and add_bias read weights as they lie: widen it, or keep it as float32$/,
    );
  }
  expect(graph.nodes).toEqual([]);
});

test("an input too many, and one that is missing", () => {
  for (const [name, node] of nodes) {
    const { op, ins, attrs } = node;
    const { graph } = ins[0];
    const least = op.takes.filter(({ optional }) => !optional).length;
    const count = least === op.takes.length ? `${least}` : `${least} to ${op.takes.length}`;
    for (const wrong of [[...ins, ins[0]], ins.slice(0, least - 1)]) {
      expect(() => graph.emit(op, wrong, attrs), name).toThrow(
        `${wrong.length} inputs came, it takes ${count}; its file in src/ops/ says which`,
      );
    }
  }
});

test("both pools of a cache have one dtype", () => {
  const graph = new Graph();
  const [f16, f32] = ["f16", "f32"].map((dtype) => graph.leaf(dtype, "state", [2, 16, 8], dtype));
  const rows = graph.leaf("rows", "input", [3, 8]);
  const index = graph.leaf("index", "input", [3], "i32");
  const pages = graph.leaf("pages", "input", [1, 2, 2], "i32");
  const attrs = { heads: 2, kvHeads: 2, window: 0, scale: 1 };
  const cache = { K: f16, V: f32, seq: index, at: index, pages };
  const calls: Record<string, () => unknown> = {
    kv_append: () => kvAppend(f16, f32, rows, rows, index),
    copy_pages: () => copyPages(f16, f32, index, index),
    paged_attention: () => pagedAttention(rows, cache, attrs),
  };
  for (const [name, call] of Object.entries(calls)) {
    expect(call).toThrow(
      new InputError(
        `${name}: f16 [2, 16, 8] · f32 [2, 16, 8]: one pool is f16, the other f32; keep both in one format`,
      ),
    );
  }
});

test("an input leaf is f32 or i32, as its numbers are written", () => {
  const graph = new Graph();
  expect(() => graph.leaf("x", "input", [2], "bf16")).toThrow(
    new InputError(
      "leaf x: inputs are written as f32 or i32, not as bf16; make it a weight or a state",
    ),
  );
  expect(graph.leaves.size).toBe(0);
});

/** √(Σ error² / Σ value²): activations of 8 bits cost about a hundredth, bytes that are read wrongly cost all. */
function relativeError(came: Float32Array, wanted: Float64Array): number {
  const sum = (of: (i: number) => number): number =>
    came.reduce((total, _, i) => total + of(i) ** 2, 0);
  return Math.sqrt(sum((i) => came[i] - wanted[i]) / sum((i) => wanted[i]));
}

const cpu = await WasmBackend.create({ threads: 1 });

/** Sizes of a case whose weight every format can hold, several rows of it. */
function wholeBlocks(c: Case, place: number): Run {
  for (const sizes of c.sizes) {
    const ins = c.inputs(sizes, seeded(5));
    const columns = ins[place].shape.at(-1) ?? 1;
    if (columns % 256 === 0 && (sizes.T ?? 2) > 1) return { case: c, sizes, ins };
  }
  throw new Error(`${c.op.name}: no sizes with a weight of a multiple of 256 columns`);
}

const withWeights = table.flatMap((c) =>
  c.inputs(c.sizes[0], seeded(1)).flatMap(({ kind }, place) => {
    return kind === "weight" ? [{ name: c.op.name, c, place }] : [];
  }),
);

test.each(withWeights)("cpu: $name reads every weight that it takes, or refuses it", async (on) => {
  const { name, c, place } = on;
  const taken = weightDTypes.filter((dtype) => c.op.takes[place].has(dtype));
  expect(taken).toContain("f32");
  const whole = wholeBlocks(c, place);
  for (const dtype of taken) {
    const ins = whole.ins.with(place, packedWeight(whole.ins[place], dtype, seeded(3)));
    const run: Run = { ...whole, ins };
    const [format, path] = dtype.split(":");
    if (name === "linear" && path !== undefined && !pathsOf(format).includes(path)) {
      await expect(runOn(cpu, run)).rejects.toThrow(EngineError);
      continue;
    }
    const { results, bound } = expected(run);
    const came = await runOn(cpu, run);
    // Only products care for the path.
    if (name === "linear" && path !== undefined)
      expect(relativeError(came[0], results[0]), dtype).toBeLessThan(0.04);
    else expect(worst(came, results, bound).ratio, dtype).toBeLessThanOrEqual(1);
  }
});

test("cpu: paths want whole blocks of columns", async () => {
  const linear = table.find(({ op }) => op.name === "linear") as Case;
  const sizes = { T: 2, K: 96, O: 8 };
  const ins = linear.inputs(sizes, seeded(5));
  const weight = packedWeight(ins[1], "nf4-64:fixed16", seeded(3));
  await expect(runOn(cpu, { case: linear, sizes, ins: ins.with(1, weight) })).rejects.toThrow(
    "linear: in1 [8, 96] is nf4-64:fixed16, a compute path that the CPU backend does not have for it: " +
      "columns and block must be multiples of 64, not 96 and 64; leave out what follows the colon for exact products",
  );
});

test("cpu: states are tried in every format that an op takes", () => {
  const withStates = table.filter(({ inputs, sizes: [first] }) =>
    inputs(first, seeded(1)).some(({ kind }) => kind === "state"),
  );
  expect(withStates.length).toBeGreaterThan(3);
  for (const { op, sizes, inputs } of withStates) {
    const seen = sizes.map((s) => inputs(s, seeded(1)));
    for (const [place, takes] of op.takes.entries()) {
      if (!seen.some((ins) => ins[place]?.kind === "state")) continue;
      const tried = new Set(seen.map((ins) => ins[place]?.dtype));
      for (const dtype of dtypes.filter((d) => takes.has(d)))
        expect([...tried], `${op.name}, input ${place}`).toContain(dtype);
    }
  }
});
