// A GGUF file as a model's settings: which file is meant, and its config, generation settings and tokenizer. Its weights are
// opened where they are computed with, by openGgufWeights of checkpoint/.

import { isDirectory, joinPath, openFile } from "#platform";
import { ggufConfig, ggufTokenIds } from "../checkpoint/gguf-config.ts";
import { type GgufHeader, readGgufHeader } from "../checkpoint/gguf-header.ts";
import { CheckpointError, InputError } from "../errors.ts";

/** Where a GGUF file is. */
export type GgufOptions = {
  /** The name of a GGUF file in the folder: config, tokenizer and weights come from it. */
  gguf_file?: string | null;
  subfolder?: string;
};

/**
 * The path of the GGUF file that these arguments mean: `gguf_file` in the folder, or `dir` when it is such a file itself.
 * Undefined: a folder of other files.
 *
 * @throws InputError `gguf_file` is no name; CheckpointError `dir` is no folder
 */
export async function ggufPath(
  where: string,
  dir: string,
  { gguf_file, subfolder }: GgufOptions,
): Promise<string | undefined> {
  if (gguf_file === undefined || gguf_file === null) {
    return /\.gguf$/i.test(dir) && !(await isDirectory(dir)) ? dir : undefined;
  }
  if (typeof gguf_file !== "string" || gguf_file === "") {
    throw new InputError(
      `${where}: gguf_file is ${JSON.stringify(gguf_file)}, expected the name of a file in the folder, such as "model-q4_k_m.gguf"`,
    );
  }
  const folder = subfolder === undefined ? dir : joinPath(dir, subfolder);
  if (await isDirectory(folder)) return joinPath(folder, gguf_file);
  throw new CheckpointError(
    `${where}: ${folder} is no folder; gguf_file names a file in a folder, and without it the path of the file itself can be given`,
  );
}

/** Everything that a GGUF file says besides its weights. */
export type GgufSettings = {
  readonly path: string;
  readonly metadata: GgufHeader["metadata"];
  /** As config.json has it. @throws CheckpointError another model */
  config(): Record<string, unknown>;
  /** As generation_config.json has it. */
  generation(): Record<string, unknown>;
};

/** Reads the header of a GGUF file. @throws CheckpointError no such file, or a malformed one */
export async function readGgufSettings(path: string): Promise<GgufSettings> {
  const file = await openFile(path);
  try {
    const header = await readGgufHeader(path, file);
    return {
      path,
      metadata: header.metadata,
      config: () => ggufConfig(header),
      generation: () => ggufTokenIds(header),
    };
  } finally {
    await file.close();
  }
}
