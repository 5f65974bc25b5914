// A model and its tokenizer for a command: the embedded one when none is named, with progress on stderr.
// Knows nothing of what is done with them.

import { basename, resolve } from "node:path";
import { defaultModel } from "../api/default-model.ts";
import { AutoModelForCausalLM, AutoTokenizer, env } from "../index.ts";
import type { FlagValues } from "./arguments.ts";
import { loadProgress } from "./progress.ts";
import type { Io } from "./terminal.ts";

export type Model = Awaited<ReturnType<typeof AutoModelForCausalLM.from_pretrained>>;
export type Tokenizer = Awaited<ReturnType<typeof AutoTokenizer.from_pretrained>>;
export type Opened = {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** The last part of the folder's path. */
  readonly name: string;
};

/**
 * Loads the model of `folder`, or the embedded one.
 * @throws CheckpointError, MemoryError, InputError as `from_pretrained` does; the reason of Ctrl-C
 */
export async function openModel(
  folder: string | undefined,
  flags: FlagValues,
  io: Io,
): Promise<Opened> {
  // A flag of the whole process: this process is the command's own.
  env.wasm.revectorize = !flags["no-revectorize"];
  const path = folder === undefined ? await defaultModel() : resolve(folder);
  const name = basename(path);
  const progress = flags.quiet ? undefined : loadProgress(io.stderr, name);
  try {
    const tokenizer = await AutoTokenizer.from_pretrained(path);
    const model = await AutoModelForCausalLM.from_pretrained(path, {
      ...(flags.device !== undefined && { device: flags.device }),
      ...(flags.dtype !== undefined && { dtype: flags.dtype }),
      ...(flags.attn !== undefined && { attn_implementation: flags.attn }),
      ...(flags.threads !== undefined && { threads: flags.threads }),
      signal: io.interrupt,
      onProgress: (step) => progress?.update(step),
    });
    return { model, tokenizer, name };
  } finally {
    progress?.done();
  }
}
