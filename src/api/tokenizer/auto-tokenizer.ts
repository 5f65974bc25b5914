// AutoTokenizer.from_pretrained: makes a PreTrainedTokenizer from a folder's tokenizer.json or tokenizer.model, its settings and its
// chat templates. If files contradict each other, the one wins that wins in Transformers 5.23. Does not know how texts are encoded.

import { exists, isDirectory, joinPath, listFiles, readBytes, readText } from "#platform";
import { readJsonObject } from "../../checkpoint/json-file.ts";
import { checkOptions } from "../../did-you-mean.ts";
import { CheckpointError } from "../../errors.ts";
import type { Side } from "../../text/encoding.ts";
import { readGgufTokenizer } from "../../text/gguf-tokenizer.ts";
import { Fields } from "../../text/json-fields.ts";
import { readSentencePiece } from "../../text/sentencepiece.ts";
import { readTokenizerJson } from "../../text/tokenizer-json.ts";
import { TextTokenizer } from "../../text/tokenizer.ts";
import type { ChatTemplates } from "./chat-templates.ts";
import { readGgufSettings } from "../gguf-file.ts";
import { MistralCommonBackend } from "./mistral-common-backend.ts";
import { isMistralLayout, openMistralTokenizer } from "./mistral-common-files.ts";
import { locateModel, type ModelPartOptions, PLACE_OPTIONS } from "../model-files.ts";
import { SPECIAL_TOKEN_NAMES, type AddedTokenInput } from "./special-tokens.ts";
import {
  applySettings,
  declaredTokens,
  type SettingsFile,
  TokenizerSettings,
} from "./tokenizer-settings.ts";
import { PreTrainedTokenizer } from "./tokenizer.ts";

/** Settings that override those of the folder's files. */
export type TokenizerLoadOptions = {
  /** The token before a text. A token of these options that is not in the vocabulary is added to it; null: none. */
  bos_token?: AddedTokenInput | null;
  /** The token behind a text, at which generation ends. */
  eos_token?: AddedTokenInput | null;
  /** The token for what the vocabulary cannot express. */
  unk_token?: AddedTokenInput | null;
  /** The token between two texts. Mistral's models have none. */
  sep_token?: AddedTokenInput | null;
  /** The token with which rows of a batch are filled. */
  pad_token?: AddedTokenInput | null;
  /** The token of a text for classification. Mistral's models have none. */
  cls_token?: AddedTokenInput | null;
  /** The token in place of one to be guessed. Mistral's models have none. */
  mask_token?: AddedTokenInput | null;
  /** Special tokens without a name; or an object of names and tokens, `{ image_token: "<img>" }`: properties of the tokenizer. */
  extra_special_tokens?: readonly AddedTokenInput[] | Readonly<Record<string, AddedTokenInput>>;
  /** The older name of `extra_special_tokens`. */
  additional_special_tokens?: readonly AddedTokenInput[];
  /** Whether every text gets the bos token in front. Default: the files' setting, true for Mistral's models. */
  add_bos_token?: boolean;
  /** Whether every text gets the eos token behind it. Default: the files' setting, false for Mistral's models. */
  add_eos_token?: boolean;
  /** "left" or "right": where rows are filled. Generation in batches needs "left". Default: the files' setting, else "right". */
  padding_side?: Side;
  /** "left" or "right": where rows are cut. Default: the files' setting, else "right". */
  truncation_side?: Side;
  /** To how many tokens `truncation: true` cuts if there is no `max_length`. Default: the files' setting, else 1e30, no limit. */
  model_max_length?: number;
  /** The template of `apply_chat_template`, or several by name. Default: that of the files. */
  chat_template?: ChatTemplates;
  /** Which fields a call returns. Default: the files' setting, else "input_ids" and "attention_mask". */
  model_input_names?: string[];
  /** Whether special tokens that are written in texts are plain text. Default: the files' setting, else false. */
  split_special_tokens?: boolean;
  /** For tokenizer.model: the older behaviour, a space before every text between special tokens. Default: the file's setting, false. */
  legacy?: boolean;
} & ModelPartOptions;

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
// What changes nothing here.
const WITHOUT_EFFECT = ["use_fast", "clean_up_tokenization_spaces"];
const OPTIONS: ReadonlySet<string> = new Set([
  ...SPECIAL_TOKEN_NAMES,
  ...SETTINGS,
  ...PLACE_OPTIONS,
  ...WITHOUT_EFFECT,
]);

type FromPretrained = {
  /**
   * The tokenizer of a model: tokenizer.json, else tekken.json, else a SentencePiece tokenizer.model. No other file is needed. Of
   * tekken.json, and of a tokenizer.model.v3 and so on without tokenizer_config.json, it is a MistralCommonBackend.
   * With `gguf_file`, or for the path of a GGUF file: the tokenizer in that file's metadata.
   *
   * @param dir a folder, the path of a GGUF file, or the id of a model on the hub, of which the tokenizer's files alone are fetched
   *
   * @throws InputError      an unknown option
   * @throws CheckpointError no folder, no tokenizer in it, a file that is malformed or needs a feature that is not supported
   */
  from_pretrained(dir: string, options?: TokenizerLoadOptions): Promise<PreTrainedTokenizer>;
};

const WHERE = "AutoTokenizer.from_pretrained";

