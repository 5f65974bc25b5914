// The backends that an engine can be asked for, by name. The only file of the engine that knows one from another: what a backend
// hands over to other threads passes through the others unread.

import { EngineError } from "../errors.ts";
import type { Backend, Handover, TeamControl } from "../backends/backend.ts";
import type { Adopted } from "../backends/wasm/backend.ts";
import type { NativeFindings } from "../backends/wasm/native-choice.ts";
import { wasmTeamControl } from "../backends/wasm/team-control.ts";
import type { BackendChoice } from "./messages.ts";

/** What a helper worker is started with: `data` is one of `Handover.helpers`. */
export type HelperStart = { readonly backend: string; readonly data: unknown };

/** @param stop one word: not 0 asks the running step to stop, for backends that are not stopped through their TeamControl */
export async function makeBackend(choice: BackendChoice, stop: Int32Array): Promise<Backend> {
  const { threads, memoryLimit, wideVectors, addressSpace, native, adopted, findings } = choice;
  if (choice.name === "reference") {
    const { ReferenceBackend } = await import("../backends/reference/backend.ts");
    return new ReferenceBackend(stop, memoryLimit);
  }
  const { WasmBackend } = await import("../backends/wasm/backend.ts");
  const { detectFeatures } = await import("../backends/wasm/features.ts");
  const features = detectFeatures(wideVectors);
  return WasmBackend.create({
    ...{ threads, memoryLimit, addressSpace, features, native },
    adopted: adopted as Adopted | undefined,
    findings: findings as NativeFindings | undefined,
  });
}

const controls: Readonly<Record<string, TeamControl>> = { wasm: wasmTeamControl };

/** What other threads do with what that backend hands over. */
export function teamControl(backend: string): TeamControl {
  const control = controls[backend];
  if (control === undefined) throw new EngineError(`the backend ${backend} has no helper threads`);
  return control;
}

/** By backend: what it has found out about this process. */
const findings = new Map<string, unknown>();

/** Keeps what a backend has found out about this process for later ones. */
export function keepFindings(handover: Handover): void {
  if (handover.findings !== undefined) findings.set(handover.backend, handover.findings);
}

/** What an earlier backend of that name has found out about this process, for `BackendChoice.findings`. */
export function findingsOf(backend: string): unknown {
  return findings.get(backend);
}
