// The kernels that widen nf4, fp4 and LLM.int8, bit for bit against the formats: every size of block, more than 256 of them
// (scales of scales), rows that begin within a block and within a byte. Other sizes: test/contract/packed-linear.test.ts.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FOUR_BIT_BLOCKS } from "../../src/formats/four-bit.ts";
import { bits, packedMatrix, putMatrix } from "../contract/packed-matrix.ts";
import { type Build, KernelBench, kernelPath } from "../contract/wasm-kernels.ts";
import { seeded } from "../random.ts";

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];
const names = ["nf4", "fp4"].flatMap((type) =>
  FOUR_BIT_BLOCKS.flatMap((block) => [`${type}-${block}`, `${type}-${block}-dq`]),
);
/** Rows and columns: 17 · 1031 numbers make 548 blocks of 32. */
const sizes = [
  [17, 1031],
  [3, 4096],
  [9, 33],
] as const;

describe.each(builds)("%s", (build) => {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));

  test.each([...names, "int8-6"])("unpack of %s", (name) => {
    for (const [rows, columns] of sizes) {
      const matrix = packedMatrix(name, rows, columns, seeded(rows * columns));
      bench.clear();
      const parts = putMatrix(bench, matrix);
      const to = bench.reserve(4 * columns);
      for (let row = rows - 1; row >= 0; row -= 2) {
        for (let k = 0; k < columns; k += 1024) {
          const count = Math.min(1024, columns - k);
          const args = [matrix.code, matrix.format.param, columns, row, k, count];
          bench.kernels.unpack(to + 4 * k, ...parts, ...args);
        }
        const expected = matrix.values.slice(row * columns, (row + 1) * columns);
        expect(bits(bench.floats(to, columns)), `row ${row} of [${rows}, ${columns}]`).toEqual(
          bits(expected),
        );
      }
      expect(bench.damaged(), "a byte beside all tensors was written").toBeUndefined();
    }
  });
});
