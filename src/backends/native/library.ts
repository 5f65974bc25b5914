// Gives the kernels in machine code to this process: as a library that each thread opens by its path (open-library.ts).
// Does not know what calls them.

import type { MachineCode } from "#platform";
import { assembleKernels } from "./kernels.ts";
import { sharedLibrary } from "./shared-library.ts";

/**
 * Assembles the kernels, and keeps their library until the process ends.
 * @returns its path, by which every thread of this process can open it
 * @throws EngineError the system refuses it
 */
export function keepKernels({ keepLibrary }: MachineCode): string {
  const { code, symbols } = assembleKernels();
  return keepLibrary(sharedLibrary(code, symbols));
}
