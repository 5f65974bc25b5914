// Loads the compiled kernels that fit the machine. They are compiled for shared memory. Where memory cannot be shared, one bit in
// the module's memory import is cleared; the kernels' atomic operations are valid on any memory.

import { type NativeFunction, readAsset } from "#platform";
import { EngineError } from "../../errors.ts";
import { type Features, requireSimd } from "./features.ts";

/** What a kernel instance exports: numbers in, nothing or a number out. */
export type Kernels = {
  prepare(program: number, replay: number, threads: number): void;
  run(program: number, thread: number, replay: number): number;
  close(): void;
} & Record<string, (...args: number[]) => number | void>;

/**
 * @param suffix bytes to append to the module
 * @throws EngineError when the files are missing or this engine cannot run them
 */
export async function loadKernels(
  features: Features,
  suffix: readonly number[] = [],
): Promise<WebAssembly.Module> {
  requireSimd(features);
  const url = features.relaxedSimd
    ? new URL("./kernels.wasm", import.meta.url)
    : new URL("./kernels-plain.wasm", import.meta.url);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await readAsset(url);
  } catch (cause) {
    throw new EngineError(
      `the compiled kernels are missing at ${url.href}; in a clone run npm run build:wasm, else install the package again`,
      { cause },
    );
  }
  const fitting = features.threads ? bytes : withUnsharedMemory(bytes);
  return WebAssembly.compile(Uint8Array.from([...fitting, ...suffix]));
}

/**
 * @param native machine code for the families of kernels that the memory's header names (NATIVE). By default there is none, and the
 *   header must name none
 */
export function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  native: NativeFunction = noMachineCode,
): Kernels {
  return new WebAssembly.Instance(module, { env: { memory, native } }).exports as Kernels;
}

function noMachineCode(): never {
  throw new EngineError("a kernel called machine code in a thread that has none");
}

const IMPORT_SECTION = 2;
// Kinds of imports.
const [FUNCTION, MEMORY] = [0, 2];
const SHARED_BIT = 2;

/** A copy of the module whose memory import is not shared. */
export function withUnsharedMemory(module: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(module);
  let at = 8; // after magic and version
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const skipName = (): void => {
    const length = number();
    at += length;
  };
  while (at < bytes.length) {
    const section = bytes[at++];
    const length = number();
    if (section !== IMPORT_SECTION) {
      at += length;
      continue;
    }
    for (let imports = number(); imports > 0; imports--) {
      skipName(); // of the module
      skipName(); // of the import
      const kind = bytes[at++];
      if (kind === MEMORY) {
        bytes[at] &= ~SHARED_BIT;
        return bytes;
      }
      if (kind !== FUNCTION) break;
      number(); // the function's type
    }
    break;
  }
  throw new EngineError("the compiled kernels import no memory; run npm run build:wasm again");
}
