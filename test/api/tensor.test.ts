// The users' tensor: from nested arrays and back, and what it refuses.

import { expect, test } from "vitest";
import { Tensor } from "../../src/api/tensor/tensor.ts";

test("nested arrays and back", () => {
  const ids = Tensor.from([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  expect([ids.dtype, ids.dims, ids.size, ids.data]).toEqual([
    "int32",
    [2, 3],
    6,
    Int32Array.of(1, 2, 3, 4, 5, 6),
  ]);
  expect(ids.tolist()).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  expect(JSON.stringify(ids)).toBe("[[1,2,3],[4,5,6]]");
  expect(Tensor.from(3).tolist()).toBe(3);
  expect(Tensor.from([]).dims).toEqual([0]);
  expect(Tensor.from([[], []]).dims).toEqual([2, 0]);
  expect(Tensor.from([[true, false]]).tolist()).toEqual([[true, false]]);
  expect(Tensor.from([0.5, 1]).dtype).toBe("float32");
  expect(Tensor.from([1, 0], "bool").tolist()).toEqual([true, false]);
  expect(Tensor.from([5n]).data).toEqual(Int32Array.of(5));
  expect(Tensor.from([Float32Array.of(1, 2), Float32Array.of(3, 4)])).toMatchObject({
    dtype: "float32",
    dims: [2, 2],
  });
  expect(Tensor.from([Tensor.from(1), Tensor.from(2)]).tolist()).toEqual([1, 2]);
  expect(Tensor.from([ids, ids]).dims).toEqual([2, 2, 3]);
  expect(Tensor.from(ids)).toBe(ids);
});

const x = Tensor.from([
  [1, 2, 3, 4],
  [5, 6, 7, 8],
  [9, 10, 11, 12],
]);
const float = (...values: number[]): Tensor => Tensor.from(Float32Array.from(values));

test("shape, ndim and at", () => {
  expect([x.shape, x.ndim, x.at(-1).shape, x.at(1, 2).shape, x.at().shape]).toEqual([
    ...[[3, 4], 2, [4], [], [3, 4]],
  ]);
  expect([x.at(-1).tolist(), x.at(1, -2).item()]).toEqual([[9, 10, 11, 12], 7]);
  const own = Tensor.from([[1, 2]], "float32");
  own.at(0).data[1] = 7;
  expect(own.tolist()).toEqual([[1, 7]]);
});

test("iteration over rows; a scalar has none", () => {
  expect([...x].map((row) => row.tolist())).toEqual(x.tolist());
  expect([...x.at(0)].map((one) => one.item())).toEqual([1, 2, 3, 4]);
  expect([...Tensor.from([])]).toEqual([]);
  expect(() => [...Tensor.from(4)]).toThrow(TypeError);
  // What test tools do with iterables works for tensors, scalars included.
  expect({ loss: Tensor.from(0.5), ids: Tensor.from([1, 2]) }).toEqual({
    ...{ loss: Tensor.from(0.5), ids: Tensor.from([1, 2]) },
  });
  expect(Tensor.from([1, 2])).not.toEqual(Tensor.from([1, 3]));
  expect(Tensor.from(1)).not.toEqual(Tensor.from(2));
});

test("slices are those of Python's x[…]", () => {
  expect(x.slice([1, 100]).tolist()).toEqual([
    [5, 6, 7, 8],
    [9, 10, 11, 12],
  ]);
  expect(x.slice([5, 2]).dims).toEqual([0, 4]);
  expect(x.slice([-2, null], -1).tolist()).toEqual([8, 12]);
  expect(x.slice(null, -1).tolist()).toEqual([4, 8, 12]);
  expect(x.slice(1, [1, 3]).tolist()).toEqual([6, 7]);
  expect(x.slice([-100, 1]).tolist()).toEqual([[1, 2, 3, 4]]);
  expect(x.slice(1, 1).tolist()).toBe(6);
  const copy = x.slice();
  copy.data[0] = 99;
  expect(x.at(0, 0).item()).toBe(1);
});

// Right values: PyTorch 2.
test("softmax", () => {
  const logits = Tensor.from([
    [1, 2, 3],
    [1, 2, 4],
  ]).to("float32");
  const close = (values: Tensor, expected: number[]): void => {
    expect(values.data).toHaveLength(expected.length);
    expected.forEach((value, i) => expect(Math.abs(values.data[i] / value - 1)).toBeLessThan(2e-7));
  };
  close(logits.softmax(-1), [
    ...[0.09003057330846786, 0.2447284758090973, 0.6652409434318542],
    ...[0.04201006516814232, 0.11419519037008286, 0.8437947034835815],
  ]);
  close(logits.softmax(0), [0.5, 0.5, 0.2689414322376251, 0.5, 0.5, 0.7310585975646973]);
  const wide = float(88.7, 0, -104).softmax(0);
  expect(wide.tolist()).toEqual([1, Math.fround(3.006635794144578e-39), 0]);
  expect(float(1, -Infinity).softmax(0).tolist()).toEqual([1, 0]);
  for (const values of [
    [-Infinity, -Infinity],
    [Infinity, 1],
    [NaN, 1],
  ]) {
    expect(
      float(...values)
        .softmax(0)
        .tolist(),
    ).toEqual([NaN, NaN]);
    expect(Tensor.from(Float64Array.from(values)).softmax(0).tolist()).toEqual([NaN, NaN]);
  }
  expect(Tensor.from(3, "float32").softmax(0).tolist()).toBe(1);
  expect(Tensor.from([[], []], "float32").softmax(1).dims).toEqual([2, 0]);
  const double = Tensor.from(Float64Array.of(1, 2, 3)).softmax(-1);
  expect(double.dtype).toBe("float64");
  expect(double.data[2]).toBeCloseTo(0.66524095577482178, 15);
});

test("argmax", () => {
  const ties = Tensor.from([
    [1, 3, 3],
    [5, 5, 1],
  ]);
  expect([ties.argmax(0).tolist(), ties.argmax(-1).tolist(), ties.argmax().tolist()]).toEqual([
    ...[[1, 1, 0], [1, 0], 3],
  ]);
  expect(ties.argmax(-1, true).tolist()).toEqual([[1], [0]]);
  expect(float(1, 3, 3, NaN, NaN).argmax().item()).toBe(3);
  expect([Tensor.from(4).argmax().tolist(), Tensor.from(4).argmax(-1).tolist()]).toEqual([0, 0]);
  expect(Tensor.from([[], []], "float32").argmax(0).dims).toEqual([0]);
});

test("topk", () => {
  const lists = ({ values, indices }: { values: Tensor; indices: Tensor }): unknown[] => [
    values.tolist(),
    indices.tolist(),
  ];
  const ties = Tensor.from([3, 1, 3, 2, 3]);
  expect(lists(ties.topk(4))).toEqual([
    [3, 3, 3, 2],
    [0, 2, 4, 3],
  ]);
  expect(lists(ties.topk(2, -1, false))).toEqual([
    [1, 2],
    [1, 3],
  ]);
  expect(lists(float(1, NaN, 3).topk(2))).toEqual([
    [NaN, 3],
    [1, 2],
  ]);
  expect(lists(float(1, NaN, 3).topk(2, -1, false))).toEqual([
    [1, 3],
    [0, 2],
  ]);
  const square = Tensor.from([
    [1, 2],
    [3, 0],
  ]);
  expect(lists(square.topk(1, 0))).toEqual([[[3, 2]], [[1, 0]]]);
  expect(lists(Tensor.from(4).topk(1))).toEqual([4, 0]);
  expect(square.topk(0).values.dims).toEqual([2, 0]);
});

test("topk of a long row finds what sorting finds", () => {
  const row = Float32Array.from({ length: 5000 }, (_, i) => (i * 7919) % 1013);
  const { values, indices } = Tensor.from(row).topk(40);
  const order = [...row.keys()].toSorted((a, b) => row[b] - row[a] || a - b).slice(0, 40);
  expect([...indices.data]).toEqual(order);
  expect([...values.data]).toEqual(order.map((i) => row[i]));
});

test("to: dtypes as in PyTorch, devices change nothing", () => {
  expect(float(1.7, -1.7, 300).to("int32").tolist()).toEqual([1, -1, 300]);
  expect(Tensor.from([300, -1]).to("torch.uint8").tolist()).toEqual([44, 255]);
  expect(float(0, 0.5).to("bool").tolist()).toEqual([false, true]);
  expect(Tensor.from([true]).to("float32").tolist()).toEqual([1]);
  expect(float(2).to("torch.int64").dtype).toBe("int32");
  for (const device of ["cuda", "cuda:1", "cpu", "mps", "webgpu", 0] as const)
    expect(x.to(device)).toBe(x);
  expect(x.to({ device: "cpu", dtype: "float64" }).dtype).toBe("float64");
  expect(x.to("cpu", "float32").dtype).toBe("float32");
  expect(x.to("int32")).toBe(x);
});

test.each<[string, () => unknown, RegExp]>([
  [
    "ragged",
    () => Tensor.from([[1, 2], [3]]),
    /dimension 1 \(1 elements, where the first has 2\); pad/,
  ],
  ["a number among rows", () => Tensor.from([[1], 2]), /dimension 1/],
  ["a row among numbers", () => Tensor.from([1, [2]]), /dimension 1/],
  ["text", () => Tensor.from(["a"] as unknown as number[]), /of type string; expected a number/],
  ["a fraction as int32", () => Tensor.from([1.5], "int32"), /element 0 is 1.5; int32 needs/],
  ["2^31 as int32", () => Tensor.from([2 ** 31], "int32"), /needs an integer from/],
  ["another dtype", () => Tensor.from([1], "int8" as "int32"), /dtype "int8" is none of/],
  [
    "data that does not fit",
    () => new Tensor("int32", new Int32Array(3), [2, 2]),
    /need 4 elements/,
  ],
  ["data of another type", () => new Tensor("int32", new Float32Array(4), [4]), /Int32Array/],
  [
    "dims below zero",
    () => new Tensor("int32", new Int32Array(1), [-1, -1]),
    /integers of 0 or more/,
  ],
  ["an index beyond the end", () => x.at(3), /at: index 3 .* \[3, 4\].*from -3 to 2/],
  ["a third index", () => x.at(0, 0, 0), /at most 2 indices/],
  ["a fraction in a range", () => x.slice([0.5, 2]), /expected integers or null/],
  ["a slice of a third dimension", () => x.slice(0, 0, 0), /3 arguments, expected at most 2/],
  ["softmax of integers", () => x.softmax(0), /int32: .*to\("float32"\)/],
  ["another dimension", () => float(1).softmax(1), /softmax: dim 1 .* from -1 to 0/],
  ["argmax of nothing", () => Tensor.from([]).argmax(), /no elements/],
  ["argmax along nothing", () => Tensor.from([[], []]).argmax(1), /dimension 1 has no elements/],
  ["argmax of booleans", () => Tensor.from([true]).argmax(), /argmax of a tensor of bool/],
  ["topk above the size", () => x.topk(5), /k is 5: expected an integer from 0 to 4/],
  ["topk below 0", () => x.topk(-1), /k is -1/],
  ["half precision", () => x.to("float16" as "float32"), /unknown device or dtype "float16"/],
  ["an unknown device", () => x.to("cudda" as "cuda"), /did you mean "cuda"/],
  ["a misspelt name", () => x.to({ divice: "cpu" } as object), /option "divice"; did you mean/],
  ["no target", () => x.to(undefined as unknown as "cpu"), /device or dtype undefined/],
  ["a list of devices", () => x.to(["cpu"] as unknown as "cpu"), /device or dtype \["cpu"\]/],
  ["a mask as a slice", () => x.slice(true as unknown as null), /slice: true: expected null, an/],
  [
    "a range with a step",
    () => x.slice([0, 1, 2] as unknown as null),
    /slice: \[0,1,2\]: expected/,
  ],
  ["item of several", () => x.item(), /item\(\) of a tensor \[3, 4\]/],
])("refuses %s", (_, run, message) => {
  expect(run).toThrow(
    expect.objectContaining({ name: "InputError", message: expect.stringMatching(message) }),
  );
});
