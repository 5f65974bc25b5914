// The numbers by which WebAssembly calls kernels of machine code.

import { expect, test } from "vitest";
import * as attention from "../../src/backends/native/attention-words.ts";
import * as eightRows from "../../src/backends/native/call-words.ts";
import * as dense from "../../src/backends/native/dense-call-words.ts";
import { denseFormats } from "../../src/backends/native/dense-formats.ts";
import { eightRowFormats } from "../../src/backends/native/eight-row-formats.ts";
import * as fourBit from "../../src/backends/native/four-bit-words.ts";

test("are different ones", () => {
  const of = (words: object, pattern: RegExp): number[] =>
    Object.entries(words).flatMap(([name, value]) => (pattern.test(name) ? [value as number] : []));
  const numbers = [
    ...of(eightRows, /^NATIVE_/),
    ...of(dense, /^DENSE_(FEW|MANY)_/),
    ...of(fourBit, /^FOUR_BIT_(INT8|FIXED16)_ROWS?$/),
    ...of(attention, /^ATTENTION_(SCORES|SUMS)$/),
  ];
  expect(numbers.length).toBe(6 + 6 + 4 + 2);
  expect(new Set(numbers).size).toBe(numbers.length);
});

test("of formats are in the order of the formats, from the first one's on", () => {
  const { NATIVE_Q4, NATIVE_Q4R, NATIVE_Q6R, NATIVE_Q8, NATIVE_Q4K, NATIVE_Q6K } = eightRows;
  const numbers = [NATIVE_Q4, NATIVE_Q4R, NATIVE_Q6R, NATIVE_Q8, NATIVE_Q4K, NATIVE_Q6K];
  expect(numbers).toEqual([0, 1, 2, 3, 4, 5]);
  expect(eightRowFormats.map(({ name }) => name)).toEqual(["q4", "q4r", "q6r", "q8", "q4k", "q6k"]);
  expect(denseFormats.map(({ name }) => name)).toEqual(["f32", "bf16", "f16"]);
});
