// The models in the cache: which there are, whether their bytes are still right, and their removal. Works on what Python's
// huggingface_hub has cached too. Opens no connection.

import {
  errorCode,
  exists,
  fileFacts,
  isDirectory,
  joinPath,
  linkTarget,
  listFolder,
  parentFolder,
  removeFolder,
} from "#platform";
import { CheckpointError, InputError } from "../errors.ts";
import { hashOf, partialPath } from "./blob.ts";
import {
  blobPath,
  cachedListing,
  cacheFolderOf,
  type CacheFolder,
  TEMPORARY,
  wantedFiles,
} from "./cache-folder.ts";
import type { Listing } from "./listing.ts";
import { isLocked } from "./lock.ts";
import { checkRepoId, isRepoId, isSha1, isSha256, repoFolderName, shownName } from "./names.ts";
import { readIfThere } from "./read-if-there.ts";

export type CachedFileInfo = {
  /** The path in the repository. */
  readonly file_name: string;
  readonly file_path: string;
  /** Where its bytes lie. The same as `file_path` in a cache without links. */
  readonly blob_path: string;
  /** Bytes. */
  readonly size_on_disk: number;
};

export type CachedRevisionInfo = {
  readonly commit_hash: string;
  readonly snapshot_path: string;
  /** Branches and tags that stood for this commit when it was fetched. */
  readonly refs: readonly string[];
  readonly files: readonly CachedFileInfo[];
  readonly size_on_disk: number;
  /** Seconds since 1970. */
  readonly last_modified: number;
};

export type CachedRepoInfo = {
  readonly repo_id: string;
  readonly repo_type: "model";
  readonly repo_path: string;
  readonly revisions: readonly CachedRevisionInfo[];
  readonly nb_files: number;
  /** Bytes of all revisions; what they share counts once. */
  readonly size_on_disk: number;
  /** Bytes of downloads that were interrupted, which the next one goes on from. */
  readonly incomplete_size: number;
  /** Seconds since 1970. */
  readonly last_accessed: number;
  readonly last_modified: number;
};

export type HFCacheInfo = {
  readonly cache_dir: string;
  readonly repos: readonly CachedRepoInfo[];
  readonly size_on_disk: number;
  /** Folders that are no models as the cache keeps them, with the reason. */
  readonly warnings: readonly string[];
};

/** All models of a cache, by name; none if there is no such folder. @throws InputError it is a file */
export async function scanCache(cacheDir: string): Promise<HFCacheInfo> {
  if ((await exists(cacheDir)) && !(await isDirectory(cacheDir))) {
    throw new InputError(`scan_cache_dir: ${cacheDir} is a file; expected the folder of a cache`);
  }
  const repos: CachedRepoInfo[] = [];
  const warnings: string[] = [];
  for (const { name } of await listFolder(cacheDir)) {
    const path = joinPath(cacheDir, name);
    if (!name.startsWith("models--") || !(await isDirectory(path))) continue;
    const id = name.slice("models--".length).split("--").join("/");
    if (!isRepoId(id)) warnings.push(`${path}: ${shownName(id)} is no name of a model`);
    else repos.push(await scanRepository(path, id, warnings));
  }
  const size_on_disk = repos.reduce((sum, repo) => sum + repo.size_on_disk, 0);
  return { cache_dir: cacheDir, repos, size_on_disk, warnings };
}