export const AutoTokenizer: FromPretrained = {
  async from_pretrained(dir, options = {}) {
    checkOptions(WHERE, options, OPTIONS);
    const { folder, gguf } = await locateModel(WHERE, dir, options, ["tokenizer"]);
    if (gguf !== undefined) return fromGguf(dir, gguf, options);
    await refuseOtherModel(folder);
    if (isMistralLayout(await listFiles(folder))) return fromMistralLayout(dir, folder, options);
    const settings = await readSettings(folder, options);
    const backend = await readBackend(folder, settings);
    const tokenizer = new PreTrainedTokenizer(backend);
    tokenizer.name_or_path = dir;
    applySettings(tokenizer, settings);
    tokenizer.chat_template = options.chat_template ?? (await readTemplates(folder, settings));
    return tokenizer;
  },
};

/** A folder of Mistral AI's own layout: conversations are encoded by mistral-common's rules unless a template is given. */
async function fromMistralLayout(
  dir: string,
  folder: string,
  options: TokenizerLoadOptions,
): Promise<PreTrainedTokenizer> {
  const file = await openMistralTokenizer(folder, undefined);
  const tokenizer = new MistralCommonBackend(file);
  const { padding_side, truncation_side, split_special_tokens, special_tokens_map } = tokenizer;
  const value = { padding_side, truncation_side, split_special_tokens, ...special_tokens_map };
  applySettings(
    tokenizer,
    new TokenizerSettings({ config: { value, path: file.path } }, options, WHERE),
  );
  tokenizer.name_or_path = dir;
  tokenizer.chat_template = options.chat_template ?? null;
  return tokenizer;
}

async function fromGguf(
  dir: string,
  path: string,
  options: TokenizerLoadOptions,
): Promise<PreTrainedTokenizer> {
  const { metadata } = await readGgufSettings(path);
  const { parts, settings } = readGgufTokenizer(metadata, path, {
    legacy: options.legacy ?? false,
  });
  const fields = new TokenizerSettings({ config: { value: settings, path } }, options, WHERE);
  const tokenizer = new PreTrainedTokenizer(new TextTokenizer(parts, path));
  tokenizer.name_or_path = dir;
  applySettings(tokenizer, fields);
  tokenizer.chat_template = options.chat_template ?? configTemplates(fields);
  return tokenizer;
}

async function refuseOtherModel(folder: string): Promise<void> {
  const path = joinPath(folder, "config.json");
  if (!(await exists(path))) return;
  const { model_type: type } = await readJsonObject(path);
  if (type === undefined || type === "mistral") return;
  throw new CheckpointError(`${path}: model_type is ${JSON.stringify(type)}; expected "mistral"`);
}

/** What the folder's files and the options say; options first. */
async function readSettings(
  folder: string,
  options: TokenizerLoadOptions,
): Promise<TokenizerSettings> {
  const read = async (name: string): Promise<SettingsFile | undefined> => {
    const path = joinPath(folder, name);
    return (await exists(path)) ? { value: await readJsonObject(path), path } : undefined;
  };
  const name = "tokenizer_config.json";
  const config = (await read(name)) ?? { value: {}, path: joinPath(folder, name) };
  // tokenizer.json has a template of its own for special tokens around texts
  if (await exists(joinPath(folder, "tokenizer.json"))) {
    delete config.value.add_bos_token;
    delete config.value.add_eos_token;
  }
  const specialTokensMap = await read("special_tokens_map.json");
  const addedTokens = await read("added_tokens.json");
  return new TokenizerSettings({ config, specialTokensMap, addedTokens }, options, WHERE);
}

async function readBackend(folder: string, settings: TokenizerSettings): Promise<TextTokenizer> {
  const json = joinPath(folder, "tokenizer.json");
  if (await exists(json))
    return new TextTokenizer(readTokenizerJson(await readBytes(json), json), json);
  const files = await listFiles(folder);
  const model = files.find((name) => /^tokenizer\.model(?:\.v\d+)?$/.test(name));
  if (model !== undefined) {
    const path = joinPath(folder, model);
    const legacy = settings.boolean("legacy", false);
    const added = declaredTokens(settings, []).tokens;
    const parts = readSentencePiece(await readBytes(path), path, { legacy, added });
    return new TextTokenizer(parts, path);
  }
  const none = `${folder}: no tokenizer.json, no tekken.json and no tokenizer.model`;
  const gguf = files.find((name) => /\.gguf$/i.test(name));
  throw new CheckpointError(
    gguf === undefined
      ? `${none}; fetch the tokenizer's files of the model into it`
      : `${none}, but ${gguf}, which holds a tokenizer; name it with the option gguf_file`,
  );
}

/** Templates from chat_template.jinja and additional_chat_templates/, else from tokenizer_config.json, else from chat_template.json. */
async function readTemplates(
  folder: string,
  settings: TokenizerSettings,
): Promise<ChatTemplates | null> {
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
  const own = configTemplates(settings);
  if (own !== null) return own;
  const json = joinPath(folder, "chat_template.json");
  if (!(await exists(json))) return null;
  return new Fields(await readJsonObject(json), json).string("chat_template");
}

function configTemplates(settings: TokenizerSettings): ChatTemplates | null {
  const source = settings.sourceOf("chat_template");
  if (source === undefined) return null;
  if (!Array.isArray(source.get("chat_template"))) return source.string("chat_template");
  const named = source
    .objects("chat_template")
    .map((entry): [string, string] => [entry.string("name"), entry.string("template")]);
  return Object.fromEntries(named);
}
