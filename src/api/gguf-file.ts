// A GGUF file as the settings of a model: finds the file, and reads config, generation settings and tokenizer metadata from it.
// Does not know weights: the engine opens them with openGgufWeights of checkpoint/.

import { isDirectory, joinPath, openFile } from "#platform";
import { ggufConfig, ggufTokenIds } from "../checkpoint/gguf-config.ts";
import { type GgufHeader, readGgufHeader } from "../checkpoint/gguf-header.ts";
import { CheckpointError, InputError } from "../errors.ts";

/** Where a GGUF file is. */
export type GgufOptions = {
  /** The name of a GGUF file in the folder: config, tokenizer and weights come from it. */
  gguf_file?: string | null;
  /** A folder within the folder. */
  subfolder?: string;
};

/**
 * The path of the GGUF file that these arguments mean: `gguf_file` in the folder, or `dir` if it is such a file itself.
 * Undefined: `dir` is a folder of other files.
 *
 * @throws InputError      `gguf_file` is no name
 * @throws CheckpointError `gguf_file` is given, but `dir` is no folder
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

/** What a GGUF file holds besides weights. */
export type GgufSettings = {
  readonly path: string;
  readonly metadata: GgufHeader["metadata"];
  /** The fields of config.json. @throws CheckpointError another model */
  config(): Record<string, unknown>;
  /** The fields of generation_config.json. */
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
