// Downloads one file into the cache as a blob: continues what an interrupted download left, checks size and hash as the bytes come, and
// gives the file its name when all are right. Bytes that are wrong are deleted and fetched once more. Knows no snapshots.

import {
  newHash,
  openFile,
  openPartial,
  type PartialFile,
  removeFile,
  renameFile,
  type RunningHash,
} from "#platform";
import { CheckpointError } from "../errors.ts";
import { isSha256 } from "./names.ts";
import { type ListedFile, refuseEncoded } from "./listing.ts";
import { readIfThere } from "./read-if-there.ts";
import { type Answer, get, type Subject, tryAgain } from "./request.ts";
import { ATTEMPTS, withRetries } from "./retry.ts";
import type { HubSettings } from "./settings.ts";

export type BlobSource = {
  /** The address of the file at its commit. */
  readonly url: string;
  readonly subject: Subject & { readonly file: string };
  readonly listed: ListedFile;
};

/** Told as bytes come. */
export type BlobProgress = {
  begin(bytes: number): void;
  add(bytes: number): void;
  set(bytes: number): void;
};

/** The bytes that an interrupted download left lie here, until they are whole. */
export const partialPath = (blob: string): string => `${blob}.mistral.incomplete`;
/** What the server called the version of the file that the partial bytes are of. */
const versionPath = (blob: string): string => `${blob}.mistral.etag`;

const READ_BACK = 2 ** 22;

/**
 * Downloads a file to `blob`. The caller holds its lock.
 * @throws CheckpointError the server fails for good, or sends bytes of another sum twice; the signal's reason
 */
export async function downloadBlob(
  settings: HubSettings,
  source: BlobSource,
  blob: string,
  progress: BlobProgress,
): Promise<void> {
  const { hash } = source.listed;
  let wrong = "";
  for (let round = 0; round < 2; round++) {
    const found = await fillPartial(settings, source, blob, progress);
    if (found === hash) {
      await renameFile(partialPath(blob), blob);
      await removeFile(versionPath(blob));
      return;
    }
    wrong = found;
    await removeFile(partialPath(blob));
    await removeFile(versionPath(blob));
  }
  const { id, file } = source.subject;
  const kind = isSha256(hash) ? "SHA-256" : "git's SHA-1";
  throw new CheckpointError(
    `${id}: ${file}: ${
      wrong === TOO_LONG
        ? `the server sends more than the ${source.listed.bytes} bytes that the repository lists`
        : `${kind} of the bytes that came is ${wrong}, the repository lists ${hash}`
    }; they were fetched twice and deleted: a proxy on the way may change them, or the file was replaced; try again later`,
  );
}

/** Stands for the sum of a file that has more bytes than it may have. */
const TOO_LONG = "too long";

/** Brings the partial file to its full size. @returns the sum of its bytes */
async function fillPartial(
  settings: HubSettings,
  source: BlobSource,
  blob: string,
  progress: BlobProgress,
): Promise<string> {
  const file = await openPartial(partialPath(blob));
  try {
    const state = await readBack(settings, file, source.listed, progress);
    progress.begin(state.bytes);
    let reached = state.bytes;
    await withRetries(
      settings.signal,
      () => receive(settings, source, blob, file, state, progress),
      ATTEMPTS,
      () => {
        // A file that has to begin anew counts when it comes further than before: else a server that always breaks off has no end.
        const came = state.bytes > reached;
        reached = Math.max(reached, state.bytes);
        return came;
      },
    );
    if (state.tooLong) return TOO_LONG;
    await file.cut(source.listed.bytes);
    await file.sync();
    return state.hash.digest();
  } finally {
    await file.close();
  }
}

type State = { bytes: number; hash: RunningHash; tooLong: boolean };

/** Git's hash begins with the kind and size of the object. */
function beginHash({ hash, bytes }: ListedFile): RunningHash {
  if (isSha256(hash)) return newHash("sha256");
  const sum = newHash("sha1");
  sum.update(new TextEncoder().encode(`blob ${bytes}\0`));
  return sum;
}

