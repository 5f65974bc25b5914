// Loads a model and its tokenizer for a command, with progress on stderr; the embedded model if none is named.
// Does not know what is done with them.

import { methodConfig } from "../api/quantization/quantization-methods.ts";
import { AutoModelForCausalLM, AutoTokenizer, env } from "../index.ts";
import type { GenerateOptions, LoadOptions } from "../index.ts";
import type { FlagValues } from "./arguments.ts";
import { modelSource } from "./model-source.ts";
import type { ModelSource } from "./model-source.ts";
import { workProgress } from "./progress.ts";
import { storySettings } from "./storyteller.ts";
import { write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

export type Model = Awaited<ReturnType<typeof AutoModelForCausalLM.from_pretrained>>;
export type Tokenizer = Awaited<ReturnType<typeof AutoTokenizer.from_pretrained>>;
export type Opened = {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** The last part of its folder's path, or of its id on the hub. */
  readonly name: string;
  /** How its tokens are sampled unless flags say otherwise, beside its generation_config.json. */
  readonly settings: GenerateOptions;
};

/**
 * Loads the model `name` (a folder, a GGUF file, the id of a model on the hub), or the embedded one, and its tokenizer.
 * @throws CheckpointError, MemoryError, InputError as `from_pretrained` and modelSource do; after Ctrl-C the signal's reason
 */
export async function openModel(
  name: string | undefined,
  flags: FlagValues,
  io: Io,
): Promise<Opened> {
  const source = await modelSource(name, flags, io);
  const tokenizer = await AutoTokenizer.from_pretrained(source.path, ggufFile(source));
  const settings = name === undefined ? storySettings : {};
  return {
    model: await openWeights(source, flags, io),
    ...{ tokenizer, name: source.name, settings },
  };
}

/** Loads a model without its tokenizer. @throws as openModel */
export async function openWeights(
  source: ModelSource,
  flags: FlagValues,
  { stderr, interrupt }: Io,
): Promise<Model> {
  // This changes the whole process, which belongs to the command.
  env.wasm.revectorize = !flags["no-revectorize"];
  env.native = flags["no-native"] ? false : "auto";
  const { quiet, quantization } = flags;
  const verb = quantization === undefined ? "loading" : `quantising to ${quantization}`;
  const progress = quiet ? undefined : workProgress(stderr, verb, source.name, "byte");
  try {
    return await AutoModelForCausalLM.from_pretrained(source.path, {
      ...loadOptions(flags),
      ...ggufFile(source),
      signal: interrupt,
      onProgress: (step) => progress?.update(step),
    });
  } catch (error) {
    progress?.done();
    if (interrupt.aborted && !quiet) await write(stderr, "stopped\n");
    throw error;
  } finally {
    progress?.done();
  }
}

function ggufFile({ gguf_file }: ModelSource): { gguf_file?: string } {
  return gguf_file === undefined ? {} : { gguf_file };
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
  };
}
