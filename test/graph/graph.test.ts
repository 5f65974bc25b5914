import { expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { describe, Graph, liveShape, type Op } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { f32 } from "../../src/ops/dtypes.ts";
import { kvAppend } from "../../src/ops/kv-append.ts";

test("a leaf of one name is one tensor", () => {
  const graph = new Graph();
  const first = graph.leaf("x", "input", [4, 8], "f32", "rows");
  expect(graph.leaf("x", "input", [4, 8], "f32", "rows")).toBe(first);
  expect([...graph.leaves.keys()]).toEqual(["x"]);
});

test.each([
  [["weight", [4, 8], "f32", "rows"], "leaf x: weight f32 [rows ≤ 4, 8]"],
  [["input", [8, 4], "f32", "rows"], "leaf x: input f32 [rows ≤ 8, 4]"],
  [["input", [4, 8, 1], "f32", "rows"], "leaf x: input f32 [rows ≤ 4, 8, 1]"],
  [["input", [4, 8], "f16", "rows"], "leaf x: input f16 [rows ≤ 4, 8]"],
  [["input", [4, 8], "f32", undefined], "leaf x: input f32 [4, 8]"],
  [["input", [4, 8], "f32", "wanted"], "leaf x: input f32 [wanted ≤ 4, 8]"],
] as const)("a second use as %j is refused", ([kind, shape, dtype, live], came) => {
  const graph = new Graph();
  graph.leaf("x", "input", [4, 8], "f32", "rows");
  expect(() => graph.leaf("x", kind, shape, dtype, live)).toThrow(
    new InputError(`${came} does not agree with its first use, input f32 [rows ≤ 4, 8]`),
  );
});

test("an op writes state leaves only", () => {
  const graph = new Graph();
  const pool = (name: string, kind: "state" | "input" | "weight") =>
    graph.leaf(name, kind, [2, 16, 4]);
  const rows = (name: string) => graph.leaf(name, "input", [3, 4], "f32", "rows");
  const slots = graph.leaf("slots", "input", [3], "i32", "rows");

  kvAppend(pool("K", "state"), pool("V", "state"), rows("k"), rows("v"), slots);
  expect(graph.nodes).toHaveLength(1);
  for (const kind of ["input", "weight"] as const) {
    const bad = pool(`V as ${kind}`, kind);
    expect(() => kvAppend(pool("K", "state"), bad, rows("k"), rows("v"), slots)).toThrow(
      new InputError(`kv_append: input 1 is written, so it must be a state leaf`),
    );
  }
  const computed = add(pool("K", "state"), pool("V", "state"));
  expect(() => kvAppend(computed, pool("V", "state"), rows("k"), rows("v"), slots)).toThrow(
    new InputError(`kv_append: input 0 is written, so it must be a state leaf`),
  );
  expect(graph.nodes).toHaveLength(2); // what was refused was not recorded
});

test("a region marks what is recorded inside it, also when recording fails", () => {
  const graph = new Graph();
  const x = graph.leaf("x", "input", [2]);
  add(x, x);
  graph.region("outer", () => {
    add(x, x);
    graph.region("inner", () => add(x, x));
    expect(() =>
      graph.region("broken", () => {
        throw new Error("no");
      }),
    ).toThrow("no");
    add(x, x);
  });
  add(x, x);
  const marks = [undefined, "outer", "inner", "outer", undefined];
  expect(graph.nodes.map((node) => node.region)).toEqual(marks);
});

test("an op may have several outputs, each with a type and a live count of its own", () => {
  const pair: Op<object> = {
    name: "pair",
    takes: [f32],
    gives: ["f32", "i32"],
    shapes: ([x]) => [
      { shape: x.shape, live: x.live },
      { shape: [7], live: undefined },
    ],
    run() {},
  };
  const graph = new Graph();
  const x = graph.leaf("x", "input", [5, 3], "f32", "wanted");
  const outs = graph.emit(pair, [x], {});
  expect(outs.map(({ shape, dtype, live }) => ({ shape, dtype, live }))).toEqual([
    { shape: [5, 3], dtype: "f32", live: "wanted" },
    { shape: [7], dtype: "i32", live: undefined },
  ]);
  expect(outs.map((t) => liveShape(t, { rows: 4, wanted: 2 }))).toEqual([[2, 3], [7]]);
  expect([x, ...outs].map(describe)).toEqual(["x [5, 3]", "%1 [5, 3]", "%2 [7]"]);
  expect(new Set([x, ...outs].map((t) => t.id)).size).toBe(3);
});
