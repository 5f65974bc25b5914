// The exact compute path: products and embeddings with weights of any format have the bits that the unpacked weights give, for any
// number of rows, any ranges and both builds.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ggufFormats } from "../../src/formats/gguf-types.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import { seeded } from "../random.ts";
import { multiply } from "./packed-linear.ts";
import { bits, packedFormats, packedMatrix, putMatrix } from "./packed-matrix.ts";
import { type Build, KernelBench, kernelPath } from "./wasm-kernels.ts";

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];

// One, around a vector, around a group, around a block of 1024, and several.
const widths = [1, 7, 32, 33, 64, 96, 255, 1024, 1056, 2112];
const columnsOf: Readonly<Record<string, readonly number[]>> = {
  // Its blocks hold 32 k, and the last one is padded.
  q4: [32, 33, 64, 100, 1056, 2112],
  q4r: [32, 33, 64, 100, 1056, 2112],
  q6r: [32, 33, 64, 100, 1056, 2112],
  q8: [32, 33, 64, 100, 1056, 2112],
  // Rows are whole blocks.
  q4k: [256, 1280, 2304],
  q6k: [256, 1280, 2304],
  ...Object.fromEntries(
    [...ggufFormats].map(([name, { param }]) => [
      name,
      param === 32 ? [32, 96, 1056, 2112] : [256, 1280, 2304],
    ]),
  ),
};

for (const build of builds) {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  describe(`the kernels of ${build}`, () => {
    test.for(packedFormats)("linear with %s", (name) => {
      for (const K of columnsOf[name] ?? widths) {
        for (const [T, O] of [
          [1, 1],
          [1, 4],
          [1, 7],
          [2, 5],
          [3, 8],
          [17, 13],
        ]) {
          for (const [cuts, wide] of [
            [1, false],
            [2, true],
          ] as const) {
            const { packed, plain } = multiply(
              bench,
              name,
              { T, K, O },
              { seed: K + T + O, cuts, wide },
            );
            expect(bits(packed), `T ${T}, K ${K}, O ${O}, ${cuts} ranges, wide ${wide}`).toEqual(
              bits(plain),
            );
          }
        }
      }
    });

    test.for(packedFormats)("embed from %s", (name) => {
      for (const H of columnsOf[name] ?? widths) {
        const table = packedMatrix(name, 5, H, seeded(H));
        const ids = Int32Array.of(4, 0, 3, 3);
        bench.clear();
        const parts = putMatrix(bench, table);
        const [at, y] = [bench.reserve(16), bench.reserve(4 * H * ids.length)];
        bench.set(at, ids);
        const args = [y, at, ...parts, H, 5, table.code, table.format.param];
        bench.kernels.embed(...args, 2, 4);
        bench.kernels.embed(...args, 0, 2);
        expect(bench.damaged(), `${name}: a byte beside all tensors was written`).toBeUndefined();
        const expected = ids.reduce<number[]>(
          (all, id) => [...all, ...table.values.subarray(id * H, (id + 1) * H)],
          [],
        );
        expect(bits(bench.floats(y, H * ids.length)), `H ${H}`).toEqual(
          bits(Float32Array.from(expected)),
        );
      }
    });
  });
}

test("a bit that changes shows, in whatever part", () => {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm"))));
  for (const name of packedFormats) {
    // A map of scales is not looked at where no scale points.
    const K = (columnsOf[name]?.includes(64) ?? true) ? 64 : 256;
    const parts = findWeightFormat(name)?.parts(3, K).length ?? 0;
    for (let flip = 0; flip < Math.min(parts, 3); flip++) {
      const how = { seed: 3, cuts: 1, wide: false };
      const { packed, plain } = multiply(bench, name, { T: 1, K, O: 3 }, { ...how, flip });
      expect(bits(packed), `${name}, part ${flip}`).not.toEqual(bits(plain));
    }
  }
});
