// Machine code for products with plain weights against the WebAssembly kernels: the same bits, of many rows and few, in any ranges, and
// nothing written beside a tensor.

import { NATIVE_DENSE } from "../../src/backends/wasm/kernels/header.ts";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as word from "../../src/backends/native/dense-call-words.ts";
import { formatCodes } from "../../src/backends/wasm/format-codes.ts";
import { DENSE_PANEL_AT, linearScratch } from "../../src/backends/wasm/kernels/scratch.ts";
import { simulatedKernels } from "../native/simulated-kernels.ts";
import { seeded } from "../random.ts";
import { type Case, grid, type Run } from "./case.ts";
import { nativeContract } from "./native-contract.ts";
import { runEncoded } from "./run-encoded.ts";
import { table } from "./table.ts";
import { rounded } from "./tensors.ts";
import { KernelBench, kernelPath } from "./wasm-kernels.ts";

type Sizes = { readonly T: number; readonly K: number; readonly O: number };
type Product = {
  readonly dtype: string;
  readonly sizes: Sizes;
  readonly x: Float32Array;
  readonly w: Uint8Array;
};

/** Bits that let a 16-bit number be no larger than 2. */
const FINITE = 0xbfff;

/** Numbers of different sizes, subnormal ones too; some rows of x and some columns are special. */
function randomProduct(dtype: string, sizes: Sizes): Product {
  const { T, K, O } = sizes;
  const random = seeded(sizes.O + 7 * sizes.K + sizes.T);
  const x = Float32Array.from(
    { length: T * K },
    (_, i) => random.uniform(-1, 1) * 2 ** (((i >> 5) % 9) - 6),
  );
  if (T > 2) x.fill(0, K, 2 * K);
  if (T > 4) [x[3 * K], x[5 * K - 1]] = [Infinity, NaN];
  if (dtype === "f32") {
    const w = Float32Array.from({ length: O * K }, () => random.uniform(-1, 1));
    w.fill(2 ** -140, 0, K);
    if (O > 4) [w[3 * K], w[5 * K - 1]] = [-Infinity, NaN];
    return { dtype, sizes, x, w: new Uint8Array(w.buffer) };
  }
  const w = Uint16Array.from({ length: O * K }, () => random.below(65536) & FINITE);
  if (dtype === "f16") w.fill(0x8001, 0, K); // the smallest
  const [infinity, nan] = dtype === "f16" ? [0xfc00, 0x7e01] : [0xff80, 0x7fc1];
  if (O > 4) [w[3 * K], w[5 * K - 1]] = [infinity, nan];
  return { dtype, sizes, x, w: new Uint8Array(w.buffer) };
}

/** y [T, O], in ranges of columns and rows, the last ones first. @throws Error when a kernel wrote beside its tensors */
function multiply(
  bench: KernelBench,
  { dtype, sizes: { T, K, O }, x, w }: Product,
  { columns = 1, rows = 1, native = false } = {},
): Float32Array {
  bench.clear();
  const [xAt, wAt, yAt] = [
    bench.reserve(4 * T * K),
    bench.reserve(w.length, 2),
    bench.reserve(4 * T * O),
  ];
  const scratch = bench.reserveScratch(linearScratch(K));
  bench.set(xAt, x);
  bench.set(wAt, w);
  const { native_dense, [`linear_${dtype}`]: linear } = bench.kernels;
  for (const [first, last] of ranges(T, rows))
    for (const range of ranges(O, columns)) {
      const cut = [first, last, ...range];
      if (native) native_dense(yAt, xAt, wAt, formatCodes[dtype] ?? -1, K, O, scratch, ...cut);
      else linear(yAt, xAt, wAt, K, O, scratch, 0, ...cut);
    }
  const damaged = bench.damaged();
  if (damaged !== undefined) throw new Error(`wrote to byte ${damaged}, beside all tensors`);
  return bench.floats(yAt, T * O);
}

function ranges(size: number, count: number): [number, number][] {
  const border = (i: number): number => Math.floor((i * size) / count);
  return Array.from({ length: count }, (_, i): [number, number] => [border(i), border(i + 1)])
    .filter(([begin, end]) => begin < end)
    .toReversed();
}

nativeContract({
  family: NATIVE_DENSE,
  names: ["f32", "bf16", "f16"],
  simulated: () => [
    ...[1, 2, 3, 4, 5, 6, 7, 25].map((T) => ({ T, K: 45, O: 9 })),
    ...[1, 7, 8, 16].map((K) => ({ T: 2, K, O: 11 })),
    ...[1, 7, 8].map((K) => ({ T: 26, K, O: 3 })),
    ...[
      { T: 3, K: 1031, O: 8 },
      { T: 27, K: 1027, O: 9 },
    ],
  ],
  run: () =>
    [
      ...grid({
        T: [1, 2, 5, 6, 7, 12, 13, 24, 25, 31],
        K: [1, 7, 64, 100, 1023, 1032],
        O: [1, 7, 8, 9, 17],
      }),
      ...grid({ T: [1, 6, 40, 131], K: [2048, 3077], O: [30, 48] }),
    ] as Sizes[],
  products(dtype, sizes, wasm) {
    const product = randomProduct(dtype, sizes);
    return {
      want: multiply(wasm, product),
      byMachineCode: (native) =>
        [{}, { columns: 3, rows: 2 }, { columns: 2, rows: 3 }].map((cuts) =>
          multiply(native, product, { ...cuts, native: true }),
        ),
    };
  },
});

describe("scratch", () => {
  const bench = new KernelBench(
    new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm"))),
    simulatedKernels,
  );
  const linear = table.find(({ op }) => op.name === "linear") as Case;
  const run = (dtype: string, sizes: Sizes): Run => {
    const [x, w] = linear.inputs(sizes, seeded(1));
    return { case: linear, sizes, ins: [x, rounded(w, dtype)] };
  };

  test("machine code has room for a panel", () => {
    expect(word.DENSE_PANEL).toBe(DENSE_PANEL_AT);
    expect(word.DENSE_PANEL % 64).toBe(0);
  });

  test.each(["f32", "bf16", "f16"])(
    "of %s: machine code stays within it, and needs all",
    (dtype) => {
      for (const sizes of [
        ...[1, 6, 7].map((T) => ({ T, K: 40, O: 10 })),
        { T: 25, K: 61, O: 9 },
        { T: 25, K: 1100, O: 8 },
      ]) {
        const [{ damaged }] = runEncoded(bench, run(dtype, sizes));
        expect(damaged, JSON.stringify(sizes)).toBeUndefined();
      }
      const [denied] = runEncoded(bench, run(dtype, { T: 25, K: 1100, O: 8 }), { less: 16 });
      expect(denied.damaged).toBeDefined();
    },
  );
});
