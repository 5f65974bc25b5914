// Folders on Node: made, copied into, replaced as a whole, removed. A browser build offers the same functions.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { CheckpointError } from "../errors.ts";

/** Makes a folder, with those above it. @throws CheckpointError */
export async function makeFolder(path: string): Promise<void> {
  await guarded(path, "cannot be made", makeAll(path));
}

/** Makes a folder and those above it. Not by mkdir's `recursive`, which hangs where nothing can be made, such as /proc (Node 26.10). */
export async function makeAll(path: string): Promise<void> {
  try {
    await makeOne(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeAll(dirname(path));
    await makeOne(path);
  }
}

/** Makes a folder, unless it is there: another process may have made it a moment ago. */
async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

/** Copies the content of a small file; the copy may be written, whatever the file's own permissions say. @throws CheckpointError */
export async function copyFile(from: string, to: string): Promise<void> {
  const copy = async (): Promise<void> => writeFile(to, await readFile(from));
  await guarded(to, `cannot be copied from ${from}`, copy());
}

/** Renames the folder `from` to `to` and removes what had that name. If renaming fails, that stays. @throws CheckpointError */
export async function replaceFolder(from: string, to: string): Promise<void> {
  const old = `${from}.old`;
  const hadOne = await rename(to, old).then(
    () => true,
    () => false,
  );
  try {
    await guarded(to, "cannot be given its name", rename(from, to));
  } catch (error) {
    if (hadOne) await rename(old, to);
    throw error;
  }
  if (hadOne) await rm(old, { recursive: true, force: true });
}

/** Removes a folder with all that is in it, if it exists. */
export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** The folder that a path lies in. */
export function parentFolder(path: string): string {
  return dirname(path);
}

async function guarded<T>(path: string, what: string, step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new CheckpointError(`${path}: ${what} (${code}); ${writeRemedy(code)}`, { cause });
  }
}

/** What to do when the system refuses to write, by its code. */
const REMEDIES: ReadonlyMap<string | undefined, string> = new Map([
  ["ENOSPC", "the disk is full: make room and try again"],
  ["EDQUOT", "your share of the disk is full: make room and try again"],
  ["EFBIG", "files may not become so large here: choose a smaller max_shard_size, or another disk"],
  ["EROFS", "the disk may only be read: choose another place"],
  ["ENOTDIR", "check that the folder may be written: a part of the path is a file"],
  ["EEXIST", "a file has that name: choose another one, or remove it"],
  ["ENAMETOOLONG", "the name is too long: choose a shorter one"],
  ["EMFILE", "this process has too many files open"],
]);

export function writeRemedy(code: string | undefined): string {
  return REMEDIES.get(code) ?? "check that the folder may be written";
}
