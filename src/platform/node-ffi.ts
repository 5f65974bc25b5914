// Calls of C functions, by node:ffi (Node 26.1 and later). Node's warning that the module is experimental is not printed: the
// documentation of this package says so where users would read it. Knows no function.

import { EngineError } from "../errors.ts";

export type Ffi = typeof import("node:ffi");

let loading: Promise<Ffi> | undefined;

/** @throws EngineError (the promise rejects) this runtime has no node:ffi */
export function loadFfi(): Promise<Ffi> {
  return (loading ??= load());
}

async function load(): Promise<Ffi> {
  const warn = process.emitWarning;
  process.emitWarning = () => {};
  try {
    return await import("node:ffi");
  } catch (cause) {
    throw new EngineError(
      `this runtime (${process.version}) has no node:ffi; Node 26.1 or later has it`,
      { cause },
    );
  } finally {
    process.emitWarning = warn;
  }
}
