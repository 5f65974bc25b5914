// Which files of a repository a model needs: of several layouts and formats one, the one that would be loaded if all files were there.
// Knows no local folders.

import { joinPath } from "#platform";
import { configMissing, weightsMissing } from "../checkpoint/folder-diagnosis.ts";
import { readShardIndex } from "../checkpoint/shard-index.ts";
import { weightLayouts } from "../checkpoint/weights.ts";
import { CheckpointError } from "../errors.ts";
import { failure } from "../hub/failure.ts";
import { shownName } from "../hub/names.ts";
import type { Repository } from "../hub/repository.ts";

/** What is to be read of a model. "mistralTokenizer": the tokenizer's file of Mistral AI's own layout, also beside a tokenizer.json. */
export type Part = "config" | "generation" | "tokenizer" | "mistralTokenizer" | "weights";

/** The last two name the method of older quantised checkpoints. */
const CONFIGS = /^(config|params|adapter_config|quantize_config|quant_config)\.json$/;
const TOKENIZER = /^(tokenizer_config|special_tokens_map|added_tokens|chat_template)\.json$/;
const TEMPLATES = /^(chat_template|additional_chat_templates\/[^/]+)\.jinja$/;
/** Mistral AI's own layout: tekken.json, else SentencePiece models, whose names say the version of their encodings. */
const MISTRAL_TOKENIZERS = [/^tekken\.json$/, /^[\w-]+\.model(\.v\d+\w*)?$/];

/**
 * The files that the parts need, by their paths in the repository. The index of shards is fetched for this, if there is one.
 * @param where the function that the user called, for messages
 * @throws CheckpointError the repository has no such files; the message names those that it has
 */
export async function chooseFiles(
  where: string,
  repository: Repository,
  options: { subfolder: string; variant: string | undefined; ggufFile: string | undefined },
  parts: readonly Part[],
): Promise<string[]> {
  const folder = new RepositoryFolder(where, repository, options.subfolder);
  if (options.ggufFile !== undefined) return [folder.required(options.ggufFile)];
  const configs = folder.matching(CONFIGS);
  const chosen = [...configs];
  if (configs.length === 0 && parts.includes("config")) throw folder.withoutConfig();
  if (parts.join() === "generation") chosen.push(folder.required("generation_config.json"));
  else if (parts.includes("generation"))
    chosen.push(...folder.matching(/^generation_config\.json$/));
  if (parts.includes("tokenizer")) chosen.push(...tokenizerFiles(folder));
  if (parts.includes("mistralTokenizer")) chosen.push(...mistralTokenizerFiles(folder));
  if (parts.includes("weights")) chosen.push(...(await weightFiles(folder, options.variant)));
  if (chosen.length === 0) throw folder.withoutConfig();
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
  const layouts = weightLayouts(variant);
  for (const { single, index } of layouts) {
    if (folder.names.has(single)) return [folder.required(single)];
    if (!folder.names.has(index)) continue;
    const shardOf = await readShardIndex(await folder.fetched(index));
    const shards = [...new Set(shardOf.values())].toSorted();
    return [folder.required(index), ...shards.map((shard) => folder.required(shard))];
  }
  // The loader says what to do with an adapter, whose settings it reads.
  if (folder.names.has("adapter_config.json")) return [];
  const [{ single, index }] = layouts;
  throw folder.error((place, names) => weightsMissing(place, names, single, index));
}

/** The files of a repository that lie in one folder. */
class RepositoryFolder {
  /** Paths from the folder on. */
  readonly names: ReadonlySet<string>;
  readonly #where: string;
  readonly #repository: Repository;
  readonly #prefix: string;

  constructor(where: string, repository: Repository, subfolder: string) {
    this.#where = where;
    this.#repository = repository;
    this.#prefix = subfolder === "" ? "" : `${subfolder}/`;
    const own = [...repository.files.keys()].filter((name) => name.startsWith(this.#prefix));
    this.names = new Set(own.map((name) => name.slice(this.#prefix.length)));
  }

  get #place(): string {
    const { id, revision, unreachable } = this.#repository;
    const within = this.#prefix === "" ? "" : `, folder ${this.#prefix.slice(0, -1)}`;
    const cached = unreachable === undefined ? "" : " in the cache";
    return `${this.#where}: ${id}${cached} (revision "${revision}"${within})`;
  }

  /** Paths in the repository of the files that match. */
  matching(pattern: RegExp): string[] {
    return [...this.names].filter((name) => pattern.test(name)).map((name) => this.#prefix + name);
  }

  /** The path in the repository. @throws CheckpointError it is not there, with the names that could be meant */
  required(name: string): string {
    if (this.names.has(name)) return this.#prefix + name;
    const ending = name.slice(name.lastIndexOf("."));
    const others = [...this.names].filter((other) => other.endsWith(ending));
    const more = others.length > 5 ? ` and ${others.length - 5} more` : "";
    const has = others.length === 0 ? "" : `; it has ${others.slice(0, 5).join(", ")}${more}`;
    throw this.error(
      (place) => new CheckpointError(`${place} has no file ${shownName(name)}${has}`),
    );
  }

  /** Fetches one small file. @returns its path in the cache */
  async fetched(name: string): Promise<string> {
    const path = this.required(name);
    await this.#repository.fetch([path]);
    return joinPath(this.#repository.folder, ...path.split("/"));
  }

  withoutConfig(): CheckpointError {
    return this.error((place, names) => configMissing(`${place}: config.json`, names));
  }

  /** An error about this folder; where only the cache was looked at, with the reason. */
  error(make: (place: string, names: readonly string[]) => CheckpointError): CheckpointError {
    const { message } = make(this.#place, [...this.names]);
    const { unreachable } = this.#repository;
    const why = unreachable === undefined ? "" : `; the hub was not asked: ${unreachable.message}`;
    return failure("no file", message + why);
  }
}
