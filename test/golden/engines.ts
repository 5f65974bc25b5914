// The engine on each backend, in the test's own thread: golden tests run the same cases on all of them.

import type { Backend } from "../../src/backends/backend.ts";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { EngineCore } from "../../src/engine/core.ts";
import { shared, sharedJson } from "../shared.ts";

export const attentions = ["flash", "eager"] as const;

export const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  reference: async () => new ReferenceBackend(),
};

/** A call that nobody aborts. */
export const call = { throwIfAborted: (): void => {} };

/** Loads a checkpoint of the goldens. */
export async function loadGolden(
  model: string,
  backend: Backend,
  attention: "flash" | "eager",
  dtype = "auto",
): Promise<EngineCore> {
  const dir = shared(`goldens/models/${model}`);
  const config = sharedJson<Record<string, unknown>>(`goldens/models/${model}/config.json`);
  const { core } = await EngineCore.load(
    { dir, config, dtype, attention, head: "causal" },
    backend,
    { beforeStep: async () => {} },
    () => {},
  );
  return core;
}
