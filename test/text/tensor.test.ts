// The users' tensor: from nested arrays and back, and what it refuses.

import { expect, test } from "vitest";
import { Tensor } from "../../src/api/tensor.ts";

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
  expect(Tensor.from([ids, ids]).dims).toEqual([2, 2, 3]);
  expect(Tensor.from(ids)).toBe(ids);
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
])("refuses %s", (_, run, message) => {
  expect(run).toThrow(
    expect.objectContaining({ name: "InputError", message: expect.stringMatching(message) }),
  );
});
