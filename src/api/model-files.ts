// From the name of a model to its files, for everything that reads a model: a folder, a GGUF file, or the id of a repository on the hub,
// of which the files that are needed (and no others) are brought into the cache. Says which files those are. Reads no weights.

import { exists, isDirectory, joinPath } from "#platform";
import { readShardIndex } from "../checkpoint/shard-index.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { failure } from "../hub/failure.ts";
import type { DownloadProgress } from "../hub/meter.ts";
import { isRepoId, leavesFolder, shownName } from "../hub/names.ts";
import { openRepository, type Repository } from "../hub/repository.ts";
import type { HubOptions, HubPlaceOptions } from "../hub/settings.ts";
import { hubDefaults } from "./env.ts";

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

/** What is to be read of a model. "mistralTokenizer": the tokenizer's file of Mistral AI's own layout, also beside a tokenizer.json. */
export type Part = "config" | "generation" | "tokenizer" | "mistralTokenizer" | "weights";

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
  const { repository, subfolder } = await openModelRepository(where, name, options);
  const wanted = await chooseFiles(where, repository, options, parts);
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
  const { repository } = await openModelRepository(where, name, options);
  const wanted = await chooseFiles(where, repository, options, parts);
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
  if (isGiven(subfolder) && subfolder !== "" && leavesFolder(subfolder.replace(/\/+$/, ""))) {
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
  throw new CheckpointError(
    `${where}: ${name}: no such ${isGguf ? "file" : "folder"}; a model is a folder with config.json and model.safetensors, ` +
      'a GGUF file, or the id of one on the hub, such as "mistralai/Mistral-7B-v0.1"',
  );
}

const isGiven = (value: unknown): value is string => typeof value === "string";

async function openModelRepository(
  where: string,
  name: string,
  options: ModelFileOptions,
): Promise<{ repository: Repository; subfolder: string }> {
  const subfolder = (options.subfolder ?? "").replace(/\/+$/, "");
  try {
    return { repository: await openRepository(where, name, options, hubDefaults()), subfolder };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`${where}: ${error.message}; and there is no folder ${name} here`, {
      cause: error,
    });
  }
}

/** The last two name the method of older quantised checkpoints. */
const CONFIGS = /^(config|params|adapter_config|quantize_config|quant_config)\.json$/;
const TOKENIZER = /^(tokenizer_config|special_tokens_map|added_tokens|chat_template)\.json$/;
const TEMPLATES = /^(chat_template|additional_chat_templates\/[^/]+)\.jinja$/;
/** Mistral AI's own layout: tekken.json, else SentencePiece models, whose names say the version of their encodings. */
const MISTRAL_TOKENIZERS = [/^tekken\.json$/, /^[\w-]+\.model(\.v\d+\w*)?$/];

/** The files that the parts need, by their paths in the repository. */
async function chooseFiles(
  where: string,
  repository: Repository,
  { subfolder, variant, gguf_file }: ModelFileOptions,
  parts: readonly Part[],
): Promise<string[]> {
  const prefix = isGiven(subfolder) && subfolder !== "" ? `${subfolder.replace(/\/+$/, "")}/` : "";
  const names = [...repository.files.keys()]
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
  const folder = new RepositoryFolder(where, repository, prefix, new Set(names));
  if (isGiven(gguf_file)) return [folder.required(gguf_file)];
  const chosen: string[] = [];
  chosen.push(...folder.matching(CONFIGS));
  if (parts.join() === "generation") chosen.push(folder.required("generation_config.json"));
  else if (parts.includes("generation"))
    chosen.push(...folder.matching(/^generation_config\.json$/));
  if (parts.includes("tokenizer")) chosen.push(...tokenizerFiles(folder));
  if (parts.includes("mistralTokenizer")) chosen.push(...mistralTokenizerFiles(folder));
  if (parts.includes("weights")) chosen.push(...(await weightFiles(folder, variant ?? undefined)));
  if (chosen.length === 0) throw folder.nothing();
  return [...new Set(chosen)];
}

function tokenizerFiles(folder: RepositoryFolder): string[] {
  const settings = [...folder.matching(TOKENIZER), ...folder.matching(TEMPLATES)];
  const own = folder.matching(/^tokenizer\.json$/);
  if (own.length > 0) return [...settings, ...own];
  return [...settings, ...mistralTokenizerFiles(folder)];
}

function mistralTokenizerFiles(folder: RepositoryFolder): string[] {
  const found = MISTRAL_TOKENIZERS.map((pattern) => folder.matching(pattern));
  return found.find((files) => files.length > 0) ?? [];
}

