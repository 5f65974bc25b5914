// Machine code of the int8 compute path against the WebAssembly kernels: the same bits, of many rows and few, in any ranges, and nothing
// written beside a tensor. Simulated everywhere; and on the processor, where it has the instructions.

import { readFileSync } from "node:fs";
import { machineCode } from "#platform";
import { describe, expect, test } from "vitest";
import { CALL_BYTES, PANEL_BLOCK } from "../../src/backends/native/call-words.ts";
import { assembleKernels } from "../../src/backends/native/kernels.ts";
import { keepKernels } from "../../src/backends/native/library.ts";
import { openLibrary } from "../../src/backends/native/open-library.ts";
import { eightRowsScratch } from "../../src/backends/wasm/kernels/scratch.ts";
import { onlyWith } from "../native/has.ts";
import { Simulator } from "../native/simulator.ts";
import { seeded } from "../random.ts";
import { grid } from "./case.ts";
import { multiply, type Sizes } from "./int8-compute-path.ts";
import { randomProduct, roadWeights } from "./int8-weights.ts";
import { KernelBench, kernelPath, type MachineCodeOf } from "./wasm-kernels.ts";

const module = new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm")));
const formats = Object.keys(roadWeights);

/** The bits of all numbers; every NaN is one. */
const bits = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.map((v) => (Number.isNaN(v) ? NaN : v)).buffer);

/** Products of a format by both. @returns the sizes and cuts for which they differ */
function differences(machine: MachineCodeOf, format: string, all: readonly Sizes[]): object[] {
  const wrong: object[] = [];
  const [wasm, native] = [new KernelBench(module), new KernelBench(module, machine)];
  for (const sizes of all) {
    const product = randomProduct(format, sizes, seeded(sizes.O + 7 * sizes.K + sizes.T));
    const { T, K } = sizes;
    if (T > 2) product.x.fill(0, K, 2 * K);
    if (T > 4) [product.x[3 * K], product.x[5 * K - 1]] = [Infinity, NaN];
    const want = bits(multiply(wasm, product, { tiles: 1 }).y);
    for (const cuts of [{}, { columns: 3, rows: 2 }]) {
      const { y } = multiply(native, product, { ...cuts, native: true });
      if (!bits(y).every((word, i) => word === want[i])) wrong.push({ ...sizes, ...cuts });
    }
  }
  return wrong;
}

/** Sizes of which K is a multiple of what the format needs. */
const fitting = (format: string, sizes: readonly Sizes[]): Sizes[] =>
  sizes.filter(({ K }) => K % roadWeights[format].step === 0);

describe("simulated", () => {
  const { code, symbols } = assembleKernels();
  const BASE = 2 ** 33;
  const machine: MachineCodeOf = (memory) => {
    const simulator = new Simulator(code);
    simulator.memory.add(BASE, new Uint8Array(memory.buffer));
    return { native: (call) => simulator.call(symbols.native, call), base: BASE };
  };
  const sizes: Sizes[] = [
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
  test.each(formats)("%s", (format) => {
    expect(differences(machine, format, fitting(format, sizes))).toEqual([]);
  });
});

describe("on the processor", () => {
  const sizes = [
    ...grid({ T: [1, 2, 5, 12, 13, 25], K: [1, 33, 256, 512], O: [1, 7, 8, 9, 16, 17, 33] }),
    ...[
      { T: 131, K: 256, O: 31 },
      { T: 6, K: 4096, O: 70 },
      { T: 40, K: 4096, O: 100 },
    ],
  ] as Sizes[];
  for (const format of formats) {
    test(
      format,
      onlyWith("avx512Vnni", async () => {
        const { native, addressOf } = await openLibrary(keepKernels(await machineCode()));
        const machine: MachineCodeOf = ({ buffer }) => ({ native, base: addressOf(buffer) });
        expect(differences(machine, format, fitting(format, sizes))).toEqual([]);
      }),
    );
  }
});

test.each([1, 32, 33, 4096, 14_336, 28_672])(
  "scratch has room for a panel of %d weights a row",
  (K) => {
    expect(eightRowsScratch(K)).toBeGreaterThanOrEqual(
      CALL_BYTES + PANEL_BLOCK * Math.ceil(K / 32),
    );
  },
);
