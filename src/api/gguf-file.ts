// A GGUF file as the settings of a model: reads config, generation settings and tokenizer metadata from it.
// Does not know weights: the engine opens them with openGgufWeights of checkpoint/.

import { openFile } from "#platform";
import { ggufConfig, ggufTokenIds } from "../checkpoint/gguf-config.ts";
import { type GgufHeader, readGgufHeader } from "../checkpoint/gguf-header.ts";

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
