// AutoTokenizer.from_pretrained: makes a PreTrainedTokenizer from a folder's tokenizer.json or tokenizer.model, its settings and its
// chat templates. If files contradict each other, the one wins that wins in Transformers 5.23. Does not know how texts are encoded.

import { exists, isDirectory, joinPath, listFiles, readBytes, readText } from "#platform";
import { readJsonObject } from "../checkpoint/json-file.ts";
import { checkOptions } from "../did-you-mean.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { checkAmount, type AddedToken } from "../text/added-tokens.ts";
import type { Side } from "../text/encoding.ts";
import { readGgufTokenizer } from "../text/gguf-tokenizer.ts";
import { Fields } from "../text/json-fields.ts";
import { readSentencePiece } from "../text/sentencepiece.ts";
import { readAddedToken, readTokenizerJson } from "../text/tokenizer-json.ts";
import { TextTokenizer } from "../text/tokenizer.ts";
import type { ChatTemplates } from "./chat-templates.ts";
import { ggufPath, type GgufOptions, readGgufSettings } from "./gguf-file.ts";
import { addedToken, SPECIAL_TOKEN_NAMES, type AddedTokenInput } from "./special-tokens.ts";
import { PreTrainedTokenizer } from "./tokenizer.ts";

/** Settings that override those of the folder's files. */
export type TokenizerLoadOptions = {
  bos_token?: AddedTokenInput | null;
  eos_token?: AddedTokenInput | null;
  unk_token?: AddedTokenInput | null;
  pad_token?: AddedTokenInput | null;
  extra_special_tokens?: readonly AddedTokenInput[];
  additional_special_tokens?: readonly AddedTokenInput[];
  add_bos_token?: boolean;
  add_eos_token?: boolean;
  padding_side?: Side;
  truncation_side?: Side;
  model_max_length?: number;
  chat_template?: ChatTemplates;
  model_input_names?: string[];
  split_special_tokens?: boolean;
  /** For tokenizer.model: the older behaviour, a space before every text between special tokens. Default: the file's setting, false. */
  legacy?: boolean;
} & GgufOptions;

const SETTINGS = [
  "extra_special_tokens",
  "additional_special_tokens",
  "add_bos_token",
  "add_eos_token",
  "padding_side",
  "truncation_side",
  "model_max_length",
  "chat_template",
  "model_input_names",
  "split_special_tokens",
  "legacy",
];
// Where files come from, of which only the first two have an effect on a local folder; the last three change nothing here.
const PLACES = [
  "gguf_file",
  "subfolder",
  "revision",
  "token",
  "cache_dir",
  "local_files_only",
  "force_download",
  "trust_remote_code",
  "use_fast",
  "clean_up_tokenization_spaces",
];
const OPTIONS: ReadonlySet<string> = new Set([...SPECIAL_TOKEN_NAMES, ...SETTINGS, ...PLACES]);

type FromPretrained = {
  /**
   * The tokenizer of a local folder: tokenizer.json, else a SentencePiece tokenizer.model. The folder needs no other file.
   * With `gguf_file`, or for the path of a GGUF file: the tokenizer in that file's metadata.
   *
   * @throws InputError      an unknown option
   * @throws CheckpointError no folder, no tokenizer in it, a file that is malformed or needs a feature that is not supported
   */
  from_pretrained(dir: string, options?: TokenizerLoadOptions): Promise<PreTrainedTokenizer>;
};

