// What this machine has, for tests that run machine code. Where something is missing, a line says which test was not run.

import { machineCode } from "#platform";
import { nativeFamilies } from "../../src/backends/wasm/native-families.ts";
import { askProcessor, type Processor } from "../../src/backends/native/processor.ts";

/** This machine's processor; undefined where there is no machine code. */
export const processor: Processor | undefined = await machineCode()
  .then(askProcessor)
  .catch(() => undefined);

/**
 * The body of a test that needs machine code and, where that is named, an instruction set or all that a family of kernels uses.
 * @param what a family by its bit of NATIVE
 */
export function onlyWith(
  what: "machine code" | keyof Processor | number,
  run: () => Promise<void>,
): () => Promise<void> {
  if (typeof what !== "number") {
    const has = what === "machine code" ? processor !== undefined : processor?.[what] === true;
    return has ? run : async () => console.log(`not run: this machine has no ${what}`);
  }
  const family = nativeFamilies.find(({ bit }) => bit === what);
  const has = processor !== undefined && family?.instructions(processor) !== undefined;
  return has ? run : async () => console.log(`not run: this machine has no ${family?.needs}`);
}
