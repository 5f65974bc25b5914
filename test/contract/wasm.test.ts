// The table's cases on the WASM kernels: within the bound, nothing written beside a tensor, the same bits for any ranges in any
// order, in both builds and every weight format; and that a result which is off does not pass.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { seeded } from "../random.ts";
import { attentionTable } from "./table-attention.ts";
import { sampleTable } from "./table-sample.ts";
import { type Bound, type Case, type Sizes, table, type TestTensor } from "./table.ts";
import {
  type Build,
  KernelBench,
  kernelPath,
  type Result,
  runCase,
  variants,
} from "./wasm-kernels.ts";

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];
const cases: readonly Case[] = [...table, ...attentionTable, ...sampleTable];
/** The op's own loops on the same numbers. */
function runReference(
  c: Case,
  sizes: Sizes,
  ins: readonly TestTensor[],
): { expected: Float64Array[]; bound: Bound } {
  const values = ins.map((t) => t.values.slice());
  const outs = c
    .outputs(sizes)
    .map((shape) => new Float64Array(shape.reduce((n, dim) => n * dim, 1)));
  const attrs = c.attrs(sizes);
  c.op.run(
    outs,
    values,
    ins.map((t) => t.shape),
    attrs,
  );
  const bound = c.bound({ ins: values, outs, sizes, attrs });
  return { expected: [...(c.op.writes ?? []).map((i) => values[i]), ...outs], bound };
}

/** The worst element: its error over its bound (0/0 counts as 0). */
function worst(
  result: Result,
  expected: readonly Float64Array[],
  bound: Bound,
): { ratio: number; at: string } {
  let found = { ratio: 0, at: "" };
  for (const [output, values] of expected.entries()) {
    for (const [i, value] of values.entries()) {
      const error =
        Object.is(result[output][i], value) ||
        (Number.isNaN(value) && Number.isNaN(result[output][i]))
          ? 0
          : Math.abs(result[output][i] - value);
      const ratio = error === 0 ? 0 : Number.isNaN(error) ? Infinity : error / bound(output, i);
      if (ratio > found.ratio)
        found = { ratio, at: `output ${output}, element ${i}: ${result[output][i]} for ${value}` };
    }
  }
  return found;
}

const bits = (result: Result): Uint32Array[] =>
  result.map((values) => new Uint32Array(values.buffer));

for (const build of builds) {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  describe(`the kernels of ${build}`, () => {
    test.for(cases)("$op.name", (c) => {
      for (const sizes of c.sizes) {
        const random = seeded(JSON.stringify(sizes).length * 7919 + 1);
        for (const [dtype, ins] of variants(c.inputs(sizes, random))) {
          const { expected, bound } = runReference(c, sizes, ins);
          const result = runCase(bench, c, sizes, ins, 1, false);
          const { ratio, at } = worst(result, expected, bound);
          expect(ratio, `${JSON.stringify(sizes)} ${dtype}: ${at}`).toBeLessThanOrEqual(1);
          for (const cuts of [2, 3]) {
            const other = runCase(bench, c, sizes, ins, cuts, cuts === 3);
            expect(bits(other), `${JSON.stringify(sizes)} ${dtype} in ${cuts} ranges`).toEqual(
              bits(result),
            );
          }
        }
      }
    });

    test("a row's bits are the same alone and among others", () => {
      for (const name of [
        "linear",
        "rms_norm",
        "log_softmax",
        "paged_attention",
        "eager_attention",
        "sample",
      ]) {
        for (const c of cases.filter(({ op }) => op.name === name)) {
          for (const sizes of c.sizes.filter((s) => (s.T ?? s.N) > 1)) {
            for (const [dtype, ins] of variants(c.inputs(sizes, seeded(5)))) {
              const together = runCase(bench, c, sizes, ins, 1, false)[0];
              const T = sizes.T ?? sizes.N;
              for (const t of new Set([0, 1, T >> 1, T - 1])) {
                const alone = runCase(
                  bench,
                  c,
                  { ...sizes, T: 1, N: 1 },
                  oneRow(name, ins, t),
                  1,
                  false,
                )[0];
                const row = together.slice(
                  (t * together.length) / T,
                  ((t + 1) * together.length) / T,
                );
                expect(
                  bits([alone]),
                  `${name} ${JSON.stringify(sizes)} ${dtype}, row ${t}`,
                ).toEqual(bits([row]));
              }
            }
          }
        }
      }
    });

    test("a result that is off, and a kernel that misses one number, do not pass", () => {
      for (const c of cases) {
        const noticed = c.sizes.filter((sizes) => {
          const ins = c.inputs(sizes, seeded(3));
          const { expected, bound } = runReference(c, sizes, ins);
          const result = runCase(bench, c, sizes, ins, 1, false);
          const changed = runCase(bench, c, sizes, oneNumberOff(ins), 1, false);
          const misses = worst(changed, expected, bound).ratio > 1; // not so where this case does not use that number
          scaleLargest(result[0], 1 + 2 ** -8);
          return misses && worst(result, expected, bound).ratio > 1;
        });
        expect(noticed.length, c.op.name).toBeGreaterThan(0);
      }
    });
  });
}

/** The last number of the first tensor of numbers, or else of integers, is 1 larger. */
function oneNumberOff(ins: readonly TestTensor[]): TestTensor[] {
  const at = Math.max(
    0,
    ins.findIndex(({ dtype }) => dtype !== "i32"),
  );
  const values = ins[at].values.slice();
  values[values.length - 1] += 1;
  return ins.with(at, { ...ins[at], values });
}

function scaleLargest(values: Float32Array, factor: number): void {
  const at = values.reduce((best, x, i) => (Math.abs(x) > Math.abs(values[best]) ? i : best), 0);
  values[at] *= factor;
}

/** The inputs with row `t` alone: of x, of seq and at, and of all that `sample` reads. */
function oneRow(name: string, ins: readonly TestTensor[], t: number): TestTensor[] {
  const perRow = name.endsWith("attention") ? [0, 3, 4] : name === "sample" ? [0, 1, 2] : [0];
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
