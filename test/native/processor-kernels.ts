// All kernels in machine code for a memory, run by the processor.

import { machineCode } from "#platform";
import { keepKernels } from "../../src/backends/native/library.ts";
import { openLibrary } from "../../src/backends/native/open-library.ts";
import type { MachineCodeOf } from "../contract/wasm-kernels.ts";

/** @throws EngineError there is no machine code here */
export async function processorKernels(): Promise<MachineCodeOf> {
  const { native, addressOf } = await openLibrary(keepKernels(await machineCode()));
  return ({ buffer }) => ({ native, base: addressOf(buffer) });
}
