// Configs with from_pretrained: MistralConfig, GenerationConfig, and AutoConfig, which finds out which model it is. Refuses
// values that no model can have before anything is allocated, and never runs code that a folder names (auto_map).
// Does not know what the fields mean: models/config.ts, generate/generation-config.ts.

import { exists, isDirectory, joinPath, writeText } from "#platform";
import { readJsonObject } from "../checkpoint/json-file.ts";
import { readModelConfig } from "../checkpoint/model-config.ts";
import { checkOptions, unknownName } from "../did-you-mean.ts";
import { CheckpointError, InputError } from "../errors.ts";
import {
  checkValues,
  GenerationConfig as GenerationSettings,
  type GenerationOptions,
} from "../generate/generation-config.ts";
import { fieldNames } from "../generate/generation-fields.ts";
import { checkConfig } from "../models/config-check.ts";
import { MistralConfig as MistralFields, type MistralConfigOptions } from "../models/config.ts";
import { readGgufSettings } from "./gguf-file.ts";
import {
  locateModel,
  type ModelFiles,
  type ModelPartOptions,
  PLACE_OPTIONS,
} from "./model-files.ts";

/** Options that say where files come from. */
export type FolderOptions = ModelPartOptions;

const FOLDER_OPTIONS: ReadonlySet<string> = new Set<string>(PLACE_OPTIONS);
const GENERATION_OPTIONS: ReadonlySet<string> = FOLDER_OPTIONS.union(fieldNames);

/** Settings of a Mistral model; see its fields. `new MistralConfig({ hidden_size: 64 })` makes one in code. */
export class MistralConfig extends MistralFields {
  /**
   * Reads config.json, or the metadata of a GGUF file.
   *
   * @param dir     a folder, the path of the file itself, or the id of a model on the hub
   * @param options where files come from, and fields that override those of the file
   * @throws CheckpointError no such file; another model; a value that no model can have
   * @throws InputError      an unknown option
   */
  static async from_pretrained(
    dir: string,
    options: FolderOptions & MistralConfigOptions = {},
  ): Promise<MistralConfig> {
    return readConfig("MistralConfig.from_pretrained", dir, options);
  }

  /** Writes config.json into a folder, which is made if it does not exist. @throws CheckpointError it cannot be written */
  async save_pretrained(dir: string): Promise<void> {
    await writeText(joinPath(dir, CONFIG), this.to_json_string());
  }
}

/** Settings of generate(); see its fields. */
export class GenerationConfig extends GenerationSettings {
  /**
   * Reads generation_config.json.
   *
   * @param dir     a folder, the path of a GGUF file, or the id of a model on the hub
   * @param options where files come from, and settings that replace those of the file; null switches one off
   * @throws CheckpointError there is no such file, or a field of it has a value that it cannot have
   * @throws InputError      an unknown option, or a value that the setting cannot have; nothing has been fetched
   */
  static async from_pretrained(
    dir: string,
    options: FolderOptions & GenerationOptions = {},
  ): Promise<GenerationConfig> {
    const where = "GenerationConfig.from_pretrained";
    checkOptions(where, options, GENERATION_OPTIONS);
    const overrides = Object.fromEntries(
      Object.entries(options).filter(([key, value]) => fieldNames.has(key) && value !== undefined),
    );
    checkValues(overrides, (text) => new InputError(`${where}: ${text}`));
    const files = await locateModel(where, dir, options, ["generation"]);
    const path = files.gguf ?? joinPath(files.folder, GENERATION_CONFIG);
    const values =
      files.gguf === undefined
        ? await readJsonObject(path)
        : (await readGgufSettings(path)).generation();
    return GenerationConfig.fromFile(path, { ...values, ...overrides });
  }

  /** Writes generation_config.json into a folder. @throws CheckpointError it cannot be written */
  async save_pretrained(dir: string): Promise<void> {
    await writeText(joinPath(dir, GENERATION_CONFIG), this.to_json_string());
  }
}

/** Finds out from config.json, or from a GGUF file, which model a folder holds. */
export const AutoConfig = {
  /**
   * The config of a model, which must be a Mistral model.
   *
   * @param dir a folder, the path of config.json or of a GGUF file, or the id of a model on the hub
   * @throws CheckpointError no such folder, file or id; another model, which the message names; a value that no model can have
   * @throws InputError      an unknown option
   */
  from_pretrained(
    dir: string,
    options: FolderOptions & MistralConfigOptions = {},
  ): Promise<MistralConfig> {
    return readConfig("AutoConfig.from_pretrained", dir, options);
  },
} as const;

