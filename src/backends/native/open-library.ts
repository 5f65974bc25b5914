// Opens the library of machine code in a thread. Kept small, since every helper thread loads it. Does not know the code.

import { machineCode, type MachineCode, type NativeFunction } from "#platform";

/** The only function of the library. Word 0 of what its argument points to chooses the kernel. */
const ENTRY = "native";

/** What a thread needs to call the library. */
export type OpenLibrary = {
  /** Calls a kernel: the argument is the address of 64-bit words, the first of which chooses it. */
  readonly native: NativeFunction;
  /** The address of a memory, which must be shared: others may move when they grow. */
  readonly addressOf: (buffer: ArrayBufferLike) => number;
};

/** @param path of a library that this process keeps, see keepKernels @throws EngineError the system's loader refuses it */
export async function openLibrary(
  path: string,
  machine: Promise<MachineCode> = machineCode(),
): Promise<OpenLibrary> {
  const { openFunction, addressOf } = await machine;
  return { native: openFunction(path, ENTRY), addressOf };
}
