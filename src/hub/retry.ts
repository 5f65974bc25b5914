// Tries again what failed for a reason that passes: a bounded number of times, with waits that grow and differ by chance, or as long as
// the server asks for. Knows no requests.

import { failure } from "./failure.ts";
import { waitBeforeRetry } from "./request.ts";

/** How often a step is tried before its last error is told. */
export const ATTEMPTS = 5;

const FIRST_WAIT = 300;
const LONGEST_WAIT = 8000;
/** A server that asks for a longer wait is not waited for. */
const LONGEST_ASKED = 120_000;

/**
 * Runs `step` until it succeeds, fails for good, or has failed `attempts` times.
 * @param hasProgressed asked after a failure: whether the step came further than before, which counts as a new first attempt
 */
export async function withRetries<T>(
  signal: AbortSignal | undefined,
  step: () => Promise<T>,
  attempts: number = ATTEMPTS,
  hasProgressed: () => boolean = () => false,
): Promise<T> {
  for (let failed = 0; ;) {
    try {
      return await step();
    } catch (error) {
      const asked = error instanceof Error ? waitBeforeRetry(error) : undefined;
      if (!(error instanceof Error) || asked === undefined) throw error;
      failed = hasProgressed() ? 1 : failed + 1;
      if (failed >= attempts) {
        if (attempts === 1) throw error;
        throw failure("unreachable", `${error.message}; tried ${failed} times`, {
          cause: error,
        });
      }
      if (asked > LONGEST_ASKED) {
        throw failure(
          "unreachable",
          `${error.message}; it asks to come back in ${Math.ceil(asked / 60_000)} minutes`,
          { cause: error },
        );
      }
      const usual = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failed - 1));
      await pause(
        asked > 0 ? asked + usual * Math.random() * 0.2 : usual * (0.5 + Math.random()),
        signal,
      );
    }
  }
}

/** Resolves after some milliseconds; rejects with the signal's reason if that comes first. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
