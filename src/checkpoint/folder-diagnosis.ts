// What is in a folder that a model cannot be loaded from: the errors name what was found there, and what to do.
// Looks at names of files only.

import { joinPath, listFiles } from "#platform";
import { CheckpointError } from "../errors.ts";
import { readJsonObject } from "./json-file.ts";

/** The settings of a low-rank adapter, which PEFT writes beside its weights. */
const ADAPTER = "adapter_config.json";
const PICKLE = /\.(bin|pt|pth|ckpt|pkl|pickle)$/;
const OTHER = /\.(npz|onnx|h5|msgpack|ot|mlmodel|tflite|engine)$/;
/** A shard: "model-00001-of-00003.safetensors", with a variant "model.fp16-00001-of-00003.safetensors". */
const SHARD = /^(?:model|consolidated)(?:\.[\w-]+)?-(\d{5})-of-(\d{5})(?:\.[\w-]+)?\.safetensors$/;

/** The error for a folder without config.json. @throws CheckpointError the folder cannot be listed */
export async function withoutConfig(folder: string): Promise<CheckpointError> {
  const names = await listFiles(folder);
  if (names.includes(ADAPTER)) return adapterError(folder, names);
  return configMissing(joinPath(folder, "config.json"), names);
}

/** The same for a folder or repository whose files have these names. @param path of config.json in it, as messages begin with it */
export function configMissing(path: string, names: readonly string[]): CheckpointError {
  const { gguf, weights } = kindsOf(names);
  const none = `${path}: no such file`;
  if (gguf.length > 0) return new CheckpointError(`${none}, but ${ggufRemedy(gguf)}`);
  if (weights !== undefined)
    return new CheckpointError(
      `${none} beside ${weights}; fetch it from the repository that the weights are from`,
    );
  return new CheckpointError(
    `${none}; a model is a folder with config.json and model.safetensors: is the path right, and everything fetched?`,
  );
}

/**
 * The error for a folder whose weights are not found under the names of safetensors checkpoints.
 * @param single what their file is called; `index`: what the index of shards is called
 */
export async function withoutWeights(
  folder: string,
  single: string,
  index: string,
): Promise<CheckpointError> {
  const names = await listFiles(folder);
  if (names.includes(ADAPTER)) return adapterError(folder, names);
  return weightsMissing(folder, names, single, index);
}

/** The same for a folder or repository whose files have these names. @param place what messages begin with */
export function weightsMissing(
  place: string,
  names: readonly string[],
  single: string,
  index: string,
): CheckpointError {
  const { gguf, pickle, shards, variant, safetensors, other } = kindsOf(names);
  const expected = `${place}: found neither ${single} nor ${index}`;
  if (shards.length > 0) {
    const [, , count] = SHARD.exec(shards[0]) ?? [];
    const here = shards.length === 1 ? shards[0] : `${shards[0]} … ${shards[shards.length - 1]}`;
    const all = shards.length === Number(count) ? "all" : "not all of which are here either";
    return new CheckpointError(
      `${place}: ${here} are ${shards.length} of ${Number(count)} parts of a checkpoint (${all}), but their index, ${index}, is missing; ` +
        "it says which part holds which tensor: fetch it from the repository that they are from",
    );
  }
  if (variant !== undefined) {
    return new CheckpointError(
      `${expected}, but ${variant}; name its middle part with the option variant`,
    );
  }
  if (gguf.length > 0) return new CheckpointError(`${expected}, but ${ggufRemedy(gguf)}`);
  if (safetensors !== undefined) {
    return new CheckpointError(
      `${expected}, but ${safetensors}; if these are the model's weights, name the file ${single}`,
    );
  }
  if (pickle !== undefined) {
    return new CheckpointError(
      `${expected}, only ${pickle}, a Python pickle. Loading a pickle can run any code that it names, so it is never loaded; ` +
        "fetch the safetensors files of this model, or convert it once with save_pretrained in Python",
    );
  }
  if (other !== undefined) {
    return new CheckpointError(
      `${expected}, only ${other}, a format of another library; fetch the model's safetensors or GGUF files`,
    );
  }
  return new CheckpointError(`${expected}; fetch the model's safetensors files into it`);
}

/** Refuses a folder with a low-rank adapter: Transformers would apply it to its base model. @throws CheckpointError */
export async function refuseAdapter(folder: string): Promise<void> {
  const names = await listFiles(folder);
  if (names.includes(ADAPTER)) throw await adapterError(folder, names);
}

async function adapterError(folder: string, names: readonly string[]): Promise<CheckpointError> {
  const path = joinPath(folder, ADAPTER);
  const { base_model_name_or_path: base, peft_type } = await readJsonObject(path);
  const of = typeof base === "string" && base !== "" ? ` of ${JSON.stringify(base)}` : "";
  const kind = typeof peft_type === "string" ? ` (${peft_type.slice(0, 40)})` : "";
  const merge = "merge it into its base model in Python (merge_and_unload, then save_pretrained)";
  const beside = names.some((name) => /^(model|consolidated).*\.safetensors$/.test(name))
    ? `; if the weights beside it are merged already, remove ${ADAPTER}`
    : "";
  return new CheckpointError(
    `${path}: the folder holds an adapter${kind}${of}, and adapters are not applied yet; ${merge} and load the result${beside}`,
  );
}

function ggufRemedy(files: readonly string[]): string {
  const more = files.length > 1 ? ` (and ${files.length - 1} more)` : "";
  return `${files[0]}${more}; name it with the option gguf_file (in the command: --gguf-file ${files[0]})`;
}

function kindsOf(names: readonly string[]): {
  gguf: string[];
  pickle: string | undefined;
  shards: string[];
  variant: string | undefined;
  safetensors: string | undefined;
  other: string | undefined;
  /** Any file of weights. */
  weights: string | undefined;
} {
  const of = (pattern: RegExp): string | undefined => names.find((name) => pattern.test(name));
  const safetensors = of(/\.safetensors$/);
  const pickle = of(PICKLE);
  return {
    gguf: names.filter((name) => /\.gguf$/i.test(name)),
    pickle,
    shards: names.filter((name) => SHARD.test(name)),
    variant: of(/^model\.[\w-]+\.safetensors$/),
    safetensors,
    other: of(OTHER),
    weights: safetensors ?? pickle,
  };
}