export const AutoTokenizer: FromPretrained = {
  async from_pretrained(dir, options = {}) {
    const where = "AutoTokenizer.from_pretrained";
    checkOptions(where, options, OPTIONS);
    if (typeof dir !== "string" || dir === "") {
      throw new InputError(`${where}: the folder is ${JSON.stringify(dir)}; expected a path`);
    }
    const gguf = await ggufPath(where, dir, options);
    if (gguf !== undefined) return fromGguf(dir, gguf, options);
    const folder = options.subfolder === undefined ? dir : joinPath(dir, options.subfolder);
    if (!(await isDirectory(folder))) {
      throw new CheckpointError(`${where}: ${folder} is no folder; download the model first`);
    }
    await refuseOtherModel(folder);
    const settings = await readSettings(folder, options);
    const backend = await readBackend(folder, settings);
    const tokenizer = new PreTrainedTokenizer(backend);
    tokenizer.name_or_path = dir;
    apply(tokenizer, settings);
    tokenizer.chat_template = options.chat_template ?? (await readTemplates(folder, settings));
    return tokenizer;
  },
};

async function fromGguf(
  dir: string,
  path: string,
  options: TokenizerLoadOptions,
): Promise<PreTrainedTokenizer> {
  const { metadata } = await readGgufSettings(path);
  const { parts, settings } = readGgufTokenizer(metadata, path, {
    legacy: options.legacy ?? false,
  });
  const fields = withOptions(settings, options, path);
  const tokenizer = new PreTrainedTokenizer(new TextTokenizer(parts, path));
  tokenizer.name_or_path = dir;
  apply(tokenizer, fields);
  const own = fields.has("chat_template") ? configTemplates : () => null;
  tokenizer.chat_template = options.chat_template ?? own(fields);
  return tokenizer;
}

async function refuseOtherModel(folder: string): Promise<void> {
  const path = joinPath(folder, "config.json");
  if (!(await exists(path))) return;
  const { model_type: type } = await readJsonObject(path);
  if (type === undefined || type === "mistral") return;
  throw new CheckpointError(`${path}: model_type is ${JSON.stringify(type)}; expected "mistral"`);
}

/** tokenizer_config.json; special_tokens_map.json too if the former does not list added tokens; options override both. */
async function readSettings(folder: string, options: TokenizerLoadOptions): Promise<Fields> {
  const path = joinPath(folder, "tokenizer_config.json");
  const config = (await exists(path)) ? await readJsonObject(path) : {};
  const mapPath = joinPath(folder, "special_tokens_map.json");
  const map =
    !Object.hasOwn(config, "added_tokens_decoder") && (await exists(mapPath))
      ? await readJsonObject(mapPath)
      : {};
  // tokenizer.json has a template of its own for special tokens around texts
  if (await exists(joinPath(folder, "tokenizer.json"))) {
    delete config.add_bos_token;
    delete config.add_eos_token;
  }
  return withOptions({ ...config, ...map }, options, path);
}

function withOptions(
  settings: Record<string, unknown>,
  options: TokenizerLoadOptions,
  path: string,
): Fields {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return new Fields({ ...settings, ...Object.fromEntries(given) }, path);
}

async function readBackend(folder: string, settings: Fields): Promise<TextTokenizer> {
  const json = joinPath(folder, "tokenizer.json");
  if (await exists(json))
    return new TextTokenizer(readTokenizerJson(await readBytes(json), json), json);
  const files = await listFiles(folder);
  const model = files.find((name) => /^tokenizer\.model(?:\.v\d+)?$/.test(name));
  if (model !== undefined) {
    const path = joinPath(folder, model);
    const legacy = settings.boolean("legacy", false);
    return new TextTokenizer(readSentencePiece(await readBytes(path), path, { legacy }), path);
  }
  const other = files.includes("tekken.json") ? "; tekken.json is not supported yet" : "";
  throw new CheckpointError(`${folder}: no tokenizer.json and no tokenizer.model${other}`);
}

