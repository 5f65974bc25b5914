// One repository's folder in the cache, in the layout of Python's huggingface_hub: `blobs/<hash>` holds the bytes, and
// `snapshots/<commit>/<path>` links to them; `refs/<revision>` names a commit, `trees/<commit>.json` lists its files.
// What is planted in the cache is not followed out of it. Opens no connection.

import {
  createExclusive,
  duplicateFile,
  errorCode,
  exists,
  fileFacts,
  isInside,
  joinPath,
  linkTarget,
  listFolder,
  makeFolder,
  makeLink,
  parentFolder,
  processId,
  removeFile,
  renameFile,
} from "#platform";
import { CheckpointError } from "../errors.ts";
import { failureKind } from "./failure.ts";
import { readIfThere } from "./read-if-there.ts";
import { isSha1, repoFolderName, shownName } from "./names.ts";
import { type Listing, listingJson, parseListing } from "./listing.ts";

export type CacheFolder = {
  readonly id: string;
  /** The cache with all repositories. */
  readonly root: string;
  /** The folder of this repository. */
  readonly path: string;
  /** Whether snapshots link to blobs. Where links cannot be made, they hold the files themselves. */
  readonly links: boolean;
};

export function cacheFolderOf(root: string, id: string, links: boolean): CacheFolder {
  return { id, root, path: joinPath(root, repoFolderName(id)), links };
}

export const blobPath = (cache: CacheFolder, hash: string): string =>
  joinPath(cache.path, "blobs", hash);

export const snapshotPath = (cache: CacheFolder, commit: string): string =>
  joinPath(cache.path, "snapshots", commit);

/** Where a file of a snapshot lies. */
export const filePath = (cache: CacheFolder, commit: string, name: string): string =>
  joinPath(snapshotPath(cache, commit), ...name.split("/"));

/** Makes the cache and this repository's folders in it. @throws CheckpointError they cannot be made, or links stand in their place */
export async function makeCacheFolder(cache: CacheFolder, commit: string): Promise<void> {
  await makeFolder(cache.root);
  const tag = joinPath(cache.root, "CACHEDIR.TAG");
  if (!(await exists(tag))) await createExclusive(tag, CACHE_TAG);
  for (const part of ["blobs", "snapshots", "refs", "trees"]) {
    await makeRealFolder(cache, joinPath(cache.path, part));
  }
  await makeRealFolder(cache, snapshotPath(cache, commit));
}

// Tells backup programs to leave the folder out (the Cache Directory Tagging Specification).
const CACHE_TAG = [
  "Signature: 8a477f597d28d172789f06886806bc55",
  "# This folder holds models that can be downloaded again; see https://bford.info/cachedir/",
  "",
].join("\n");

/** Makes a folder below the repository's, in whose path no link may stand. */
async function makeRealFolder(cache: CacheFolder, path: string): Promise<void> {
  if (path !== cache.path) {
    if (path.length <= cache.path.length) return;
    await makeRealFolder(cache, parentFolder(path));
    const facts = await fileFacts(path);
    if (facts?.kind === "folder") return;
    if (facts !== undefined) throw planted(path, facts.kind === "link" ? "a link" : "no folder");
  }
  await makeFolder(path);
}

function planted(path: string, what: string): CheckpointError {
  return new CheckpointError(
    `${path} is ${what}, where the cache of models has a folder or file of its own; nothing was written there: remove it`,
  );
}

/** The commit that the cache has for a revision: the revision itself if it is one. */
export async function cachedCommit(
  cache: CacheFolder,
  revision: string,
): Promise<string | undefined> {
  if (isSha1(revision)) return revision;
  const path = joinPath(cache.path, "refs", ...revision.split("/"));
  const commit = (await readIfThere(path))?.trim() ?? "";
  return isSha1(commit) ? commit : undefined;
}

/** Notes the commit that a revision stands for. A cache that may not be written keeps the older note. */
export async function writeRef(
  cache: CacheFolder,
  revision: string,
  commit: string,
): Promise<void> {
  if (revision === commit || (await cachedCommit(cache, revision)) === commit) return;
  const path = joinPath(cache.path, "refs", ...revision.split("/"));
  await makeRealFolder(cache, parentFolder(path));
  await replaceFile(path, commit);
}

