// The table's cases on the WASM kernels: within the bound, nothing written beside a tensor, the same bits for any ranges in any
// order, in both builds and every weight format; and that a result which is off does not pass.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { seeded } from "../random.ts";
import { type Case, exampleRuns, expected, type Run, type Sizes, worst } from "./case.ts";
import { table } from "./table.ts";
import { type TestTensor, variants } from "./tensors.ts";
import { type Build, KernelBench, kernelPath, type Result, runCase } from "./wasm-kernels.ts";

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];
// Timed are the ops that have a kernel.
const cases: readonly Case[] = table.filter(({ timed }) => timed !== undefined);

/** A case at some sizes, with weights in each format. */
function runsOf(c: Case, sizes: Sizes, seed: number): Run[] {
  return variants(c.inputs(sizes, seeded(seed))).map((ins) => ({ case: c, sizes, ins }));
}

/** What a run is called when it fails. */
const named = ({ case: c, sizes, ins }: Run): string =>
  `${c.op.name} ${JSON.stringify(sizes)} ${ins.map(({ dtype }) => dtype).join(" ")}`;

const bits = (result: Result): Uint32Array[] =>
  result.map((values) => new Uint32Array(values.buffer));

for (const build of builds) {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  describe(`the kernels of ${build}`, () => {
    test.for(cases)("$op.name", (c) => {
      const runs = c.sizes.flatMap((sizes) =>
        runsOf(c, sizes, JSON.stringify(sizes).length * 7919 + 1),
      );
      for (const run of [...runs, ...exampleRuns(c)]) {
        const { results, bound } = expected(run);
        const result = runCase(bench, run, 1, false);
        const { ratio, at } = worst(result, results, bound);
        expect(ratio, `${named(run)}: ${at}`).toBeLessThanOrEqual(1);
        for (const cuts of [2, 3]) {
          const other = runCase(bench, run, cuts, cuts === 3);
          expect(bits(other), `${named(run)} in ${cuts} ranges`).toEqual(bits(result));
        }
      }
    });

    test("a row's bits are the same alone and among others", () => {
      const names = [
        ...["linear", "rms_norm", "log_softmax", "paged_attention", "eager_attention", "sample"],
      ];
      for (const c of cases.filter(({ op }) => names.includes(op.name))) {
        for (const sizes of c.sizes.filter((s) => (s.T ?? s.N) > 1)) {
          for (const run of runsOf(c, sizes, 5)) {
            const together = runCase(bench, run, 1, false)[0];
            const T = sizes.T ?? sizes.N;
            for (const t of new Set([0, 1, T >> 1, T - 1])) {
              const alone = runCase(bench, { ...run, ins: oneRow(run, t) }, 1, false)[0];
              const row = together.slice(
                (t * together.length) / T,
                ((t + 1) * together.length) / T,
              );
              expect(bits([alone]), `${named(run)}, row ${t}`).toEqual(bits([row]));
            }
          }
        }
      }
    });

    test("a result that is off, and a kernel that misses one number, do not pass", () => {
      for (const c of cases) {
        const noticed = c.sizes.filter((sizes) => {
          const run: Run = { case: c, sizes, ins: c.inputs(sizes, seeded(3)) };
          const { results, bound } = expected(run);
          const result = runCase(bench, run, 1, false);
          const changed = runCase(bench, { ...run, ins: oneNumberOff(run.ins) }, 1, false);
          const misses = worst(changed, results, bound).ratio > 1; // not so where this case does not use that number
          scaleLargest(result[0], 1 + 2 ** -8);
          return misses && worst(result, results, bound).ratio > 1;
        });
        expect(noticed.length, c.op.name).toBeGreaterThan(0);
      }
    });
  });
}

/** The last number of the first tensor of numbers, or else of integers, is 1 larger. */
function oneNumberOff(ins: readonly TestTensor[]): TestTensor[] {
  const numbers = ins.findIndex(({ dtype }) => dtype !== "i32");
  const at = Math.max(0, numbers);
  const values = ins[at].values.slice();
  values[values.length - 1] += 1;
  return ins.with(at, { ...ins[at], values });
}

function scaleLargest(values: Float32Array, factor: number): void {
  const at = values.reduce((best, x, i) => (Math.abs(x) > Math.abs(values[best]) ? i : best), 0);
  values[at] *= factor;
}

/** The inputs with row `t` alone: of x, of seq and at, and of all that `sample` reads. */
function oneRow({ case: { op }, ins }: Run, t: number): TestTensor[] {
  const perRow = op.name.endsWith("attention") ? [0, 3, 4] : op.name === "sample" ? [0, 1, 2] : [0];
  return ins.map((tensor, i) => {
    if (!perRow.includes(i)) return tensor;
    const length = tensor.values.length / tensor.shape[0];
    return {
      ...tensor,
      shape: [1, ...tensor.shape.slice(1)],
      values: tensor.values.slice(t * length, (t + 1) * length),
    };
  });
}
