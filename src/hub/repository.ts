// A repository at one commit: which files it has, which of them the cache holds, and the fetching of others. Where the hub cannot be
// reached, or must not be asked, it is what the cache holds. Knows no models.

import { exists, fileFacts, freeBytes, joinPath } from "#platform";
import { CheckpointError, InputError } from "../errors.ts";
import { showBytes } from "../show-bytes.ts";
import { downloadBlob, partialPath } from "./blob.ts";
import {
  beginListing,
  blobBytes,
  blobPath,
  cachedBytes,
  cachedCommit,
  cachedFiles,
  cachedListing,
  cacheError,
  cacheFolderOf,
  type CacheFolder,
  endWanted,
  makeCacheFolder,
  noteWanted,
  placeInSnapshot,
  snapshotPath,
  writeListing,
  writeRef,
} from "./cache-folder.ts";
import { failure, failureKind } from "./failure.ts";
import { fetchListing, type ListedFile, type Listing, resolveRevision } from "./listing.ts";
import { withLock } from "./lock.ts";
import { type DownloadProgress, Meter } from "./meter.ts";
import { checkRepoId, checkRepoPath, checkRevision, repoFolderName } from "./names.ts";
import { ATTEMPTS } from "./retry.ts";
import { type HubDefaults, type HubOptions, type HubSettings, hubSettings } from "./settings.ts";

export type Repository = {
  readonly id: string;
  readonly revision: string;
  readonly commit: string;
  /** The folder of its files in the cache: what was fetched, and nothing else. */
  readonly folder: string;
  /** Path of a file → its bytes: all files of the commit; those that the cache holds, if neither the hub nor the cache has their list. */
  readonly files: ReadonlyMap<string, number>;
  /** Why the hub gives no files now; undefined if it does. */
  readonly unreachable: CheckpointError | undefined;
  /** Those of the files that the cache holds whole. */
  cached(names: Iterable<string>): Promise<Set<string>>;
  /**
   * Fetches those of the files that the cache does not hold.
   * @throws CheckpointError no such file, no room, the server fails; the signal's reason
   */
  fetch(names: Iterable<string>, onProgress?: (progress: DownloadProgress) => void): Promise<void>;
};

/** How many files are downloaded at a time. */
const PARALLEL = 4;

/**
 * Finds a repository's commit and its files.
 * @throws InputError      a name or an option that cannot be
 * @throws CheckpointError there is no such repository or revision, or neither hub nor cache can tell
 */
export async function openRepository(
  where: string,
  id: string,
  options: HubOptions,
  defaults: HubDefaults,
): Promise<Repository> {
  checkRepoId(where, id);
  const revision = options.revision ?? "main";
  checkRevision(where, revision);
  const settings = await hubSettings(where, options, defaults);
  const force = options.force_download === true;
  if (force && settings.offline) {
    throw new InputError(`${where}: force_download is true, but ${settings.offlineBecause}`);
  }
  settings.signal?.throwIfAborted();
  const cache = cacheFolderOf(settings.cacheDir, id, settings.links);
  const found = await locate(settings, cache, revision, force);
  const { commit, listing, unreachable } = found;
  const files =
    listing === undefined
      ? await cachedFiles(cache, commit)
      : new Map([...listing].map(([name, { bytes }]) => [name, bytes] as const));
  const cached = async (names: Iterable<string>): Promise<Set<string>> => {
    const there = await Promise.all(
      [...names].map(async (name) => {
        const bytes = await cachedBytes(cache, commit, name);
        return bytes !== undefined && bytes === files.get(name) ? [name] : [];
      }),
    );
    return new Set(there.flat());
  };
  return {
    ...{ id, revision, commit, files, unreachable, cached },
    folder: snapshotPath(cache, commit),
    async fetch(names, onProgress) {
      const wanted = [...new Set(names)];
      const there = await cached(wanted);
      const missing = force ? wanted : wanted.filter((name) => !there.has(name));
      if (missing.length > 0 && unreachable !== undefined) {
        throw notCached(settings, { id, revision }, missing, unreachable);
      }
      if (listing === undefined) return;
      const download: Download = { settings, cache, revision, commit, listing, force };
      if (missing.length > 0) await fetchAll(download, wanted, missing, onProgress);
      else await noteWhatIsThere(download);
    },
  };
}

type Located = {
  readonly commit: string;
  /** Undefined only where the hub cannot be asked, and the cache does not have it. */
  readonly listing: Listing | undefined;
  readonly unreachable: CheckpointError | undefined;
};

/** The commit and its files: by the hub, else by the cache. */
async function locate(
  settings: HubSettings,
  cache: CacheFolder,
  revision: string,
  force: boolean,
): Promise<Located> {
  const { id } = cache;
  const known = await cachedCommit(cache, revision);
  const usable = known !== undefined && (await exists(snapshotPath(cache, known))) && !force;
  const fromCache = async (unreachable: CheckpointError): Promise<Located> => {
    if (!usable) throw unreachable;
    if (!settings.offline) {
      console.warn(`${id}: using commit ${known} from the cache of models: ${unreachable.message}`);
    }
    return { commit: known, listing: await cachedListing(cache, known), unreachable };
  };
  if (settings.offline) {
    return fromCache(
      failure(
        "not cached",
        `${id} at revision "${revision}" is not in the cache of models (${settings.cacheDir}), and ${settings.offlineBecause}: ` +
          `no connection was opened; fetch it once without that`,
      ),
    );
  }
  try {
    const subject = { id, revision };
    // Where the cache can stand in, the hub is asked once.
    const attempts = usable ? 1 : ATTEMPTS;
    const commit =
      known === revision ? revision : await resolveRevision(settings, subject, attempts);
    const listing =
      (await cachedListing(cache, commit)) ?? (await fetchListing(settings, subject, commit));
    return { commit, listing, unreachable: undefined };
  } catch (error) {
    const kind = failureKind(error);
    if (kind !== "unreachable" && kind !== "no access") throw error;
    return fromCache(error as CheckpointError);
  }
}

