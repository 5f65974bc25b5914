// Finds the embedded model among the files of the package. Does not know what it contains.

import { parentFolder, shippedFile } from "#platform";
import { CheckpointError } from "../errors.ts";

/**
 * The folder of the embedded model, for `from_pretrained`: a Mistral with 3.1 million parameters that tells short stories.
 * @throws CheckpointError the package was installed without it
 */
export async function defaultModel(): Promise<string> {
  const config = await shippedFile("models/stories/config.json");
  if (config !== undefined) return parentFolder(config);
  throw new CheckpointError(
    "the embedded model (models/stories) is not in the installed package: it is incomplete; install it again",
  );
}
