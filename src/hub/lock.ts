// A lock between processes, as a file that names its owner: only one of them downloads a file, the others wait. The owner renews the
// file's time; a lock whose owner has died, or does not renew it any more, is taken over. Python's huggingface_hub has locks of its own
// (flock), which this runtime cannot take; beside it both may download the same bytes, each to its own partial file.

import {
  createExclusive,
  fileFacts,
  hostName,
  isProcessAlive,
  joinPath,
  makeFolder,
  parentFolder,
  processId,
  removeFile,
  renameFile,
  touchFile,
} from "#platform";
import { CheckpointError } from "../errors.ts";
import { readIfThere } from "./read-if-there.ts";
import { pause } from "./retry.ts";

type Owner = {
  readonly pid: number;
  readonly host: string;
  readonly time: string;
  readonly key: string;
};

/** How often the owner renews its lock. */
const RENEW_MS = 2000;
/** A lock that was not renewed for so long, on the waiting process's own clock, has no owner any more. */
const STALE_MS = 30_000;
const POLL_MS = 100;

/**
 * Runs `body` while this process holds the lock at `path`.
 * @param onWait called about ten times a second while another process holds it
 */
export async function withLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  onWait: () => Promise<void>,
  body: () => Promise<T>,
): Promise<T> {
  await makeFolder(parentFolder(path));
  const own: Owner = {
    pid: processId(),
    host: hostName(),
    time: new Date().toISOString(),
    key: Math.random().toString(36).slice(2),
  };
  await acquire(path, own, signal, onWait);
  const renewal = setInterval(() => void touchFile(path).catch(() => {}), RENEW_MS);
  try {
    return await body();
  } finally {
    clearInterval(renewal);
    if ((await ownerOf(path))?.key === own.key) await removeFile(path);
  }
}

/** Whether a process holds the lock now, as far as can be told: one on another machine by the time of its last renewal. */
export async function isLocked(path: string): Promise<boolean> {
  const owner = await ownerOf(path);
  return owner !== undefined && !hasDied(owner) && !(await isOld(path));
}

async function acquire(
  path: string,
  own: Owner,
  signal: AbortSignal | undefined,
  onWait: () => Promise<void>,
): Promise<void> {
  let seen = "";
  let since = performance.now();
  while (!(await createExclusive(path, JSON.stringify(own)))) {
    signal?.throwIfAborted();
    const facts = await fileFacts(path);
    if (facts === undefined) continue; // given back in between
    if (facts.kind !== "file") {
      throw new CheckpointError(`${path} is no file, where a lock was expected; remove it`);
    }
    const owner = await ownerOf(path);
    const state = `${owner?.key} ${facts.modified}`;
    if (state !== seen) [seen, since] = [state, performance.now()];
    const isStale = performance.now() - since > STALE_MS || (owner !== undefined && hasDied(owner));
    if (isStale && (await takeOver(path, own, owner))) return;
    await onWait();
    await pause(POLL_MS * (0.75 + Math.random() / 2), signal);
  }
}

/**
 * Puts this process's name into a lock without an owner. Of several that try, the one that creates a second file does; that file is
 * removed by age if its creator died over this.
 * @returns whether this process holds the lock now
 */
async function takeOver(path: string, own: Owner, dead: Owner | undefined): Promise<boolean> {
  const guard = `${path}.takeover`;
  if (!(await createExclusive(guard, JSON.stringify(own)))) {
    const other = await ownerOf(guard);
    if ((other !== undefined && hasDied(other)) || (await isOld(guard))) await removeFile(guard);
    return false;
  }
  try {
    if ((await ownerOf(path))?.key !== dead?.key) return false;
    const mine = joinPath(parentFolder(path), `${own.key}.tmp`);
    await createExclusive(mine, JSON.stringify(own));
    await renameFile(mine, path);
    return true;
  } finally {
    await removeFile(guard);
  }
}

/** Undefined: there is no lock, or its owner has not written its name yet. */
async function ownerOf(path: string): Promise<Owner | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Partial<Owner> | null;
    return typeof value?.pid === "number" && typeof value.host === "string"
      ? (value as Owner)
      : undefined;
  } catch {
    return undefined; // half written
  }
}

/** Whether a file was last changed so long ago, by the clock of this machine, that its owner would have renewed it since. */
async function isOld(path: string): Promise<boolean> {
  const facts = await fileFacts(path);
  return facts !== undefined && Date.now() - facts.modified > STALE_MS;
}

function hasDied(owner: Owner): boolean {
  return owner.host === hostName() && !isProcessAlive(owner.pid);
}
