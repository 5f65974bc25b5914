// The settings of a tokenizer: what options and files say, in the order in which Transformers 5.23 believes them, and how they are
// applied to a tokenizer. An error about a setting names its source, the option or the file. Does not know how files are found.

import { CheckpointError, InputError } from "../../errors.ts";
import { checkAmount, sameFlags, type AddedToken } from "../../text/added-tokens.ts";
import { Fields } from "../../text/json-fields.ts";
import { readAddedToken } from "../../text/tokenizer-json.ts";
import { addedToken, SPECIAL_TOKEN_NAMES } from "./special-tokens.ts";
import type { PreTrainedTokenizer } from "./tokenizer.ts";

/** A file as an object, and its path for messages. */
export type SettingsFile = { readonly value: Record<string, unknown>; readonly path: string };

export type SettingsFiles = {
  /** tokenizer_config.json, or what a GGUF file says in its place */
  readonly config: SettingsFile;
  /** special_tokens_map.json and added_tokens.json count only if tokenizer_config.json has no `added_tokens_decoder`. */
  readonly specialTokensMap?: SettingsFile;
  readonly addedTokens?: SettingsFile;
};

/** Settings from several sources. The first source that has a name decides, also if it says null. */
export class TokenizerSettings {
  readonly #sources: Fields[];
  readonly #files: readonly Fields[];
  /** tokenizer_config.json declares no added tokens: then special_tokens_map.json and added_tokens.json count. */
  readonly isLegacy: boolean;
  readonly addedTokens: Fields | undefined;

  /** @param options of from_pretrained, under `where` in messages; absent ones are undefined */
  constructor(files: SettingsFiles, options: object, where: string) {
    const { config, specialTokensMap, addedTokens } = files;
    this.isLegacy = !Object.hasOwn(config.value, "added_tokens_decoder");
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    const fieldsOf = ({ value, path }: SettingsFile): Fields => new Fields(value, path);
    const maps = this.isLegacy && specialTokensMap ? [specialTokensMap] : [];
    this.#files = [...maps, config].map(fieldsOf);
    this.#sources = [new Fields(Object.fromEntries(given), where, InputError), ...this.#files];
    this.addedTokens = this.isLegacy && addedTokens ? fieldsOf(addedTokens) : undefined;
  }

  /** Adds the last source, for what none of the others has. */
  addDefaults(value: object, where: string): void {
    this.#sources.push(new Fields(value, where));
  }

  /** The source that decides `name`; undefined: none has it. */
  source(name: string): Fields | undefined {
    return this.#sources.find((fields) => fields.get(name) !== undefined);
  }

  /** The source that decides `name`, unless it says null. */
  sourceOf(name: string): Fields | undefined {
    const source = this.source(name);
    return source?.has(name) ? source : undefined;
  }

  /** False if tokenizer_config.json describes the token by an object: Transformers reads those after added_tokens.json. */
  isText(name: string): boolean {
    const source = this.source(name);
    return source !== this.#files.at(-1) || typeof source?.get(name) === "string";
  }

  boolean(name: string, otherwise: boolean): boolean {
    return this.sourceOf(name)?.boolean(name) ?? otherwise;
  }

  /** Names of special tokens beside those of every tokenizer: keys such as `image_token`, and those of an object of extra tokens. */
  ownTokens(): Map<string, NamedToken> {
    const tokens = new Map<string, NamedToken>();
    // Unlike the names of every tokenizer, these are taken from special_tokens_map.json last.
    const [options, ...files] = this.#sources;
    for (const fields of [...files, options]) {
      for (const name of fields.keys()) {
        const isOwn = name.endsWith("_token") && !COMMON.has(name);
        if (isOwn && isToken(fields.get(name))) tokens.set(name, readNamed(fields, name));
      }
      for (const name of ["model_specific_special_tokens", "extra_special_tokens"]) {
        const value = fields.get(name);
        if (typeof value !== "object" || value === null || Array.isArray(value)) continue;
        const inner = fields.object(name);
        for (const key of inner.keys()) tokens.set(key, readNamed(inner, key));
      }
    }
    return tokens;
  }

