// A platform for tests: Node as a page with cross-origin isolation is. Workers get their start data by a first message, there are no
// calls of the system on memory, no flags of V8, and fewer addresses. Takes the place of `#platform` in tests and workers alike,
// by the condition "test-isolated-page" (see vitest.config.ts).

import { EngineError } from "../../src/errors.ts";
import * as node from "../../src/platform/node.ts";

export * from "../../src/platform/node.ts";

type Start = { readonly start: unknown };

/** Posts the start data, as `new Worker(url)` of a page has no other way. */
export function startWorker(module: node.WorkerModule | URL, data: unknown): node.WorkerHandle {
  const worker = node.startWorker(module, undefined);
  worker.post({ start: data } satisfies Start);
  return worker;
}

/** Resolves when the first message has come; keeps those that follow until somebody listens. */
export async function parent(): Promise<node.ParentHandle> {
  const line = await node.parent();
  const started = Promise.withResolvers<unknown>();
  const waiting: unknown[] = [];
  let listen: ((message: unknown) => void) | undefined;
  let begun = false;
  line.onMessage((message) => {
    if (!begun) started.resolve((message as Start).start);
    else if (listen === undefined) waiting.push(message);
    else listen(message);
    begun = true;
  });
  return {
    data: await started.promise,
    post: line.post,
    onMessage(listener) {
      waiting.splice(0).forEach(listener);
      listen = listener;
    },
  };
}

export async function nativeMemory(): Promise<undefined> {
  return undefined;
}

export async function machineCode(): Promise<node.MachineCode> {
  throw new EngineError("a page of a browser has no machine code of its own");
}

export function allowWideVectors(): boolean {
  return false;
}

export function memoryMaxima(): node.MemoryMaxima {
  return { perMemory: 2 ** 30, total: 2 ** 32 };
}