/** The list of a commit's files, if the cache has it. */
export async function cachedListing(
  cache: CacheFolder,
  commit: string,
): Promise<Listing | undefined> {
  // In this order: another process removes the partial list after it has written the whole one.
  for (const isWhole of [false, true]) {
    const text = await readIfThere(listingPath(cache, commit, isWhole), MAX_LISTING);
    const listing = text === undefined ? undefined : parseListing(text);
    if (listing !== undefined) return listing;
  }
  return undefined;
}

const MAX_LISTING = 64 * 2 ** 20;

/**
 * Keeps the list of a commit's files. Python's snapshot_download takes `trees/<commit>.json` to mean that all files were asked for, and
 * refuses a snapshot without some of them: until all are there, the list has a name that only we read.
 */
export async function writeListing(
  cache: CacheFolder,
  commit: string,
  listing: Listing,
): Promise<void> {
  const present = await cachedFiles(cache, commit);
  const isWhole = [...listing.keys()].every((name) => present.has(name));
  const path = listingPath(cache, commit, isWhole);
  if (await exists(path)) return;
  await replaceFile(path, listingJson(listing));
  if (isWhole) await removeFile(listingPath(cache, commit, false));
}

/** Keeps the list of a commit's files before they come. Opens no folder of the snapshot. */
export async function beginListing(
  cache: CacheFolder,
  commit: string,
  listing: Listing,
): Promise<void> {
  if ((await cachedListing(cache, commit)) !== undefined) return;
  await replaceFile(listingPath(cache, commit, false), listingJson(listing));
}

function listingPath(cache: CacheFolder, commit: string, isWhole: boolean): string {
  return joinPath(cache.path, "trees", `${commit}${isWhole ? "" : ".partial"}.json`);
}

/**
 * Notes which files a download is to bring, before it begins, beside those of earlier downloads that did not end. The note goes when all
 * are there, so what an interrupted download lacks can be told.
 */
export async function noteWanted(
  cache: CacheFolder,
  commit: string,
  names: readonly string[],
): Promise<void> {
  const all = new Set([...(await wantedFiles(cache, commit)), ...names]);
  await replaceFile(wantedPath(cache, commit), JSON.stringify([...all].toSorted()));
}

/** Removes the note, unless a file of it is not there yet. */
export async function endWanted(cache: CacheFolder, commit: string): Promise<void> {
  const present = await cachedFiles(cache, commit);
  const wanted = await wantedFiles(cache, commit);
  if (wanted.every((name) => present.has(name))) await removeFile(wantedPath(cache, commit));
}