  /**
   * Special tokens without a name. The older name `additional_special_tokens` counts if the newer one has nothing. In
   * special_tokens_map.json the newer one adds tokens; the older one counts only if no other source has either name, even an empty list.
   */
  extraTokens(): ExtraTokens {
    const newer = "extra_special_tokens";
    const older = "additional_special_tokens";
    const [options] = this.#sources;
    const config = this.#files.at(-1);
    const map = this.#files.length > 1 ? this.#files[0] : undefined;
    const given = options.get(newer) ?? config?.get(newer);
    let [listed, rest] = [listOf(newer, options, config), listOf(older, options, config)];
    // A list under the newer name, even an empty one, hides the older name.
    if (isEmpty(given) && rest !== undefined) [listed, rest] = [rest, undefined];
    if (map?.get(older) !== undefined && isEmpty(options.get(older))) rest = listOf(older, map);
    if (map?.get(newer) !== undefined && isEmpty(options.get(newer))) {
      const more = listOf(newer, map);
      listed = more && [...(listed ?? []), ...more];
    }
    const known = (listed ?? []).filter(({ flags }) => flags === undefined);
    return { tokens: withoutTwins(listed ?? rest ?? []), known };
  }
}

export type ExtraTokens = {
  readonly tokens: readonly NamedToken[];
  /** Those that make a token of added_tokens.json a special one: they are written as plain texts. */
  readonly known: readonly NamedToken[];
};

/** Each token once; of several descriptions the last counts. */
function withoutTwins(tokens: readonly NamedToken[]): NamedToken[] {
  return [...new Map(tokens.map((token) => [token.content, token])).values()];
}