async function scanRepository(
  path: string,
  id: string,
  warnings: string[],
): Promise<CachedRepoInfo> {
  const refs = await refsOf(path);
  const revisions: CachedRevisionInfo[] = [];
  const blobs = new Map<string, { bytes: number; modified: number; accessed: number }>();
  for (const { name: commit, kind } of await listFolder(joinPath(path, "snapshots"))) {
    if (kind !== "folder" || !isSha1(commit)) continue;
    const snapshot_path = joinPath(path, "snapshots", commit);
    const files: CachedFileInfo[] = [];
    for (const file_name of await filesBelow(snapshot_path)) {
      const file_path = joinPath(snapshot_path, ...file_name.split("/"));
      const blob_path = await blobOf(file_path);
      const facts = await fileFacts(blob_path, { follow: true });
      if (facts?.kind !== "file") {
        warnings.push(`${file_path} leads to ${blob_path}, which is not there`);
        continue;
      }
      blobs.set(blob_path, facts);
      files.push({ file_name, file_path, blob_path, size_on_disk: facts.bytes });
    }
    const own = [...new Set(files.map((file) => file.blob_path))].map((blob) => blobs.get(blob));
    revisions.push({
      ...{ commit_hash: commit, snapshot_path, refs: refs.get(commit) ?? [], files },
      size_on_disk: own.reduce((sum, blob) => sum + (blob?.bytes ?? 0), 0),
      last_modified: Math.max(0, ...own.map((blob) => blob?.modified ?? 0)) / 1000,
    });
  }
  const all = [...blobs.values()];
  const latest = (field: "accessed" | "modified"): number =>
    Math.max(0, ...all.map((blob) => blob[field])) / 1000;
  return {
    ...{ repo_id: id, repo_type: "model", repo_path: path, revisions, nb_files: blobs.size },
    size_on_disk: all.reduce((sum, blob) => sum + blob.bytes, 0),
    incomplete_size: await incompleteBytes(joinPath(path, "blobs")),
    last_accessed: latest("accessed"),
    last_modified: latest("modified"),
  };
}

/** Commit → the branches and tags that stood for it. */
async function refsOf(path: string): Promise<Map<string, string[]>> {
  const refs = new Map<string, string[]>();
  for (const name of await filesBelow(joinPath(path, "refs"))) {
    const file = joinPath(path, "refs", ...name.split("/"));
    const commit = (await readIfThere(file))?.trim();
    if (commit === undefined) continue;
    refs.set(commit, [...(refs.get(commit) ?? []), name]);
  }
  return refs;
}

async function filesBelow(folder: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for (const { name, kind } of await listFolder(folder)) {
    if (kind === "folder") {
      found.push(...(await filesBelow(joinPath(folder, name), `${prefix}${name}/`)));
    } else if (!name.endsWith(TEMPORARY)) found.push(prefix + name);
  }
  return found;
}

/** The blob that a file of a snapshot links to. */
async function blobOf(path: string): Promise<string> {
  if ((await fileFacts(path))?.kind !== "link") return path;
  return joinPath(parentFolder(path), await linkTarget(path));
}

async function incompleteBytes(blobs: string): Promise<number> {
  const names = (await listFolder(blobs)).filter(({ name }) => name.endsWith(".incomplete"));
  const facts = await Promise.all(names.map(({ name }) => fileFacts(joinPath(blobs, name))));
  return facts.reduce((sum, file) => sum + (file?.bytes ?? 0), 0);
}

/**
 * Removes a model with all its revisions from a cache.
 * @returns how many bytes the files had
 * @throws InputError      the cache does not hold it
 * @throws CheckpointError a process is downloading it; it cannot be removed
 */
export async function removeModel(where: string, cacheDir: string, id: string): Promise<number> {
  const repo = await findModel(where, cacheDir, id);
  const locks = joinPath(cacheDir, ".locks", repoFolderName(id));
  for (const { name } of await listFolder(locks)) {
    if (name.endsWith(".mistral.lock") && (await isLocked(joinPath(locks, name)))) {
      throw new CheckpointError(`${where}: another process is downloading ${id}; stop it first`);
    }
  }
  try {
    await removeFolder(repo.repo_path);
    await removeFolder(locks);
  } catch (cause) {
    throw new CheckpointError(
      `${repo.repo_path} cannot be removed (${errorCode(cause) ?? String(cause)}); check its permissions`,
      { cause },
    );
  }
  return repo.size_on_disk + repo.incomplete_size;
}

