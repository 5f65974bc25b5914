// Machine code of the int8 compute path against the WebAssembly kernels: the same bits, of many rows and few, in any ranges, and nothing
// written beside a tensor.

import { NATIVE_INT8 } from "../../src/backends/wasm/kernels/header.ts";
import { expect, test } from "vitest";
import { CALL_BYTES, PANEL_BLOCK } from "../../src/backends/native/call-words.ts";
import { eightRowsScratch } from "../../src/backends/wasm/kernels/scratch.ts";
import { seeded } from "../random.ts";
import { grid } from "./case.ts";
import { multiply, type Sizes } from "./int8-compute-path.ts";
import { randomProduct, int8Weights } from "./int8-weights.ts";
import { nativeContract } from "./native-contract.ts";

/** Sizes of which K is a multiple of what the format needs. */
const fitting = (format: string, sizes: readonly Sizes[]): Sizes[] =>
  sizes.filter(({ K }) => K % int8Weights[format].step === 0);

const few: Sizes[] = [
  ...[1, 2, 3, 5, 7, 12].map((T) => ({ T, K: 256, O: 9 })),
  ...[
    { T: 13, K: 256, O: 24 },
    { T: 29, K: 256, O: 33 },
  ],
  ...[
    { T: 4, K: 33, O: 40 },
    { T: 19, K: 31, O: 1 },
  ],
];
const many = [
  ...grid({ T: [1, 2, 5, 12, 13, 25], K: [1, 33, 256, 512], O: [1, 7, 8, 9, 16, 17, 33] }),
  ...[
    { T: 131, K: 256, O: 31 },
    { T: 6, K: 4096, O: 70 },
    { T: 40, K: 4096, O: 100 },
  ],
] as Sizes[];

nativeContract({
  family: NATIVE_INT8,
  names: Object.keys(int8Weights),
  simulated: (format) => fitting(format, few),
  run: (format) => fitting(format, many),
  products(format, sizes, wasm) {
    const product = randomProduct(format, sizes, seeded(sizes.O + 7 * sizes.K + sizes.T));
    const { T, K } = sizes;
    if (T > 2) product.x.fill(0, K, 2 * K);
    if (T > 4) [product.x[3 * K], product.x[5 * K - 1]] = [Infinity, NaN];
    return {
      want: multiply(wasm, product, { tiles: 1 }).y,
      byMachineCode: (native) =>
        [{}, { columns: 3, rows: 2 }].map(
          (cuts) => multiply(native, product, { ...cuts, native: true }).y,
        ),
    };
  },
});

test.each([1, 32, 33, 4096, 14_336, 28_672])(
  "scratch has room for a panel of %d weights a row",
  (K) => {
    expect(eightRowsScratch(K)).toBeGreaterThanOrEqual(
      CALL_BYTES + PANEL_BLOCK * Math.ceil(K / 32),
    );
  },
);
