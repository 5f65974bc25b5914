// What the platform of this run has, for tests that need it: the same test files run on Node and on the other files of this folder.
// Where there are no threads, a test of threads checks that asking for them is refused as the documentation says.

import { canShareMemory } from "#platform";
import { expect } from "vitest";
import { AutoModelForCausalLM, defaultModel, EngineError } from "../../src/index.ts";

/** That many threads, or one where threads cannot share memory. */
export function threadsOr1(threads: number): number {
  return canShareMemory() ? threads : 1;
}

/** The body of a test of several threads. */
export function withThreads(run: () => Promise<void>): () => Promise<void> {
  return canShareMemory() ? run : threadsAreRefused;
}

async function threadsAreRefused(): Promise<void> {
  const folder = await defaultModel();
  const error = await AutoModelForCausalLM.from_pretrained(folder, { threads: 2 }).catch(
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(EngineError);
  expect((error as Error).message).toMatch(/asked for 2 threads, but memory cannot be shared here/);
}

/** Whether weights outlive the worker that has read them; if not, the next worker reads them again. */
export const weightsStay: boolean = canShareMemory();

/** Whether an abort stops a step within one op; if not, it takes effect when the step ends. */
export const stepsStop: boolean = canShareMemory();