export type VerifiedFile = {
  readonly file_name: string;
  readonly commit_hash: string;
  readonly file_path: string;
  /**
   * "missing": an interrupted download was to bring it, and did not come to its end. "unknown": neither the blob's name nor a list of the
   * repository's files says what its hash should be.
   */
  readonly status: "ok" | "damaged" | "missing" | "unknown";
  /** The SHA-256 of a large file, git's SHA-1 of another one. */
  readonly expected: string | undefined;
  readonly found: string | undefined;
  /** Bytes; of a missing file those that came. */
  readonly size_on_disk: number;
  /** Bytes that the hub lists; undefined if the cache has no list of the repository's files. */
  readonly expected_size: number | undefined;
};

export type VerifyOptions = {
  signal?: AbortSignal;
  /** Bytes read so far, and of all files. */
  onProgress?: (progress: { file: string; loaded: number; total: number }) => void;
};

/** Reads all files of a cached model and compares their hashes; names those that an interrupted download still lacks. @throws InputError the cache does not hold it */
export async function verifyModel(
  where: string,
  cacheDir: string,
  id: string,
  { signal, onProgress }: VerifyOptions = {},
): Promise<VerifiedFile[]> {
  const { revisions, size_on_disk: total } = await findModel(where, cacheDir, id);
  const sums = new Map<string, string>();
  const results: VerifiedFile[] = [];
  let loaded = 0;
  for (const { commit_hash, files } of revisions) {
    const cache = cacheFolderOf(cacheDir, id, true);
    const listing = await cachedListing(cache, commit_hash);
    for (const { file_name, file_path, blob_path, size_on_disk } of files) {
      const name = blob_path.split(/[\\/]/).at(-1) ?? "";
      const expected =
        blob_path !== file_path && (isSha256(name) || isSha1(name))
          ? name
          : listing?.get(file_name)?.hash;
      let found = sums.get(blob_path);
      if (expected !== undefined && found === undefined) {
        const listed = { bytes: size_on_disk, hash: expected, gitHash: expected };
        const onBytes = (bytes: number): void => {
          loaded += bytes;
          onProgress?.({ file: file_name, loaded, total });
        };
        found = await hashOf(blob_path, listed, onBytes, signal);
        sums.set(blob_path, found);
      }
      const status = expected === undefined ? "unknown" : found === expected ? "ok" : "damaged";
      results.push({
        ...{ file_name, commit_hash, file_path, status, expected, found, size_on_disk },
        expected_size: listing?.get(file_name)?.bytes,
      });
    }
    const present = new Set(files.map(({ file_name }) => file_name));
    results.push(...(await missingFiles(cache, commit_hash, listing, present)));
  }
  return results;
}

/** The files that an interrupted download was to bring to a snapshot, and that are not there. */
async function missingFiles(
  cache: CacheFolder,
  commit: string,
  listing: Listing | undefined,
  present: ReadonlySet<string>,
): Promise<VerifiedFile[]> {
  const wanted = await wantedFiles(cache, commit);
  const missing: VerifiedFile[] = [];
  for (const [file_name, { hash, bytes }] of listing ?? []) {
    if (present.has(file_name)) continue;
    const blob = blobPath(cache, hash);
    // The second name is that of Python's huggingface_hub, which leaves no note of what it wants.
    const parts = await Promise.all(
      [partialPath(blob), `${blob}.incomplete`].map((path) => fileFacts(path)),
    );
    const came = Math.max(0, ...parts.map((part) => part?.bytes ?? 0));
    if (came === 0 && !wanted.includes(file_name)) continue;
    missing.push({
      ...{ file_name, commit_hash: commit, status: "missing" as const },
      file_path: joinPath(cache.path, "snapshots", commit, ...file_name.split("/")),
      ...{ expected: hash, found: undefined, size_on_disk: came, expected_size: bytes },
    });
  }
  return missing;
}

async function findModel(where: string, cacheDir: string, id: string): Promise<CachedRepoInfo> {
  checkRepoId(where, id);
  const { repos } = await scanCache(cacheDir);
  const repo = repos.find((other) => other.repo_id === id);
  if (repo !== undefined) return repo;
  const has = repos.map((other) => other.repo_id).join(", ");
  throw new InputError(
    `${where}: ${id} is not in the cache of models (${cacheDir}), which holds ${has === "" ? "none" : has}`,
  );
}