const CONFIG = "config.json";
const GENERATION_CONFIG = "generation_config.json";
const OLD_SPELLINGS = ["torch_dtype", "rope_theta", "rope_scaling", "num_labels"];

/** As in Transformers, `num_labels` replaces the labels of the file if it is another number. @throws InputError other labels came too */
function setLabels(config: MistralConfig, { num_labels, id2label }: MistralConfigOptions): void {
  if (num_labels == null || num_labels === config.num_labels) return;
  if (id2label != null) {
    throw new InputError(
      `from_pretrained: num_labels is ${num_labels}, but id2label has ${config.num_labels} labels; leave out num_labels`,
    );
  }
  config.num_labels = num_labels;
}

async function readConfig(
  where: string,
  dir: string,
  options: FolderOptions & MistralConfigOptions,
): Promise<MistralConfig> {
  return configOf(await locateModel(where, dir, options, ["config"]), dir, options);
}

/** The config among a model's files. @param name what the model was loaded by */
export async function configOf(
  { folder, gguf }: ModelFiles,
  name: string,
  options: FolderOptions & MistralConfigOptions = {},
): Promise<MistralConfig> {
  const { path, values } = await readSettings(folder, gguf);
  const overrides = Object.fromEntries(
    Object.entries(options).filter(([key]) => !FOLDER_OPTIONS.has(key)),
  );
  const known = new Set([
    ...FOLDER_OPTIONS,
    ...Object.keys(new MistralFields()),
    ...OLD_SPELLINGS,
    ...Object.keys(values),
  ]);
  for (const key of Object.keys(overrides)) {
    if (!known.has(key))
      throw new InputError(`from_pretrained: ${unknownName("option", key, known)}`);
  }
  refuseOtherModel(path, values);
  try {
    const config = new MistralConfig({ ...values, ...overrides, name_or_path: name });
    setLabels(config, overrides);
    checkConfig(config, path);
    return config;
  } catch (error) {
    // The file is not to blame for what the caller wrote over it.
    if (Object.keys(overrides).length > 0) {
      checkConfig(new MistralConfig({ ...values, name_or_path: name }), path);
      checkConfig(new MistralConfig({ ...values, ...overrides, name_or_path: "" }));
    }
    throw error;
  }
}

async function readSettings(
  folder: string,
  gguf: string | undefined,
): Promise<{ path: string; values: Record<string, unknown> }> {
  if (gguf !== undefined) return { path: gguf, values: (await readGgufSettings(gguf)).config() };
  if (await isDirectory(folder)) return readModelConfig(folder);
  return { path: folder, values: await readJsonObject(folder) };
}

/** The settings that come with a model: generation_config.json, or else those in config.json or in a GGUF file. */
export async function generationConfigOf({ folder, gguf }: ModelFiles): Promise<GenerationConfig> {
  if (gguf !== undefined) {
    const values = (await readGgufSettings(gguf)).generation();
    return GenerationConfig.fromFile(gguf, values, "config");
  }
  const own = joinPath(folder, GENERATION_CONFIG);
  if (await exists(own)) return GenerationConfig.fromFile(own, await readJsonObject(own));
  const { path, values } = await readModelConfig(folder);
  return GenerationConfig.fromFile(path, values, "config");
}

function refuseOtherModel(
  path: string,
  { model_type, architectures }: Record<string, unknown>,
): void {
  const classes = Array.isArray(architectures) ? architectures.map(String) : [];
  if (model_type === "mistral") return;
  // Mistral's first config files had no model_type.
  if (
    model_type === undefined &&
    classes.length > 0 &&
    classes.every((name) => /^Mistral(Model|For)/.test(name))
  )
    return;
  const named = JSON.stringify(model_type ?? null).slice(0, 80);
  const also = classes.length === 0 ? "" : ` (${classes.join(", ").slice(0, 80)})`;
  throw new CheckpointError(
    `${path}: model_type is ${named}${also}, expected "mistral"; only Mistral models run here`,
  );
}
