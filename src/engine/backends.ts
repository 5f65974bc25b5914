// The backends that an engine worker can be asked for, and how each is stopped and shared with the supervisor.

import type { Backend } from "../backends/backend.ts";
import { ReferenceBackend } from "../backends/reference/backend.ts";
import { type Adopted, WasmBackend } from "../backends/wasm/backend.ts";
import { detectFeatures } from "../backends/wasm/features.ts";
import type { HelperData } from "../backends/wasm/threads.ts";
import type { Control } from "./control.ts";
import type { BackendChoice } from "./messages.ts";

/** What the supervisor keeps of a backend: how to stop it, who helps it, and what a new worker goes on with. */
export type TeamData = { readonly adopted: Adopted; readonly helpers: readonly HelperData[] };

export type MadeBackend = {
  readonly backend: Backend;
  /** What to tell the supervisor, now that leaves were placed; undefined when it has no part in this backend. */
  team(): TeamData | undefined;
};

export async function makeBackend(choice: BackendChoice, control: Control): Promise<MadeBackend> {
  if (choice.name === "reference") {
    return {
      backend: new ReferenceBackend(control.stop, choice.memoryLimit),
      team: () => undefined,
    };
  }
  const backend = await WasmBackend.create({
    threads: choice.threads,
    memoryLimit: choice.memoryLimit,
    adopted: choice.adopted,
    features: detectFeatures(choice.wideVectors),
  });
  return { backend, team: () => ({ adopted: backend.adopted(), helpers: backend.helpers() }) };
}
