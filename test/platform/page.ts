// A platform for tests: Node as a page without cross-origin isolation is. As isolated-page.ts, but memory cannot be shared, and
// addresses are those of a small device. By the condition "test-page" (see vitest.config.ts).

import type { MemoryMaxima } from "../../src/platform/node.ts";

export * from "./isolated-page.ts";

// Whoever uses it all the same fails, as in such a page.
Reflect.deleteProperty(globalThis, "SharedArrayBuffer");

export function canShareMemory(): boolean {
  return false;
}

export function memoryMaxima(): MemoryMaxima {
  return { perMemory: 2 ** 29, total: 2 ** 30 };
}
