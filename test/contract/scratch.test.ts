// Kernels stay within the scratch that kernels/scratch.ts says they need, from the smallest sizes to the largest; with 16 bytes less,
// each is seen to write behind it, so that no declaration is larger than it must be.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatCodes } from "../../src/backends/wasm/format-codes.ts";
import { FORMAT_F16 } from "../../src/backends/wasm/kernels/header.ts";
import { SAMPLE_FEW } from "../../src/backends/wasm/kernels/scratch.ts";
import { weightDType } from "../../src/formats/registry.ts";
import { simulatedKernels } from "../native/simulated-kernels.ts";
import { seeded } from "../random.ts";
import { type Case, grid, type Run, type Sizes } from "./case.ts";
import { packedFormats, pathsOf } from "./packed-matrix.ts";
import { type EncodedOp, runEncoded } from "./run-encoded.ts";
import { table } from "./table.ts";
import { packedWeight } from "./tensors.ts";
import { type Build, KernelBench, kernelPath } from "./wasm-kernels.ts";

const caseOf = (name: string): Case => table.find(({ op }) => op.name === name) as Case;
const runOf = (c: Case, sizes: Sizes): Run => ({ case: c, sizes, ins: c.inputs(sizes, seeded(7)) });

/** Blocks of 16 rows that one sequence fills, of as many queries as a unit may have, and heads of the real size. */
const attended = grid({
  ...{ T: [40], D: [2, 128], heads: [8], group: [1, 4, 8], columns: [300], window: [0], P: [19] },
  format: [0, 2, 3],
});

/**
 * One row; as many as products keep sums of, in rows for which machine code needs more room and in shorter ones; and one row so long that
 * scales take more room than panels do.
 */
const multiplied: readonly Sizes[] = [
  { T: 1, K: 256, O: 9 },
  { T: 128, K: 1024, O: 45 },
  { T: 128, K: 512, O: 45 },
];
const LONG: Sizes = { T: 1, K: 139264, O: 5 };

const linear = caseOf("linear");
const product = (dtype: string, sizes: Sizes): Run => {
  const run = runOf(linear, sizes);
  return { ...run, ins: run.ins.with(1, packedWeight(run.ins[1], dtype, seeded(3))) };
};

/** Every case of the table, then those that are larger. */
function* runs(): Generator<Run> {
  for (const c of table.filter(({ timed }) => timed !== undefined))
    for (const sizes of c.sizes) yield runOf(c, sizes);
  for (const name of ["paged_attention", "eager_attention"])
    for (const sizes of attended) yield runOf(caseOf(name), sizes);
  for (const format of packedFormats) {
    for (const dtype of [format, ...pathsOf(format).map((path) => `${format}:${path}`)])
      for (const sizes of multiplied) yield product(dtype, sizes);
  }
  yield product("nf4-64", LONG);
  yield product("q4:int8", { T: 3, K: 100, O: 9 }); // rows of x that are no whole blocks
}

/** Ops that have one declaration. */
function declarationOf({ node: { op, ins, attrs } }: EncodedOp): string {
  if (op.name === "pack_rows") return `pack_rows ${(attrs as { mode: number }).mode}`;
  if (op.name === "sample") return ins[0].shape[1] > SAMPLE_FEW ? "sample of many" : "sample";
  if (op.name !== "linear") return op.name;
  const [, w] = ins;
  const { format, computePath: path } = weightDType(w.dtype);
  const isFourBit = /^(nf4|fp4)/.test(format.family);
  const isPlain = (formatCodes[format.family] ?? Infinity) <= FORMAT_F16;
  const length = w.shape[1] === LONG.K ? " of long rows" : "";
  return `linear ${isPlain ? "plain" : path || "packed"}${isFourBit && path ? " 4 bit" : ""}${length}`;
}

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];

describe.each(builds)("%s", (build) => {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));

  test("kernels stay within their scratch, and need all of it", () => {
    /** Per declaration: whether some run was seen to need its last bytes. */
    const needed = new Map<string, boolean>();
    for (const run of runs()) {
      for (const wide of [false, true]) {
        for (const done of runEncoded(bench, run, { wide })) {
          const what = declarationOf(done);
          const at = `${what} ${JSON.stringify(run.sizes)} ${run.ins[1]?.dtype}, wide ${wide}`;
          expect(done.damaged, at).toBeUndefined();
          if (done.scratch > 0) needed.set(what, needed.get(what) ?? false);
        }
        if (![...needed.values()].includes(false)) continue;
        for (const denied of runEncoded(bench, run, { wide, less: 16 })) {
          if (denied.damaged !== undefined) needed.set(declarationOf(denied), true);
        }
      }
    }
    expect(Object.fromEntries(needed)).toEqual(
      Object.fromEntries([...needed.keys()].map((what) => [what, true])),
    );
    expect([...needed.keys()].toSorted()).toEqual([
      ...["eager_attention", "linear call", "linear fixed16 4 bit", "linear int8"],
      ...["linear int8 4 bit", "linear packed", "linear packed of long rows"],
      ...["linear plain", "linear row", "pack_rows 1", "pack_rows 3", "pack_rows 4"],
      ...["paged_attention", "rms_norm", "sample", "sample of many"],
    ]);
  });
});

describe("machine code", () => {
  const module = new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm")));
  const bench = new KernelBench(module, simulatedKernels);
  /** More rows than read weights where they lie, so that a panel is filled; so long that it takes more room than WebAssembly's kernels. */
  const many: Sizes = { T: 13, K: 2560, O: 3 };

  test.each(["q6k:int8", "nf4-64:int8", "fp4-128-dq:fixed16"])(
    "stays within the scratch of %s, and needs all of it",
    (dtype) => {
      for (const sizes of [many, { ...many, T: 1 }])
        for (const { damaged } of runEncoded(bench, product(dtype, sizes)))
          expect(damaged).toBeUndefined();
      const [, denied] = runEncoded(bench, product(dtype, many), { less: 16 });
      expect(denied.damaged).toBeDefined();
    },
  );
});
