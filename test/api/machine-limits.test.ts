// What the machine can do at most: measured by as many threads as the platform has; no thread is left behind.

import { machineCode, type MachineCode } from "#platform";
import { expect, test } from "vitest";
import { machineLimits } from "../../src/api/measurement/machine-limits.ts";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { NATIVE_INT8 } from "../../src/backends/wasm/kernels/header.ts";
import { EngineError } from "../../src/errors.ts";
import { onlyWith } from "../native/has.ts";
import { threadsOr1 } from "../platform/has.ts";

const workers = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length;

test("rates of all threads together, and the threads end", async () => {
  const before = workers();
  const limits = await machineLimits(detectFeatures(), threadsOr1(2));
  const { threads, ...rates } = limits;
  expect(threads).toBe(threadsOr1(2));
  for (const rate of Object.values(rates)) expect(rate).toBeGreaterThan(1e6);
  await expect.poll(workers).toBe(before);
});

test("threads that cannot share memory are refused", async () => {
  const features = { ...detectFeatures(), threads: false };
  await expect(machineLimits(features, 2)).rejects.toThrow(/memory cannot be shared here/);
});

test(
  "with machine code, products of 8 bits can do more than WebAssembly's",
  onlyWith("avx512Vnni", async () => {
    const features = detectFeatures();
    const wasm = await machineLimits(features, 1);
    const native = await machineLimits(features, 1, NATIVE_INT8);
    expect(native.int8_operations_per_second).toBeGreaterThan(
      1.2 * wasm.int8_operations_per_second,
    );
  }),
);

test("where the system refuses the machine code to be measured, it is what WebAssembly reaches", async () => {
  const refuse = (): never => {
    throw new EngineError("the system's loader refuses the machine code");
  };
  const machines: (() => Promise<MachineCode>)[] = [
    async () => refuse(),
    async () => ({ ...(await machineCode()), openFunction: refuse }),
  ];
  for (const machine of machines) {
    const limits = await machineLimits(detectFeatures(), 1, NATIVE_INT8, machine);
    expect(limits.int8_operations_per_second).toBeGreaterThan(1e6);
  }
});