/** The tokens of the first source that has the name; undefined: none has it, or it holds an object. */
function listOf(name: string, ...sources: (Fields | undefined)[]): NamedToken[] | undefined {
  const source = sources.find((fields) => fields?.get(name) !== undefined);
  if (source === undefined || !source.has(name)) return source && [];
  if (!Array.isArray(source.get(name))) return undefined;
  return source.array(name).map((token) => readNamed(source, name, token));
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || Object.keys(value).length === 0;

const COMMON: ReadonlySet<string> = new Set(SPECIAL_TOKEN_NAMES);

/** A token as a setting names it; `flags` if it is written as an object. */
type NamedToken = { content: string; flags: AddedToken | undefined };

function isToken(value: unknown): boolean {
  return (
    typeof value === "string" ||
    (typeof value === "object" &&
      value !== null &&
      typeof (value as { content?: unknown }).content === "string")
  );
}

function readNamed(source: Fields, name: string, value: unknown = source.get(name)): NamedToken {
  if (typeof value === "string") return { content: value, flags: undefined };
  if (!isToken(value)) throw source.wrong(name, 'a token, such as "</s>" or { "content": "</s>" }');
  const flags = readAddedToken(new Fields(value, `${source.where}: ${name}`));
  return { content: flags.content, flags };
}

/** Adds the tokens that the settings declare, names the special ones, and sets sides, lengths and the like. */
export function applySettings(tokenizer: PreTrainedTokenizer, settings: TokenizerSettings): void {
  const backend = tokenizer.backend_tokenizer;
  settings.addDefaults(backend.batchSettings, "tokenizer.json");
  const named = new Map<string, NamedToken | null>();
  for (const name of SPECIAL_TOKEN_NAMES) {
    const source = settings.source(name);
    if (source !== undefined) named.set(name, source.has(name) ? readNamed(source, name) : null);
  }
  for (const [name, token] of settings.ownTokens()) named.set(name, token);
  const extra = settings.extraTokens();
  addTokens(tokenizer, settings, named, extra);
  const names = [...named].flatMap(([name, token]) =>
    token === null || token.content === "" ? [] : [[name, token.content]],
  );
  tokenizer.nameTokens(Object.fromEntries(names) as Record<string, string>);
  if (!named.has("unk_token") && !named.has("bos_token")) nameByDefault(tokenizer);
  tokenizer.extra_special_tokens = extra.tokens.map(({ content }) => content);
  applyBatchSettings(tokenizer, settings);
}

/** Adds what is no token yet: declared tokens in the order of their ids, then named ones, then the others. */
function addTokens(
  tokenizer: PreTrainedTokenizer,
  settings: TokenizerSettings,
  named: ReadonlyMap<string, NamedToken | null>,
  extra: ExtraTokens,
): void {
  const backend = tokenizer.backend_tokenizer;
  const roles = [...named].flatMap(([name, token]) => (token === null ? [] : [{ name, token }]));
  const known = roles.filter(({ name }) => COMMON.has(name) && settings.isText(name));
  const special = [...known.map(({ token }) => token), ...extra.known];
  const { tokens: declared, where } = declaredTokens(settings, special);
  const present = new Map([...backend.added.values()].map((token) => [token.content, token]));
  const names = new Set(roles.map(({ token }) => token.content));
  const asNamed = (token: AddedToken): AddedToken =>
    names.has(token.content) ? { ...token, special: true } : token;
  const byContent = new Map(
    [...declared].toSorted(([a], [b]) => a - b).map(([, token]) => [token.content, token]),
  );
  // What tokenizer.json says of a token goes before added_tokens.json, which knows no flags.
  if (settings.isLegacy) for (const [content, token] of present) byContent.set(content, token);
  const adding = new Map<string, AddedToken>();
  for (const [content, token] of byContent) {
    const wanted = asNamed(token);
    if (!sameFlags(wanted, present.get(content))) adding.set(content, wanted);
  }
  const isThere = (content: string): boolean => present.has(content) || byContent.has(content);
  const tokenOf = ({ content, flags }: NamedToken): AddedToken =>
    asNamed(flags ?? addedToken(where, content, true));
  for (const token of [...roles.map((role) => role.token), ...extra.tokens])
    if (!isThere(token.content)) adding.set(token.content, tokenOf(token));
  checkAmount([...adding.values()], where);
  backend.addTokens([...adding.values()]);
}

/** The tokens that added_tokens_decoder, or else added_tokens.json, declares, by id. `special`: tokens that have a role. */
export function declaredTokens(
  settings: TokenizerSettings,
  special: readonly NamedToken[],
): { tokens: Map<number, AddedToken>; where: string } {
  const tokens = new Map<number, AddedToken>();
  const config = settings.sourceOf("added_tokens_decoder");
  if (config !== undefined) {
    const fields = config.object("added_tokens_decoder");
    for (const id of fields.keys()) {
      if (!/^\d+$/.test(id)) {
        throw new CheckpointError(`${fields.where}: ${JSON.stringify(id)} is no id of a token`);
      }
      tokens.set(Number(id), readAddedToken(fields.object(id)));
    }
    return { tokens, where: fields.where };
  }
  const file = settings.addedTokens;
  const names = new Set(special.map(({ content }) => content));
  for (const content of file?.keys() ?? []) {
    const id = file?.integer(content) ?? 0;
    tokens.set(id, addedToken("added_tokens.json", content, names.has(content)));
  }
  return { tokens, where: file?.where ?? "tokenizer" };
}

/** Sets sides, lengths, the fields of results, and which special tokens stand around texts. */
export function applyBatchSettings(
  tokenizer: PreTrainedTokenizer,
  settings: TokenizerSettings,
): void {
  for (const name of ["padding_side", "truncation_side"] as const) {
    const source = settings.sourceOf(name);
    const side = source?.get(name) ?? "right";
    if (side !== "left" && side !== "right") throw source?.wrong(name, '"left" or "right"');
    tokenizer[name] = side;
  }
  tokenizer.split_special_tokens = settings.boolean("split_special_tokens", false);
  const limited = settings.sourceOf("model_max_length");
  const limit = limited?.get("model_max_length") ?? 1e30;
  if (typeof limit !== "number" || !(limit > 0)) {
    throw limited?.wrong("model_max_length", "a number above 0");
  }
  tokenizer.model_max_length = limit;
  const named = settings.sourceOf("model_input_names");
  const inputs = named?.array("model_input_names") ?? tokenizer.model_input_names;
  const isText = (name: unknown): name is string => typeof name === "string";
  if (!inputs.every(isText)) throw named?.wrong("model_input_names", "an array of texts");
  tokenizer.model_input_names = [...inputs];
  for (const name of ["add_bos_token", "add_eos_token"] as const) {
    const source = settings.sourceOf(name);
    if (source !== undefined) tokenizer[name] = source.boolean(name);
  }
}

/** For a folder that names no special tokens: the names that they have in Mistral's vocabularies. */
function nameByDefault(tokenizer: PreTrainedTokenizer): void {
  for (const [name, token] of [
    ["bos_token", "<s>"],
    ["eos_token", "</s>"],
    ["unk_token", "<unk>"],
  ] as const) {
    if (tokenizer.backend_tokenizer.isSpecial(token)) tokenizer[name] = token;
  }
}
