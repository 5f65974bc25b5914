// The worker that quantises a checkpoint: it reads, computes with the backend's helper threads, and writes. Whoever started it terminates
// it, also in order to stop it.

import { parent } from "#platform";
import type { Handover } from "../backends/backend.ts";
import { makeBackend } from "./backends.ts";
import { errorData } from "./errors.ts";
import type { LoadProgress } from "./load.ts";
import type { BackendChoice, ErrorData } from "./messages.ts";
import {
  quantizeCheckpoint,
  type QuantizedFiles,
  type QuantizeJob,
} from "./quantize-checkpoint.ts";

/** What the worker is started with. */
export type QuantizeStart = { readonly job: QuantizeJob; readonly backend: BackendChoice };

export type FromQuantizeWorker =
  | { readonly type: "progress"; readonly progress: LoadProgress }
  | { readonly type: "handover"; readonly handover: Handover }
  | { readonly type: "done"; readonly written: QuantizedFiles }
  | { readonly type: "broken"; readonly error: ErrorData };

const line = await parent();
const { job, backend: choice } = line.data as QuantizeStart;
const send = (message: FromQuantizeWorker): void => line.post(message);
try {
  const backend = await makeBackend(choice, new Int32Array(1));
  const written = await quantizeCheckpoint(job, backend, {
    onProgress: (progress) => send({ type: "progress", progress }),
    placed() {
      const handover = backend.handover?.();
      if (handover !== undefined) send({ type: "handover", handover });
    },
  });
  send({ type: "done", written });
} catch (error) {
  send({ type: "broken", error: errorData(error) });
}
