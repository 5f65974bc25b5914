// Makes this process's engines use machine code where the processor has the instructions, whatever a timing would say.

import { machineCode } from "#platform";
import { askProcessor } from "../../src/backends/native/processor.ts";
import { keepKernels } from "../../src/backends/native/library.ts";
import type { NativeChoice, NativeFindings } from "../../src/backends/wasm/native-choice.ts";
import { nativeFamilies } from "../../src/backends/wasm/native-families.ts";
import { keepFindings } from "../../src/engine/backends.ts";

/** @param wanted families by their bits of NATIVE; all by default */
export async function forceMachineCode(wanted = -1): Promise<NativeChoice> {
  const machine = await machineCode();
  const processor = askProcessor(machine);
  const used = nativeFamilies.filter(
    ({ bit, instructions }) => (wanted & bit) !== 0 && instructions(processor) !== undefined,
  );
  const families = used.reduce((bits, { bit }) => bits | bit, 0);
  const kernels = used.map(({ name }) => name);
  const choice = { path: keepKernels(machine), families, kernels, reasons: [] };
  const findings: NativeFindings = { wide: false, choice };
  keepFindings({ backend: "wasm", state: undefined, helpers: [], findings });
  return choice;
}
