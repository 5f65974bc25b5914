// Machine code of attention against the WebAssembly kernels, on the table's cases: the same bits in any ranges, and nothing written beside
// a tensor. Simulated everywhere; and on the processor, where it has the instructions.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { NATIVE_ATTENTION } from "../../src/backends/wasm/kernels/header.ts";
import { onlyWith } from "../native/has.ts";
import { processorKernels } from "../native/processor-kernels.ts";
import { simulatedKernels } from "../native/simulated-kernels.ts";
import { seeded } from "../random.ts";
import { type Case, exampleRuns, type Run, type Sizes } from "./case.ts";
import { bits } from "./native-contract.ts";
import { table } from "./table.ts";
import { KernelBench, kernelPath, type MachineCodeOf, runCase } from "./wasm-kernels.ts";

const module = new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm")));
const attention = table.find(({ op }) => op.name === "paged_attention") as Case;

/** The cases for which both differ, of those with at most so many products; and how many calls of machine code there were. */
function differences(machine: MachineCodeOf, most: number): { wrong: Sizes[]; calls: number } {
  let calls = 0;
  const counted: MachineCodeOf = (memory) => {
    const { native, base } = machine(memory);
    const count = (call: number): void => {
      calls++;
      native(call);
    };
    return { native: count, base };
  };
  const [wasm, native] = [new KernelBench(module), new KernelBench(module, counted)];
  const work = ({ T, D, heads, columns }: Sizes): number => T * D * heads * columns;
  const runs = attention.sizes
    .filter((sizes) => work(sizes) <= most)
    .map((sizes): Run => {
      const random = seeded(JSON.stringify(sizes).length * 31 + 1);
      return { case: attention, sizes, ins: attention.inputs(sizes, random) };
    });
  const wrong = [...runs, ...exampleRuns(attention)].filter((run) => {
    const want = runCase(wasm, run, 1, false).map(bits);
    return [1, 3].some((cuts) =>
      runCase(native, run, cuts, false)
        .map(bits)
        .some((words, i) => words.some((word, n) => word !== want[i][n])),
    );
  });
  return { wrong: wrong.map(({ sizes }) => sizes), calls };
}

test("simulated", () => {
  const { wrong, calls } = differences(simulatedKernels, 400_000);
  expect(wrong).toEqual([]);
  expect(calls).toBeGreaterThan(100);
});

test(
  "on the processor",
  onlyWith(NATIVE_ATTENTION, async () => {
    const { wrong, calls } = differences(await processorKernels(), Infinity);
    expect(wrong).toEqual([]);
    expect(calls).toBeGreaterThan(1000);
  }),
);
