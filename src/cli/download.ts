// Fetches a model of the hub into the cache, and shows what comes: a bar on a terminal, lines elsewhere, or events in JSON.
// Does not know which files there are.

import type { DownloadProgress } from "../index.ts";
import { workProgress } from "./progress.ts";
import { bytes, fitted, portion, visible, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** One line of `pull --json`. */
export type DownloadEvent =
  | {
      readonly event: "plan";
      readonly repo_id: string;
      readonly files: number;
      readonly bytes: number;
      readonly missing_bytes: number;
    }
  | ({ readonly event: "progress" } & DownloadProgress)
  | {
      readonly event: "file";
      readonly file: string;
      readonly bytes: number;
      readonly resumed: number;
    }
  | {
      readonly event: "done";
      readonly repo_id: string;
      readonly folder: string;
      readonly seconds: number;
    };

/** At least so many milliseconds lie between two "progress" events. */
const eventEvery = 500;

/** Smaller files get no line of their own. */
const notedBytes = 1e6;

const KEPT = "what has come stays, and the same command goes on from there";

type Fetch = (onProgress: (progress: DownloadProgress) => void) => Promise<string>;

/**
 * Runs `fetch`, and shows its progress under `name`.
 * @param onEvent gets events instead of anything being shown
 * @returns what `fetch` returns: the folder
 * @throws what `fetch` throws; after Ctrl-C it is told that what has come stays
 */
export async function fetchShown(
  name: string,
  fetch: Fetch,
  { quiet }: { readonly quiet: boolean },
  io: Io,
  onEvent?: (event: DownloadEvent) => void,
): Promise<string> {
  const bar =
    quiet || onEvent !== undefined ? undefined : workProgress(io.stderr, "fetching", name, "byte");
  const resumed = new Set<string>();
  const ended = new Set<string>();
  let toldAt = -Infinity;
  let hasCome = false;
  try {
    return await fetch((progress) => {
      const { file, fileLoaded, fileTotal, loaded, total, bytesPerSecond } = progress;
      if (progress.resumed > 0 && !resumed.has(file)) {
        resumed.add(file);
        const part = portion(progress.resumed, fileTotal);
        bar?.note(`going on: ${visible(file)} (${part})`);
      }
      hasCome ||= bytesPerSecond > 0 || progress.resumed > 0;
      bar?.update({ loaded, total, perSecond: bytesPerSecond }, file);
      if (fileLoaded === fileTotal && !ended.has(file)) {
        ended.add(file);
        if (fileTotal >= notedBytes) bar?.note(`${visible(file)}: ${bytes(fileTotal)}`);
        onEvent?.({ event: "file", file, bytes: fileTotal, resumed: progress.resumed });
      } else if (performance.now() - toldAt >= eventEvery) {
        toldAt = performance.now();
        onEvent?.({ event: "progress", ...progress });
      }
    });
  } catch (error) {
    bar?.done();
    if (io.interrupt.aborted && !quiet) {
      const note = hasCome ? `stopped; ${KEPT}` : "stopped";
      await write(io.stderr, `${fitted(io.stderr, note)}\n`);
    } else if (hasCome && !quiet) await write(io.stderr, `${fitted(io.stderr, KEPT)}\n`);
    throw error;
  } finally {
    bar?.done();
  }
}
