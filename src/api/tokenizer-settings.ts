// The settings of a tokenizer: what options and files say, in the order in which Transformers 5.23 believes them, and how they are
// applied to a tokenizer. An error about a setting names its source, the option or the file. Does not know how files are found.

import { CheckpointError, InputError } from "../errors.ts";
import { checkAmount, sameFlags, type AddedToken } from "../text/added-tokens.ts";
import { Fields } from "../text/json-fields.ts";
import { readAddedToken } from "../text/tokenizer-json.ts";
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
  /** added_tokens.json, where it counts. */
  readonly addedTokens: Fields | undefined;

  /** @param options of from_pretrained, under `where` in messages; absent ones are undefined */
  constructor(files: SettingsFiles, options: object, where: string) {
    const { config, specialTokensMap, addedTokens } = files;
    const legacy = !Object.hasOwn(config.value, "added_tokens_decoder");
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    const fieldsOf = ({ value, path }: SettingsFile): Fields => new Fields(value, path);
    this.#files = [...(legacy && specialTokensMap ? [specialTokensMap] : []), config].map(fieldsOf);
    this.#sources = [new Fields(Object.fromEntries(given), where, InputError), ...this.#files];
    this.addedTokens = legacy && addedTokens ? fieldsOf(addedTokens) : undefined;
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

  boolean(name: string, otherwise: boolean): boolean {
    return this.sourceOf(name)?.boolean(name) ?? otherwise;
  }

  /** Names of special tokens beside those of every tokenizer: keys such as `image_token`, and those of an object of extra tokens. */
  ownTokens(): Map<string, NamedToken> {
    const tokens = new Map<string, NamedToken>();
    const put = (name: string, fields: Fields): void => {
      const source = this.source(name) ?? fields;
      if (isToken(source.get(name))) tokens.set(name, readNamed(source, name));
    };
    for (const fields of this.#sources.toReversed()) {
      for (const name of fields.keys()) {
        if (name.endsWith("_token") && !COMMON.has(name)) put(name, fields);
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

  /** Special tokens without a name. Those of special_tokens_map.json are added to those of tokenizer_config.json, as in Transformers. */
  extraTokens(): NamedToken[] {
    const read = (fields: Fields, name: string): NamedToken[] =>
      Array.isArray(fields.get(name))
        ? fields.array(name).map((token) => readNamed(fields, name, token))
        : [];
    const [options] = this.#sources;
    const own = options.has("extra_special_tokens") ? [options] : this.#files.toReversed();
    const tokens = own.flatMap((fields) => read(fields, "extra_special_tokens"));
    const older = this.sourceOf("additional_special_tokens");
    if (tokens.length === 0 && older !== undefined) return read(older, "additional_special_tokens");
    const seen = new Set<string>();
    return tokens.filter(({ content }) => !seen.has(content) && seen.add(content));
  }
}

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
  addTokens(
    tokenizer,
    settings,
    [...named.values()].filter((token) => token !== null),
    extra,
  );
  const names = [...named].flatMap(([name, token]) =>
    token === null || token.content === "" ? [] : [[name, token.content]],
  );
  tokenizer.nameTokens(Object.fromEntries(names) as Record<string, string>);
  if (!named.has("unk_token") && !named.has("bos_token")) nameByDefault(tokenizer);
  tokenizer.extra_special_tokens = extra.map(({ content }) => content);
  applyBatchSettings(tokenizer, settings);
}

/** Adds what is no token yet: declared tokens in the order of their ids, then named ones, then the others. */
function addTokens(
  tokenizer: PreTrainedTokenizer,
  settings: TokenizerSettings,
  named: readonly NamedToken[],
  extra: readonly NamedToken[],
): void {
  const backend = tokenizer.backend_tokenizer;
  const { tokens: declared, where } = declaredTokens(settings, [...named, ...extra]);
  const present = new Map([...backend.added.values()].map((token) => [token.content, token]));
  const names = new Set(named.map(({ content }) => content));
  const adding = new Map<string, AddedToken>();
  for (const [, token] of [...declared].toSorted(([a], [b]) => a - b)) {
    if (sameFlags(token, present.get(token.content))) continue;
    adding.set(token.content, names.has(token.content) ? { ...token, special: true } : token);
  }
  const byContent = new Map([...declared.values()].map((token) => [token.content, token]));
  for (const { content, flags } of [...named, ...extra]) {
    if (present.has(content) || adding.has(content)) continue;
    const token = byContent.get(content) ?? flags ?? addedToken(where, content, true);
    adding.set(content, { ...token, special: true });
  }
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