/** Sums up the bytes that are there already. */
async function readBack(
  { signal }: HubSettings,
  file: PartialFile,
  listed: ListedFile,
  progress: BlobProgress,
): Promise<State> {
  const state: State = { bytes: 0, hash: beginHash(listed), tooLong: false };
  const end = file.bytes > listed.bytes ? 0 : file.bytes;
  while (state.bytes < end) {
    signal?.throwIfAborted();
    const piece = new Uint8Array(Math.min(READ_BACK, end - state.bytes));
    await file.readInto(piece, state.bytes);
    state.hash.update(piece);
    state.bytes += piece.length;
    progress.set(state.bytes);
  }
  return state;
}

/** Receives from where `state` is to the end of the file. @throws CheckpointError it came to no end, and may be tried again */
async function receive(
  settings: HubSettings,
  { url, subject, listed }: BlobSource,
  blob: string,
  file: PartialFile,
  state: State,
  progress: BlobProgress,
): Promise<void> {
  if (state.bytes === listed.bytes) return;
  const answer = await ask(settings, url, subject, blob, state.bytes);
  try {
    refuseEncoded(`${subject.id}: ${subject.file}: the server`, answer);
    if (!continues(answer, state.bytes, listed.bytes)) {
      Object.assign(state, { bytes: 0, hash: beginHash(listed) });
      progress.set(0);
      if (answer.status !== 200) {
        throw tryAgain(
          `${subject.id}: ${subject.file}: the server sent another part than was asked for`,
        );
      }
    }
    await noteVersion(blob, answer);
    for (let piece = await answer.read(); piece !== undefined; piece = await answer.read()) {
      if (state.bytes + piece.length > listed.bytes) {
        state.tooLong = true;
        return;
      }
      await file.writeAt(piece, state.bytes);
      state.hash.update(piece);
      state.bytes += piece.length;
      progress.add(piece.length);
    }
  } finally {
    await answer.close();
  }
  if (state.bytes < listed.bytes) {
    throw tryAgain(
      `${subject.id}: ${subject.file}: the connection ended after ${state.bytes} of ${listed.bytes} bytes`,
    );
  }
}

/** Asks for the rest of a file; for all of it if the server's version is not the one that the partial bytes are of. */
async function ask(
  settings: HubSettings,
  url: string,
  subject: Subject,
  blob: string,
  from: number,
): Promise<Answer> {
  if (from === 0) return get(settings, url, subject);
  const version = await versionOf(blob);
  return get(settings, url, subject, {
    range: `bytes=${from}-`,
    ...(version !== undefined && { "if-range": version }),
  });
}

/** Whether an answer's bytes follow those that are there: part of a file of the right size (206), or all of it (200) at the start. */
function continues(answer: Answer, from: number, size: number): boolean {
  if (answer.status === 200) return from === 0;
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers.get("content-range") ?? "");
  return (
    range !== null && Number(range[1]) === from && (range[3] === "*" || Number(range[3]) === size)
  );
}

/** Keeps the server's name of this version, if it is one that promises equal bytes (a strong ETag). */
async function noteVersion(blob: string, answer: Answer): Promise<void> {
  const version = answer.headers.get("etag") ?? "";
  if (!STRONG_ETAG.test(version) || (await versionOf(blob)) === version) return;
  const file = await openPartial(versionPath(blob));
  try {
    const bytes = new TextEncoder().encode(version);
    await file.writeAt(bytes, 0);
    await file.cut(bytes.length);
  } finally {
    await file.close();
  }
}

const STRONG_ETAG = /^"[\x21\x23-\x7e]{1,200}"$/;

async function versionOf(blob: string): Promise<string | undefined> {
  const text = (await readIfThere(versionPath(blob))) ?? "";
  return STRONG_ETAG.test(text) ? text : undefined; // a process may have been killed while it wrote this
}

/** The sum of a whole file, as the hub would list it. */
export async function hashOf(
  path: string,
  listed: ListedFile,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<string> {
  const file = await openFile(path);
  try {
    const sum = beginHash({ ...listed, bytes: file.size });
    for (let done = 0; done < file.size;) {
      signal?.throwIfAborted();
      const piece = new Uint8Array(Math.min(READ_BACK, file.size - done));
      await file.readInto(piece, done);
      sum.update(piece);
      done += piece.length;
      onBytes(piece.length);
    }
    return sum.digest();
  } finally {
    await file.close();
  }
}
