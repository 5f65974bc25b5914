// From the name of a model to its files, for everything that reads a model: a folder, a GGUF file, or the id of a repository on the hub,
// of which the files that are needed are brought into the cache. Which those are, repository-choice.ts says. Reads no weights.

import { exists, isDirectory, joinPath } from "#platform";
import { CheckpointError, InputError } from "../errors.ts";
import type { DownloadProgress } from "../hub/meter.ts";
import { isRepoId, leavesFolder, shownName } from "../hub/names.ts";
import { openRepository, type Repository } from "../hub/repository.ts";
import type { HubOptions, HubPlaceOptions } from "../hub/settings.ts";
import { refusePromise } from "./forgotten-await.ts";
import { hubDefaults } from "./env.ts";
import { chooseFiles, type Part } from "./repository-choice.ts";

/** Options that say where a model's files come from. All but `gguf_file` and `subfolder` matter for a hub id alone. */
export type ModelPlaceOptions = HubPlaceOptions & {
  /** The name of a GGUF file in the folder or repository: config, tokenizer and weights come from it. Default: none. */
  gguf_file?: string | null;
  /** A folder within the folder or repository. Default: none. */
  subfolder?: string | null;
  /** Code that comes with a model is never run, whatever this says. Default false. */
  trust_remote_code?: boolean;
};

/** Options of reading a part of a model: its config, its tokenizer. */
export type ModelPartOptions = ModelPlaceOptions & HubOptions & FetchProgress;

type FetchProgress = {
  /** Called as files are fetched from the hub. */
  onProgress?: (progress: DownloadProgress) => void;
};

type Variant = {
  /** The middle of the weights' file names: "fp16" means model.fp16.safetensors. Default: none. */
  variant?: string | null;
};

/** Options that say which files of a model are read. */
export type ModelFileOptions = ModelPartOptions & Variant;

/** The same for `from_pretrained`, which tells of its progress in more than fetching. */
export type WeightFileOptions = ModelPlaceOptions & Variant;

/** The names of the options that say where files come from, and that every from_pretrained takes. */
export const FILE_OPTIONS: readonly string[] = [
  ...["gguf_file", "subfolder", "revision", "token", "cache_dir", "local_files_only"],
  "force_download",
];
/** The names of all options that have to do with the files, and that every from_pretrained takes. */
export const PLACE_OPTIONS: readonly string[] = [
  ...FILE_OPTIONS,
  ...["signal", "onProgress", "trust_remote_code"],
];

export type ModelFiles = {
  /** The folder as it was published: of the user, or the snapshot in the cache. */
  readonly dir: string;
  /** `dir`, or the `subfolder` in it: what holds config.json. For a config alone it may be the path of the file itself. */
  readonly folder: string;
  /** The path of the GGUF file that holds everything, if it is one. */
  readonly gguf: string | undefined;
};

/**
 * Finds a model's files, and fetches from the hub what the parts need.
 *
 * @param name a folder, the path of a GGUF file, or the id of a repository; a folder that exists wins over an id
 * @throws InputError      a name or an option that cannot be
 * @throws CheckpointError nothing of that name, no such files in it, or they cannot be fetched
 */
export async function locateModel(
  where: string,
  name: string,
  options: ModelFileOptions,
  parts: readonly Part[],
): Promise<ModelFiles> {
  const local = await localModel(where, name, options, parts);
  if (local !== undefined) return local;
  const repository = await openModelRepository(where, name, options);
  const { subfolder } = choice(options);
  const wanted = await chooseFiles(where, repository, choice(options), parts);
  await repository.fetch(wanted, options.onProgress);
  const dir = repository.folder;
  return {
    dir,
    folder: joinPath(dir, ...subfolder.split("/")),
    gguf: isGiven(options.gguf_file) ? joinPath(dir, subfolder, options.gguf_file) : undefined,
  };
}

/** One file of a download that is planned. */
export type PlannedFile = {
  /** The path in the repository. */
  readonly file: string;
  readonly bytes: number;
  /** Whether the cache has it. */
  readonly cached: boolean;
};

export type DownloadPlan = {
  readonly repo_id: string;
  readonly revision: string;
  readonly commit_hash: string;
  /** Where the files will lie. */
  readonly folder: string;
  readonly files: readonly PlannedFile[];
  /** Bytes of all files, and of those that have to be fetched. */
  readonly bytes: number;
  readonly missingBytes: number;
};

/**
 * What loading a model would fetch. Nothing is fetched but the repository's list of files, and the index of its shards.
 * @returns undefined for a folder or a GGUF file of this machine, which needs nothing
 */
