// Before WebAssembly calls machine code, which checks nothing, it traps if an address or a count would lead out of the memory.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { formatCodes } from "../../src/backends/wasm/format-codes.ts";
import { KernelBench, kernelPath } from "./wasm-kernels.ts";

let calls = 0;
const bench = new KernelBench(
  new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm"))),
  () => ({ native: () => void calls++, base: 2 ** 33 }),
);
/** Bytes of the bench's memory, and a place in it with room behind it. */
const END = 512 * 65_536;
const AT = 2 ** 20;

type Argument = number | "address" | "count";
const [T, K, O] = [3, 256, 40];
const code = (format: string): number => formatCodes[format] ?? -1;

/** The arguments of each kernel; a count is that of rows or columns that end. */
const kernels: Readonly<Record<string, readonly Argument[]>> = {
  native_eight_rows: [
    ...(["address", "address", "address", "address"] as const),
    ...[code("q4r"), K, O],
    "address",
    ...([T, 0, "count", 0, "count"] as const),
  ],
  native_four_bit: [
    0,
    ...(["address", "address", "address"] as const),
    ...[AT, AT, AT, code("nf4"), 64, K, O],
    "address",
    ...([T, 0, "count", 0, "count"] as const),
  ],
  native_dense: [
    ...(["address", "address", "address"] as const),
    ...[code("f32"), K, O],
    "address",
    ...([0, "count", 0, "count"] as const),
  ],
};

const values = (list: readonly Argument[]): number[] => {
  let count = 0;
  return list.map((one) => (one === "address" ? AT : one === "count" ? [T, O][count++] : one));
};

test.each(Object.keys(kernels))("%s", (name) => {
  const list = kernels[name];
  const run = (...args: number[]): void => void bench.kernels[name](...args);
  calls = 0;
  run(...values(list));
  expect(calls).toBeGreaterThan(0);
  calls = 0;
  for (const [i, one] of list.entries()) {
    if (typeof one === "number") continue;
    for (const wrong of one === "address" ? [END - 8, 2 ** 32 - 64] : [0, -1]) {
      const trap = (): void => run(...values(list).with(i, wrong));
      expect(trap, `argument ${i} is ${wrong}`).toThrow(WebAssembly.RuntimeError);
    }
  }
  expect(calls).toBe(0);
});