/** The files of a commit that downloads without an end were to bring, those that came among them. */
export async function wantedFiles(cache: CacheFolder, commit: string): Promise<string[]> {
  const text = await readIfThere(wantedPath(cache, commit), MAX_LISTING);
  if (text === undefined) return [];
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

const wantedPath = (cache: CacheFolder, commit: string): string =>
  joinPath(cache.path, "trees", `${commit}.wanted.json`);

async function replaceFile(path: string, text: string): Promise<void> {
  await replace(path, (temporary) => createExclusive(temporary, text));
}

/** The ending of files that get their name when they are whole; a process that was killed leaves them. */
export const TEMPORARY = ".tmp";

/** Lets `make` write a file under a name of its own, and then gives it the name `path`, in one step. @returns what `make` says: whether it did */
async function replace(
  path: string,
  make: (temporary: string) => Promise<boolean>,
): Promise<boolean> {
  const temporary = `${path}.${processId()}.${Math.random().toString(36).slice(2, 10)}${TEMPORARY}`;
  try {
    const isMade = await make(temporary);
    if (isMade) await renameFile(temporary, path);
    return isMade;
  } catch (error) {
    await removeFile(temporary);
    throw error;
  }
}

/**
 * The bytes of a file in a snapshot; undefined if it is not there, or its link leads nowhere.
 * @throws CheckpointError it leads out of the cache
 */
export async function cachedBytes(
  cache: CacheFolder,
  commit: string,
  name: string,
): Promise<number | undefined> {
  const path = filePath(cache, commit, name);
  const facts = await fileFacts(path, { follow: true });
  if (facts === undefined) return undefined;
  if (!(await isInCache(cache, path))) {
    throw new CheckpointError(
      `${path} leads out of the cache of models${await leadsTo(path)}; remove it, and the file is fetched again`,
    );
  }
  return facts.kind === "file" ? facts.bytes : undefined;
}

/** The bytes of a blob; undefined if there is none, or a link out of the cache in its place. */
export async function blobBytes(cache: CacheFolder, hash: string): Promise<number | undefined> {
  const path = blobPath(cache, hash);
  const facts = await fileFacts(path, { follow: true });
  return facts?.kind === "file" && (await isInCache(cache, path)) ? facts.bytes : undefined;
}

/** Whether a path ends in this repository's folder, or in the store that Python's huggingface_hub shares between repositories. */
async function isInCache(cache: CacheFolder, path: string): Promise<boolean> {
  return (await isInside(cache.path, path)) || isInside(cache.root, path);
}

async function leadsTo(path: string): Promise<string> {
  return (await fileFacts(path))?.kind === "link"
    ? `, to ${shownName(await linkTarget(path))}`
    : "";
}

/** The files of a snapshot that are there whole, with their sizes, by their paths in the repository. */
export async function cachedFiles(
  cache: CacheFolder,
  commit: string,
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const walk = async (folder: string, prefix: string): Promise<void> => {
    for (const { name, kind } of await listFolder(folder)) {
      if (kind === "folder") await walk(joinPath(folder, name), `${prefix}${name}/`);
      else if (!name.endsWith(TEMPORARY)) {
        const bytes = await cachedBytes(cache, commit, prefix + name);
        if (bytes !== undefined) found.set(prefix + name, bytes);
      }
    }
  };
  await walk(snapshotPath(cache, commit), "");
  return found;
}

/** Makes a blob appear in a snapshot: by a link, or where there are none by moving it (if it is new) or a copy. */
export async function placeInSnapshot(
  cache: CacheFolder,
  commit: string,
  name: string,
  hash: string,
  isNewBlob: boolean,
): Promise<void> {
  const path = filePath(cache, commit, name);
  await makeRealFolder(cache, parentFolder(path));
  const blob = blobPath(cache, hash);
  if (cache.links) {
    const up = "../".repeat(2 + name.split("/").length - 1);
    if (await replace(path, (temporary) => makeLink(`${up}blobs/${hash}`, temporary))) return;
  }
  if (isNewBlob) return renameFile(blob, path);
  await replace(path, async (temporary) => {
    await duplicateFile(blob, temporary);
    return true;
  });
}

/** An error of the system while the cache is written, as a message that says what to do; other errors as they are. */
export function cacheError(path: string, error: unknown): unknown {
  const isOurs = error instanceof CheckpointError;
  if (isOurs && failureKind(error) !== undefined) return error;
  const code = errorCode(error) ?? (isOurs ? errorCode(error.cause) : undefined);
  const meaning = code === undefined ? undefined : MEANINGS[code];
  if (code === undefined || (isOurs && meaning === undefined)) return error;
  return new CheckpointError(`${path}: ${meaning ?? "it cannot be written"} (${code})`, {
    cause: error,
  });
}

const KEPT = "what has come is kept, and the next try goes on from there";
const ELSEWHERE = "choose another folder with cache_dir or HF_HUB_CACHE";
const MEANINGS: Readonly<Record<string, string>> = {
  ENOSPC: `the disk is full: make room and try again; ${KEPT}`,
  EDQUOT: `your quota of this disk is used up: make room and try again; ${KEPT}`,
  EFBIG: `no file may become that large here: raise the limit (ulimit -f) and try again; ${KEPT}`,
  EROFS: `this disk may not be written; ${ELSEWHERE}`,
  EACCES: `it may not be written: check its permissions, or ${ELSEWHERE}`,
  EPERM: `it may not be written: check its permissions, or ${ELSEWHERE}`,
  ELOOP:
    "a link stands where the cache of models has a file of its own; nothing was written there: remove it",
};