/** One file, or the shards that the index names. Mistral AI's own layout is taken only if there is no other one. */
async function weightFiles(
  folder: RepositoryFolder,
  variant: string | undefined,
): Promise<string[]> {
  const middle = variant === undefined ? "" : `.${variant}`;
  const single = `model${middle}.safetensors`;
  const index = `model.safetensors.index${middle}.json`;
  if (folder.names.has(single)) return [folder.required(single)];
  if (folder.names.has(index)) {
    const shardOf = await readShardIndex(await folder.fetched(index));
    const shards = [...new Set(shardOf.values())].toSorted();
    return [folder.required(index), ...shards.map((shard) => folder.required(shard))];
  }
  const shards = folder.matching(/^model-\d+-of-\d+\.safetensors$/);
  if (shards.length > 0 && variant === undefined) return shards;
  const consolidated = folder.matching(/^consolidated[\w.-]*\.safetensors$/);
  if (consolidated.length > 0 && folder.names.has("params.json") && variant === undefined) {
    return [...consolidated, ...folder.matching(/^consolidated\.safetensors\.index\.json$/)];
  }
  throw folder.noWeights(`neither ${single} nor ${index}`);
}

/** The files of a repository that lie in one folder. */
class RepositoryFolder {
  /** Paths from the folder on. */
  readonly names: ReadonlySet<string>;
  readonly #where: string;
  readonly #repository: Repository;
  readonly #prefix: string;

  constructor(where: string, repository: Repository, prefix: string, names: ReadonlySet<string>) {
    this.names = names;
    this.#where = where;
    this.#repository = repository;
    this.#prefix = prefix;
  }

  get #place(): string {
    const { id, revision, unreachable } = this.#repository;
    const within = this.#prefix === "" ? "" : `, folder ${this.#prefix.slice(0, -1)}`;
    const cached = unreachable === undefined ? "" : " in the cache";
    return `${this.#where}: ${id}${cached} (revision "${revision}"${within})`;
  }

  /** Why files may be missing though the repository has them. */
  get #reason(): string {
    const { unreachable } = this.#repository;
    return unreachable === undefined ? "" : `; the hub was not asked: ${unreachable.message}`;
  }

  /** Paths in the repository of the files that match. */
  matching(pattern: RegExp): string[] {
    return [...this.names].filter((name) => pattern.test(name)).map((name) => this.#prefix + name);
  }

  /** @throws CheckpointError it is not there, with the names that could be meant */
  required(name: string): string {
    if (this.names.has(name)) return this.#prefix + name;
    const gguf = /\.gguf$/i.test(name) ? this.#shown(/\.gguf$/i) : "";
    throw failure(
      "no file",
      `${this.#place} has no file ${shownName(name)}${gguf === "" ? "" : `; it has ${gguf}`}${this.#reason}`,
    );
  }

  /** Fetches one small file. @returns its path in the cache */
  async fetched(name: string): Promise<string> {
    const path = this.required(name);
    await this.#repository.fetch([path]);
    return joinPath(this.#repository.folder, ...path.split("/"));
  }

  nothing(): CheckpointError {
    const gguf = this.#shown(/\.gguf$/i);
    if (gguf !== "") return this.#onlyGguf(gguf);
    return failure(
      "no file",
      `${this.#place} has no config.json and no other file of a model${this.#reason}`,
    );
  }

  noWeights(expected: string): CheckpointError {
    const start = `${this.#place} has ${expected}`;
    const others = this.#shown(/^model.*\.safetensors$/);
    const gguf = this.#shown(/\.gguf$/i);
    const pickle = this.#shown(/\.(bin|pt|pth|ckpt|pkl|pickle)$/);
    if (others !== "") {
      return failure(
        "no file",
        `${start}, but ${others}; name the middle part with the option variant`,
      );
    }
    if (gguf !== "") return this.#onlyGguf(gguf);
    if (pickle !== "") {
      return failure(
        "no file",
        `${start}, only ${pickle}: Python pickles, which can run any code when they are loaded, so they are neither fetched nor loaded; ` +
          "look for a revision or another repository with safetensors, or convert it once with save_pretrained in Python",
      );
    }
    return failure("no file", `${start}${this.#reason}`);
  }

  #onlyGguf(gguf: string): CheckpointError {
    return failure("no file", `${this.#place} has GGUF files: name one with gguf_file (${gguf})`);
  }

  /** The names of up to five matching files. */
  #shown(pattern: RegExp): string {
    const found = [...this.names].filter((name) => pattern.test(name));
    const more = found.length > 5 ? ` and ${found.length - 5} more` : "";
    return `${found.slice(0, 5).join(", ")}${more}`;
  }
}
