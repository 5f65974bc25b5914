// Makes the machine code of this process: assembled for its processor, and kept as a library that each thread opens by its path
// (open-library.ts). Does not know what calls it.

import { machineCode, type MachineCode } from "#platform";
import { assembleKernels } from "./kernels.ts";
import { askProcessor, type Processor } from "./processor.ts";
import { sharedLibrary } from "./shared-library.ts";

export type NativeLibrary = {
  /** Every thread of this process can open it by this path. */
  readonly path: string;
  readonly processor: Processor;
};

/**
 * Assembles the kernels for this processor and gives them to the system.
 * @throws EngineError there is no machine code here; the message says why
 */
export async function makeLibrary(
  machine: Promise<MachineCode> = machineCode(),
): Promise<NativeLibrary> {
  const system = await machine;
  const processor = askProcessor(system);
  const { code, symbols } = assembleKernels();
  return { path: system.keepLibrary(sharedLibrary(code, symbols)), processor };
}
