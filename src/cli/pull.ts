// `mistral pull`: fetches a model of the hub into the cache; without a name it asks which one, at a terminal only.
// Does not know how files are fetched.

import { planModel } from "../api/model-files.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { downloadModel, snapshot_download } from "../index.ts";
import type { Arguments, FlagValues } from "./arguments.ts";
import { ask, canAsk, confirm } from "./ask.ts";
import { fetchShown } from "./download.ts";
import type { DownloadEvent } from "./download.ts";
import { allParts, memoryNote, placeOptions } from "./model-source.ts";
import { programName } from "./program-name.ts";
import { bytes, duration, fitted, styled, visible, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** What is offered when no model is named: published sizes of download, and of the memory in 16 bits and in q4. */
const known: readonly (readonly [id: string, download: string, memory: string, q4: string])[] = [
  ["mistralai/Mistral-7B-Instruct-v0.3", "14.5 GB", "14.5 GB", "4.1 GB"],
  ["mistralai/Mistral-7B-v0.3", "14.5 GB", "14.5 GB", "4.1 GB"],
  ["mistralai/Mistral-7B-Instruct-v0.2", "14.5 GB", "14.5 GB", "4.1 GB"],
  ["mistralai/Mistral-7B-v0.1", "14.5 GB", "14.5 GB", "4.1 GB"],
  ["mistralai/Mistral-Nemo-Instruct-2407", "24.5 GB", "24.5 GB", "7.0 GB"],
];

/** @returns the exit code */
export async function pull({ flags, words }: Arguments, io: Io): Promise<number> {
  const start = performance.now();
  const id = words.at(0) ?? (await chosen(flags, io));
  const onEvent = flags.json
    ? (event: DownloadEvent) => void io.stdout.write(`${JSON.stringify(event)}\n`)
    : undefined;
  const isPart = flags.include.length > 0 || flags.exclude.length > 0;
  if (isPart && flags["gguf-file"] !== undefined) {
    throw new InputError(
      "pull: --gguf-file names one file, and --include and --exclude give patterns; leave one out",
    );
  }
  const isComplete = isPart ? false : await planned(id, words.length === 0, flags, io, onEvent);
  const options = { ...placeOptions(flags, io), force_download: flags.force };
  const { gguf_file: _none, ...place } = options;
  const folder = await fetchShown(
    id,
    (onProgress) =>
      isPart
        ? snapshot_download(id, {
            ...{ ...place, onProgress },
            ...(flags.include.length > 0 && { allow_patterns: flags.include }),
            ...(flags.exclude.length > 0 && { ignore_patterns: flags.exclude }),
          })
        : downloadModel(id, { ...options, onProgress }),
    flags,
    io,
    onEvent,
  );
  const seconds = (performance.now() - start) / 1000;
  if (onEvent !== undefined) onEvent({ event: "done", repo_id: id, folder, seconds });
  else
    await write(io.stdout, fitted(io.stdout, closing(id, folder, isComplete, seconds, flags, io)));
  return 0;
}

/** Says what is to be fetched. @returns whether all of it is there */
async function planned(
  id: string,
  asks: boolean,
  flags: FlagValues,
  io: Io,
  onEvent: ((event: DownloadEvent) => void) | undefined,
): Promise<boolean> {
  const options = { ...placeOptions(flags, io), force_download: flags.force };
  const plan = await planModel("pull", id, options, allParts).catch(ofHubAlone);
  if (plan === undefined) {
    throw new InputError(
      `pull: ${id} is on this machine already; name the id of a model on the hub`,
    );
  }
  const { repo_id, files, bytes: all, missingBytes } = plan;
  onEvent?.({
    ...{ event: "plan", repo_id, files: files.length },
    ...{ bytes: all, missing_bytes: missingBytes },
  });
  if (missingBytes === 0) return true;
  const here =
    missingBytes < all ? ` (${bytes(all - missingBytes)} of ${bytes(all)} are here)` : "";
  const facts = `${repo_id}: ${bytes(missingBytes)} to fetch${here}.\n${memoryNote(plan, flags)}`;
  if (asks && !flags.yes) {
    await confirm(facts, "Fetch it?", "nothing was fetched", io);
    return false;
  }
  if (!flags.quiet && onEvent === undefined) {
    await write(io.stderr, `${styled(io.stderr, "dim", fitted(io.stderr, facts))}\n`);
  }
  return false;
}

/** `pull` is about the hub: that no folder of that name is here, which other commands say too, is left out. */
function ofHubAlone(error: unknown): never {
  const { cause } = error instanceof CheckpointError ? error : {};
  if (!(cause instanceof CheckpointError)) throw error;
  throw new CheckpointError(`pull: ${cause.message}`, { cause });
}

/** The model that a person chooses from a list. @throws InputError nobody can be asked. @throws DOMException none was chosen */
async function chosen(flags: FlagValues, io: Io): Promise<string> {
  if (!canAsk(io) || flags.json) {
    throw new InputError(
      `pull: the model is missing; name one, such as ${programName()} pull ${known[0][0]}`,
    );
  }
  const width = Math.max(...known.map(([id]) => id.length));
  const rows = known.map(
    ([id, download, memory, q4], i) =>
      `  ${i + 1}  ${id.padEnd(width)}  ${download}, memory ${memory}, in q4 ${q4}`,
  );
  await write(io.stderr, `${fitted(io.stderr, rows.join("\n"))}\n`);
  const answer = await ask("Number, or another id:", io);
  if (answer === "") throw new DOMException("nothing was fetched", "AbortError");
  if (!/^\d+$/.test(answer)) return answer;
  const number = Number(answer);
  if (number >= 1 && number <= known.length) return known[number - 1][0];
  throw new InputError(`pull: ${answer}: expected a number from 1 to ${known.length}, or an id`);
}

function closing(
  id: string,
  folder: string,
  isComplete: boolean,
  seconds: number,
  flags: FlagValues,
  { stdout }: Io,
): string {
  const same = (["revision", "gguf-file"] as const).flatMap((flag) =>
    flags[flag] === undefined ? [] : [`--${flag} ${visible(flags[flag])}`],
  );
  const what = isComplete ? "is in the cache already" : `is in the cache (${duration(seconds)})`;
  return [
    styled(stdout, "bold", `${visible(id)} ${what}`),
    `  ${visible(folder)}`,
    styled(stdout, "dim", `  try: ${[programName(), "chat", visible(id), ...same].join(" ")}`),
    "",
  ].join("\n");
}
