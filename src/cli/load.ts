// Loads a model and its tokenizer for a command, with progress on stderr; the embedded model if none is named.
// Does not know what is done with them.

import { basename, resolve } from "node:path";
import { defaultModel } from "../api/default-model.ts";
import { methodConfig } from "../api/quantization-methods.ts";
import { AutoModelForCausalLM, AutoTokenizer, env } from "../index.ts";
import type { GenerateOptions, LoadOptions } from "../index.ts";
import type { FlagValues } from "./arguments.ts";
import { loadProgress } from "./progress.ts";
import { storySettings } from "./storyteller.ts";
import type { Io } from "./terminal.ts";

export type Model = Awaited<ReturnType<typeof AutoModelForCausalLM.from_pretrained>>;
export type Tokenizer = Awaited<ReturnType<typeof AutoTokenizer.from_pretrained>>;
export type Opened = {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** The last part of the folder's path. */
  readonly name: string;
  /** How its tokens are sampled unless flags say otherwise, beside its generation_config.json. */
  readonly settings: GenerateOptions;
};

/**
 * Loads the model of `folder`, or the embedded one, and its tokenizer.
 * @throws CheckpointError, MemoryError, InputError as `from_pretrained` does; after Ctrl-C the signal's reason
 */
export async function openModel(
  folder: string | undefined,
  flags: FlagValues,
  io: Io,
): Promise<Opened> {
  const path = await pathOf(folder);
  const tokenizer = await AutoTokenizer.from_pretrained(path, ggufFile(flags));
  const settings = folder === undefined ? storySettings : {};
  return { model: await openWeights(path, flags, io), tokenizer, name: basename(path), settings };
}

/** The absolute path of `folder`, or of the embedded model. */
export async function pathOf(folder: string | undefined): Promise<string> {
  return folder === undefined ? await defaultModel() : resolve(folder);
}

/** Loads a model without its tokenizer. @param name is shown with the progress. @throws as openModel */
export async function openWeights(
  path: string,
  flags: FlagValues,
  io: Io,
  name: string = basename(path),
): Promise<Model> {
  // This changes the whole process, which belongs to the command.
  env.wasm.revectorize = !flags["no-revectorize"];
  const progress = flags.quiet ? undefined : loadProgress(io.stderr, name);
  try {
    return await AutoModelForCausalLM.from_pretrained(path, {
      ...loadOptions(flags),
      signal: io.interrupt,
      onProgress: (step) => progress?.update(step),
    });
  } finally {
    progress?.done();
  }
}

function ggufFile(flags: FlagValues): { gguf_file?: string } {
  return flags["gguf-file"] === undefined ? {} : { gguf_file: flags["gguf-file"] };
}

/** The options of `from_pretrained` that flags ask for; flags that were not given leave its defaults. */
export function loadOptions(flags: FlagValues): LoadOptions {
  const { device, dtype, attn, threads, quantization } = flags;
  return {
    ...(device !== undefined && { device }),
    ...(dtype !== undefined && { dtype }),
    ...(attn !== undefined && { attn_implementation: attn }),
    ...(threads !== undefined && { threads }),
    ...(quantization !== undefined && {
      quantization_config: methodConfig("--quantization", quantization),
    }),
    ...(flags["compute-dtype"] !== undefined && { compute_dtype: flags["compute-dtype"] }),
    ...(flags["cache-dtype"] !== undefined && { cacheDtype: flags["cache-dtype"] }),
    ...ggufFile(flags),
  };
}