function notCached(
  { offline, offlineBecause }: HubSettings,
  { id, revision }: { id: string; revision: string },
  missing: readonly string[],
  unreachable: CheckpointError,
): CheckpointError {
  const more = missing.length > 1 ? ` and ${missing.length - 1} more files` : "";
  const why = offline
    ? `no connection may be opened, since ${offlineBecause}`
    : `the hub does not give them: ${unreachable.message}`;
  return failure(
    "not cached",
    `${id} at revision "${revision}": the cache of models has no ${missing[0]}${more}, and ${why}`,
    { cause: unreachable },
  );
}

type Download = {
  readonly settings: HubSettings;
  readonly cache: CacheFolder;
  readonly revision: string;
  readonly commit: string;
  readonly listing: Listing;
  readonly force: boolean;
};

/** All files are there: only what the revision stands for may be new. A cache that may not be written stays as it is. */
async function noteWhatIsThere({ cache, revision, commit }: Download): Promise<void> {
  try {
    await writeRef(cache, revision, commit);
  } catch (error) {
    if (cacheError(cache.path, error) === error) throw error;
  }
}

async function fetchAll(
  download: Download,
  wanted: readonly string[],
  missing: readonly string[],
  onProgress?: (progress: DownloadProgress) => void,
): Promise<void> {
  const { settings, cache, revision, commit, listing } = download;
  const sizes = new Map(wanted.map((name) => [name, listed(download, name).bytes]));
  for (const name of missing) checkRepoPath(cache.id, name);
  const meter = new Meter(
    sizes,
    wanted.filter((name) => !missing.includes(name)),
    onProgress,
  );
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(settings.signal ? [settings.signal] : [])]);
  const shared = { ...download, settings: { ...settings, signal } };
  try {
    await makeCacheFolder(cache, commit);
    await checkRoom(download, missing);
    // Both before the first byte: an interrupted download is known by them.
    await beginListing(cache, commit, listing);
    await noteWanted(cache, commit, wanted);
    const waiting = [...missing];
    const work = async (): Promise<void> => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        await fetchOne(shared, name, meter);
      }
    };
    const workers = Array.from({ length: Math.min(PARALLEL, missing.length) }, work);
    for (const worker of workers) worker.catch((error: unknown) => stop.abort(error));
    await Promise.allSettled(workers);
    settings.signal?.throwIfAborted();
    if (stop.signal.aborted) throw stop.signal.reason;
    await writeListing(cache, commit, listing);
    await endWanted(cache, commit);
    await writeRef(cache, revision, commit);
  } catch (error) {
    throw cacheError(cache.path, error);
  }
}

function listed({ cache, revision, listing }: Download, name: string): ListedFile {
  const file = listing.get(name);
  if (file !== undefined) return file;
  throw failure("no file", `${cache.id} has no file "${name}" at revision "${revision}"`);
}

/** @throws CheckpointError the files do not fit on the disk */
async function checkRoom(download: Download, missing: readonly string[]): Promise<void> {
  const { cache } = download;
  const files = new Map(
    missing.map((name) => [listed(download, name).hash, listed(download, name)]),
  );
  let needed = 0;
  for (const { hash, bytes } of files.values()) {
    if ((await blobBytes(cache, hash)) === bytes) continue;
    const partial = await fileFacts(partialPath(blobPath(cache, hash)));
    needed += Math.max(0, bytes - (partial?.bytes ?? 0));
  }
  const free = await freeBytes(cache.path);
  if (needed <= free) return;
  throw new CheckpointError(
    `${cache.id}: the download takes ${showBytes(needed)} (${needed} bytes), but ${cache.path} has ${showBytes(free)} (${free} bytes) free; ` +
      "nothing was downloaded: make room, or choose another folder with cache_dir or HF_HUB_CACHE",
  );
}

async function fetchOne(download: Download, name: string, meter: Meter): Promise<void> {
  const { settings, cache, commit, force, revision } = download;
  const file = listed(download, name);
  const blob = blobPath(cache, file.hash);
  const lock = joinPath(
    cache.root,
    ".locks",
    repoFolderName(cache.id),
    `${file.hash}.mistral.lock`,
  );
  const showOther = async (): Promise<void> => {
    meter.set(name, (await fileFacts(partialPath(blob)))?.bytes ?? 0);
  };
  await withLock(lock, settings.signal, showOther, async () => {
    if (!force && (await cachedBytes(cache, commit, name)) === file.bytes) return;
    const isThere = !force && (await blobBytes(cache, file.hash)) === file.bytes;
    if (!isThere) {
      const url = `${settings.endpoint}/${cache.id}/resolve/${commit}/${encodePath(name)}`;
      const subject = { id: cache.id, revision, file: name };
      await downloadBlob(settings, { url, subject, listed: file }, blob, {
        begin: (bytes) => meter.begin(name, bytes),
        add: (bytes) => meter.add(name, bytes),
        set: (bytes) => meter.set(name, bytes),
      });
    }
    await placeInSnapshot(cache, commit, name, file.hash, !isThere);
  });
  meter.end(name);
}

const encodePath = (path: string): string => path.split("/").map(encodeURIComponent).join("/");