function apply(tokenizer: PreTrainedTokenizer, settings: Fields): void {
  const backend = tokenizer.backend_tokenizer;
  const declared = settings.has("added_tokens_decoder")
    ? settings.object("added_tokens_decoder")
    : undefined;
  const known = new Set([...backend.added.values()].map((token) => token.content));
  const byContent = new Map<string, AddedToken>();
  const missing: AddedToken[] = [];
  for (const id of (declared?.keys() ?? []).toSorted((a, b) => Number(a) - Number(b))) {
    const token = readAddedToken(declared?.object(id) ?? settings);
    byContent.set(token.content, token);
    if (!known.has(token.content)) missing.push(token);
  }
  checkAmount(missing, settings.where);
  backend.addTokens(missing);
  for (const name of SPECIAL_TOKEN_NAMES) {
    const value = settings.get(name);
    if (value === undefined) continue;
    const token = value === null ? null : namedToken(settings, name, value, byContent);
    tokenizer.add_special_tokens({ [name]: token });
  }
  if (!settings.has("unk_token") && !settings.has("bos_token")) nameByDefault(tokenizer);
  const extra =
    settings.get("extra_special_tokens") ?? settings.get("additional_special_tokens") ?? [];
  if (Array.isArray(extra)) {
    const tokens = extra.map((token) =>
      namedToken(settings, "extra_special_tokens", token, byContent),
    );
    tokenizer.add_special_tokens({ extra_special_tokens: tokens });
  }
  for (const name of ["padding_side", "truncation_side"] as const) {
    const side = settings.get(name) ?? "right";
    if (side !== "left" && side !== "right") throw settings.wrong(name, '"left" or "right"');
    tokenizer[name] = side;
  }
  tokenizer.split_special_tokens = settings.boolean("split_special_tokens", false);
  const limit = settings.get("model_max_length") ?? 1e30;
  if (typeof limit !== "number" || !(limit > 0)) {
    throw settings.wrong("model_max_length", "a number above 0");
  }
  tokenizer.model_max_length = limit;
  if (settings.has("model_input_names")) {
    tokenizer.model_input_names = settings.array("model_input_names").map(String);
  }
  if (settings.has("add_bos_token")) tokenizer.add_bos_token = settings.boolean("add_bos_token");
  if (settings.has("add_eos_token")) tokenizer.add_eos_token = settings.boolean("add_eos_token");
}

function namedToken(
  settings: Fields,
  name: string,
  value: unknown,
  declared: ReadonlyMap<string, AddedToken>,
): AddedToken {
  if (typeof value === "string") return declared.get(value) ?? addedToken(name, value, true);
  if (typeof value !== "object" || value === null) throw settings.wrong(name, "a token or null");
  const token = readAddedToken(new Fields(value, `${settings.where}: ${name}`));
  return declared.get(token.content) ?? { ...token, special: true };
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

/** Templates from chat_template.jinja and additional_chat_templates/, else from tokenizer_config.json, else from chat_template.json. */
async function readTemplates(folder: string, settings: Fields): Promise<ChatTemplates | null> {
  const templates: Record<string, string> = {};
  const single = joinPath(folder, "chat_template.jinja");
  if (await exists(single)) templates.default = await readText(single);
  const more = joinPath(folder, "additional_chat_templates");
  if (await isDirectory(more)) {
    for (const file of await listFiles(more)) {
      if (!file.endsWith(".jinja")) continue;
      const entry = { [file.slice(0, -".jinja".length)]: await readText(joinPath(more, file)) };
      Object.assign(templates, entry);
    }
  }
  const names = Object.keys(templates);
  if (names.length === 1 && names[0] === "default") return templates.default;
  if (names.length > 0) return templates;
  if (settings.has("chat_template")) return configTemplates(settings);
  const json = joinPath(folder, "chat_template.json");
  if (!(await exists(json))) return null;
  return new Fields(await readJsonObject(json), json).string("chat_template");
}

function configTemplates(settings: Fields): ChatTemplates {
  const value = settings.get("chat_template");
  if (!Array.isArray(value)) return settings.string("chat_template");
  const named = settings
    .objects("chat_template")
    .map((entry): [string, string] => [entry.string("name"), entry.string("template")]);
  return Object.fromEntries(named);
}
