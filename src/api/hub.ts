// The hub and its cache as a user calls them: Python's snapshot_download, hf_hub_download and scan_cache_dir under their names, and
// what a command for models needs. Knows no requests.

import { checkOptions } from "../did-you-mean.ts";
import {
  type HFCacheInfo,
  removeModel,
  scanCache,
  type VerifiedFile,
  verifyModel,
  type VerifyOptions,
} from "../hub/cached-models.ts";
import {
  downloadFile,
  type DownloadOptions,
  downloadSnapshot,
  type SnapshotOptions,
} from "../hub/snapshot.ts";
import { cacheFolder } from "../hub/settings.ts";
import { hubDefaults } from "./env.ts";
import { type DownloadPlan, locateModel, type ModelFileOptions, planModel } from "./model-files.ts";
import type { Part } from "./repository-choice.ts";

const HUB_OPTIONS = [
  "revision",
  "cache_dir",
  "local_files_only",
  "force_download",
  "token",
  "signal",
  "onProgress",
];

/**
 * Fetches the files of a repository of the hub into the cache: all of them, or those that the patterns choose.
 *
 * @param repo_id such as "mistralai/Mistral-7B-v0.1"
 * @returns the folder of the snapshot
 * @throws InputError      a name or an option that cannot be
 * @throws CheckpointError no such repository or revision, no access, no room, no connection and not in the cache
 * @see huggingface_hub 2.4 `snapshot_download`
 */
export async function snapshot_download(
  repo_id: string,
  options: SnapshotOptions = {},
): Promise<string> {
  const where = "snapshot_download";
  checkOptions(where, options, new Set([...HUB_OPTIONS, "allow_patterns", "ignore_patterns"]));
  return downloadSnapshot(where, repo_id, options, hubDefaults());
}

/**
 * Fetches one file of a repository of the hub into the cache.
 *
 * @param filename the path in the repository, such as "config.json"
 * @returns the path of the file in the cache
 * @throws InputError, CheckpointError as `snapshot_download`; CheckpointError: no such file
 * @see huggingface_hub 2.4 `hf_hub_download`
 */
export async function hf_hub_download(
  repo_id: string,
  filename: string,
  options: DownloadOptions & {
    /** A folder in the repository that the file lies in. */
    subfolder?: string | null;
  } = {},
): Promise<string> {
  const where = "hf_hub_download";
  checkOptions(where, options, new Set([...HUB_OPTIONS, "subfolder"]));
  return downloadFile(where, repo_id, filename, options, hubDefaults());
}

/** Parts of a model: "tokenizer" fetches no weights. */
export type ModelParts = {
  /** Default: all of "config", "generation", "tokenizer" and "weights". */
  parts?: readonly Part[];
};

const ALL: readonly Part[] = ["config", "generation", "tokenizer", "weights"];
const MODEL_OPTIONS = new Set([...HUB_OPTIONS, "gguf_file", "subfolder", "variant", "parts"]);

/**
 * Fetches what `from_pretrained` of a model and its tokenizer would fetch, and nothing else.
 *
 * @param name the id of a model on the hub. A folder or a GGUF file of this machine is found, and needs nothing
 * @returns the folder of the snapshot
 * @throws InputError, CheckpointError as `from_pretrained`
 */
export async function downloadModel(
  name: string,
  options: ModelFileOptions & ModelParts = {},
): Promise<string> {
  checkOptions("downloadModel", options, MODEL_OPTIONS);
  return (await locateModel("downloadModel", name, options, options.parts ?? ALL)).dir;
}

/**
 * What `downloadModel` would fetch: files, bytes, and which of them the cache has. Of the model's files the index of its shards alone is
 * fetched for this.
 *
 * @returns undefined for a folder or a GGUF file of this machine
 * @throws InputError, CheckpointError as `from_pretrained`
 */
export async function planDownload(
  name: string,
  options: ModelFileOptions & ModelParts = {},
): Promise<DownloadPlan | undefined> {
  checkOptions("planDownload", options, MODEL_OPTIONS);
  return planModel("planDownload", name, options, options.parts ?? ALL);
}

/** Where a cache lies. */
export type CacheDirOption = {
  /** Default: the cache of downloads. */
  cache_dir?: string | null;
};

/**
 * The models in the cache: their revisions, files and bytes.
 * @see huggingface_hub 2.4 `scan_cache_dir`, whose objects have these fields, and methods in addition
 */
export async function scan_cache_dir(cache_dir?: string | null): Promise<HFCacheInfo> {
  return scanCache(cacheFolder("scan_cache_dir", cache_dir, hubDefaults()));
}

/**
 * Removes a model from the cache, with all its revisions.
 * @returns how many bytes it had
 * @throws InputError it is not there. @throws CheckpointError another process downloads it
 */
export async function removeCachedModel(
  repo_id: string,
  options: CacheDirOption = {},
): Promise<number> {
  const where = "removeCachedModel";
  checkOptions(where, options, new Set(["cache_dir"]));
  return removeModel(where, cacheFolder(where, options.cache_dir, hubDefaults()), repo_id);
}

/**
 * Reads all files of a model in the cache, and compares their hashes with those that the hub lists.
 * @returns one result a file; `status` is "ok", "damaged", "missing" (of an interrupted download) or "unknown"
 * @throws InputError it is not there
 */
export async function verifyCachedModel(
  repo_id: string,
  options: CacheDirOption & VerifyOptions = {},
): Promise<VerifiedFile[]> {
  const where = "verifyCachedModel";
  checkOptions(where, options, new Set(["cache_dir", "signal", "onProgress"]));
  return verifyModel(where, cacheFolder(where, options.cache_dir, hubDefaults()), repo_id, options);
}
