// What Node can tell about the machine: runtime, processor, memory. For reports; a browser build offers the same function.

import { availableParallelism, cpus, totalmem } from "node:os";

export type Machine = {
  /** "Node 26.10.0" */
  readonly runtime: string;
  /** "linux x64" */
  readonly system: string;
  /** As the processor names itself; "unknown" where it does not. */
  readonly cpu: string;
  /** Hardware threads that this process may use. */
  readonly threads: number;
  /** Bytes, limits of a container included. */
  readonly memory: { readonly total: number; readonly available: number };
};

export function machine(): Machine {
  // 0 or an absurd number where there is no limit.
  const limit = process.constrainedMemory();
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return {
    runtime: `Node ${process.versions.node}`,
    system: `${process.platform} ${process.arch}`,
    cpu: cpus().at(0)?.model.trim() || "unknown",
    threads: availableParallelism(),
    memory: { total, available: Math.min(total, process.availableMemory()) },
  };
}