export async function planModel(
  where: string,
  name: string,
  options: ModelFileOptions,
  parts: readonly Part[],
): Promise<DownloadPlan | undefined> {
  if ((await localModel(where, name, options, parts)) !== undefined) return undefined;
  const repository = await openModelRepository(where, name, options);
  const wanted = await chooseFiles(where, repository, choice(options), parts);
  const cached = await repository.cached(wanted);
  const files = wanted.map((file) => ({
    file,
    bytes: repository.files.get(file) ?? 0,
    cached: cached.has(file) && options.force_download !== true,
  }));
  const sum = (of: readonly PlannedFile[]): number => of.reduce((all, { bytes }) => all + bytes, 0);
  return {
    repo_id: repository.id,
    revision: repository.revision,
    commit_hash: repository.commit,
    folder: repository.folder,
    files,
    bytes: sum(files),
    missingBytes: sum(files.filter((file) => !file.cached)),
  };
}

/** The files of a name that exists on this machine; undefined for one that does not, but may be a repository's. */
async function localModel(
  where: string,
  name: unknown,
  { gguf_file, subfolder }: ModelFileOptions,
  parts: readonly Part[],
): Promise<ModelFiles | undefined> {
  refusePromise(where, name);
  if (typeof name !== "string" || name === "") {
    throw new InputError(
      `${where}: got ${shownName(name)}; expected a folder, the path of a GGUF file, or the id of a model on the hub`,
    );
  }
  if (isGiven(gguf_file) ? gguf_file === "" : gguf_file !== undefined && gguf_file !== null) {
    throw new InputError(
      `${where}: gguf_file is ${shownName(gguf_file)}, expected the name of a file in the folder, such as "model-q4_k_m.gguf"`,
    );
  }
  const isFolder = isGiven(subfolder)
    ? subfolder === "" || !leavesFolder(subfolder.replace(/\/+$/, ""))
    : subfolder === undefined || subfolder === null;
  if (!isFolder) {
    throw new InputError(
      `${where}: subfolder is ${shownName(subfolder)}, expected a folder within the model's`,
    );
  }
  if (await isDirectory(name)) {
    const folder = joinPath(name, subfolder ?? "");
    const gguf = isGiven(gguf_file) ? joinPath(folder, gguf_file) : undefined;
    if (await isDirectory(folder)) return { dir: name, folder, gguf };
    throw new CheckpointError(`${where}: ${name} has no folder ${shownName(subfolder)}`);
  }
  const isFile = await exists(name);
  const isGguf = /\.gguf$/i.test(name);
  if (isFile && isGiven(gguf_file)) {
    throw new CheckpointError(
      `${where}: ${name} is no folder; gguf_file names a file in a folder, and without it the path of the file itself can be given`,
    );
  }
  if (isFile && isGguf) return { dir: name, folder: name, gguf: name };
  if (isFile && parts.every((part) => part === "config")) {
    return { dir: name, folder: name, gguf: undefined };
  }
  if (isFile) {
    throw new CheckpointError(
      `${where}: ${name} is a file; expected a folder with config.json and model.safetensors, a GGUF file, or the id of a model on the hub`,
    );
  }
  if (isRepoId(name) && !isGguf) return undefined;
  const hint = nameHint(name);
  if (hint !== undefined) throw new InputError(`${where}: got ${shownName(name)}; ${hint}`);
  throw new CheckpointError(
    `${where}: ${name}: no such ${isGguf ? "file" : "folder"}; a model is a folder with config.json and model.safetensors, ` +
      'a GGUF file, or the id of one on the hub, such as "mistralai/Mistral-7B-v0.1"',
  );
}

/** What to write for a name that people take from a shell or a browser. */
function nameHint(name: string): string | undefined {
  const id = /^https?:\/\/[^/]+\/([\w.-]+\/[\w.-]+)/.exec(name)?.[1];
  if (id !== undefined) return `for a model on the hub write its id, ${shownName(id)}`;
  if (/^~[\\/]/.test(name)) return "~ is known to shells only; write the whole path of the folder";
  if (name.startsWith("file:")) return "write the folder's path: fileURLToPath(url) of node:url";
  return undefined;
}

const isGiven = (value: unknown): value is string => typeof value === "string";

function choice(options: ModelFileOptions): Parameters<typeof chooseFiles>[2] {
  return {
    subfolder: (options.subfolder ?? "").replace(/\/+$/, ""),
    variant: options.variant ?? undefined,
    ggufFile: options.gguf_file ?? undefined,
  };
}

async function openModelRepository(
  where: string,
  name: string,
  options: ModelFileOptions,
): Promise<Repository> {
  try {
    return await openRepository(where, name, options, hubDefaults());
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`${where}: ${error.message}; and there is no folder ${name} here`, {
      cause: error,
    });
  }
}
