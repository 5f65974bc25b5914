// Starts the worker that quantises a checkpoint, and its helper threads; ends all of them. Computes nothing on the caller's thread.

import { startWorker } from "#platform";
import { EngineError } from "../errors.ts";
import { errorFrom } from "./errors.ts";
import type { BackendChoice } from "./messages.ts";
import type { QuantizedFiles, QuantizeJob } from "./quantize-checkpoint.ts";
import type { FromQuantizeWorker, QuantizeStart } from "./quantize-worker.ts";
import type { StartOptions } from "./supervisor.ts";
import { HelperTeam } from "./team.ts";

/**
 * Quantises a checkpoint; see `quantizeCheckpoint`. When this rejects, nothing runs any more, and the new folder may hold unfinished files.
 * @throws CheckpointError, EngineError; the reason of `signal`; what `onProgress` throws
 */
export async function quantizeInWorker(
  job: QuantizeJob,
  backend: BackendChoice,
  { signal, onProgress, start = startWorker }: StartOptions,
): Promise<QuantizedFiles> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<QuantizedFiles>();
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const team = new HelperTeam(start);
  const worker = start("quantize-worker", { job, backend } satisfies QuantizeStart);
  worker.onMessage((message) => {
    const m = message as FromQuantizeWorker;
    if (m.type === "handover") team.update(m.handover);
    else if (m.type === "done") resolve(m.written);
    else if (m.type === "broken") reject(errorFrom(m.error));
    else {
      try {
        onProgress?.(m.progress);
      } catch (error) {
        reject(error);
      }
    }
  });
  worker.onEnd((why) => reject(new EngineError(`quantize: its worker died (${why}); try again`)));
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
    await Promise.all([worker.terminate(), team.dispose()]);
  }
}
