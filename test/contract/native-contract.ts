// Machine code against the WebAssembly kernels: the same bits, simulated on every machine, and on the processor where it has the
// instructions. Does not know the products.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { onlyWith } from "../native/has.ts";
import { processorKernels } from "../native/processor-kernels.ts";
import { simulatedKernels } from "../native/simulated-kernels.ts";
import { KernelBench, kernelPath, type MachineCodeOf } from "./wasm-kernels.ts";

type Sizes = { readonly T: number; readonly K: number; readonly O: number };

export type NativeProducts = {
  /** The family of kernels, by its bit of NATIVE, whose instructions the processor must have. */
  readonly family: number;
  /** A test for each. */
  readonly names: readonly string[];
  /** Sizes for the simulator, which is slow, and for the processor. */
  readonly simulated: (name: string) => readonly Sizes[];
  readonly run: (name: string) => readonly Sizes[];
  /** Products of those sizes by WebAssembly, then by machine code: in different ranges, all of which must have the same bits. */
  products(
    name: string,
    sizes: Sizes,
    wasm: KernelBench,
  ): { readonly want: Float32Array; byMachineCode(native: KernelBench): Iterable<Float32Array> };
};

const module = new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm")));

/** The bits of all numbers; every NaN is one. */
export const bits = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.map((v) => (Number.isNaN(v) ? NaN : v)).buffer);

/** Declares the tests. */
export function nativeContract({ family, names, simulated, run, products }: NativeProducts): void {
  /** The sizes for which products differ. */
  const differences = (machine: MachineCodeOf, name: string, all: readonly Sizes[]): object[] => {
    const wrong: object[] = [];
    const [wasm, native] = [new KernelBench(module), new KernelBench(module, machine)];
    for (const sizes of all) {
      const { want, byMachineCode } = products(name, sizes, wasm);
      const expected = bits(want);
      for (const y of byMachineCode(native))
        if (!bits(y).every((word, i) => word === expected[i])) wrong.push(sizes);
    }
    return wrong;
  };

  describe("simulated", () => {
    test.each(names)("%s", (name) => {
      expect(differences(simulatedKernels, name, simulated(name))).toEqual([]);
    });
  });

  describe("on the processor", () => {
    for (const name of names) {
      test(
        name,
        onlyWith(family, async () => {
          expect(differences(await processorKernels(), name, run(name))).toEqual([]);
        }),
      );
    }
  });
}
