// All kernels in machine code for a memory, run by the simulator.

import { assembleKernels } from "../../src/backends/native/kernels.ts";
import type { MachineCodeOf } from "../contract/wasm-kernels.ts";
import { Simulator } from "./simulator.ts";

/** Where the memory begins in the simulated process. */
const BASE = 2 ** 33;
const { code, symbols } = assembleKernels();

export const simulatedKernels: MachineCodeOf = (memory) => {
  const simulator = new Simulator(code);
  simulator.memory.add(BASE, new Uint8Array(memory.buffer));
  return { native: (call) => simulator.call(symbols.native, call), base: BASE };
};
