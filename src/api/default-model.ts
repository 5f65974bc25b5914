// Where the embedded model lies. Knows nothing of what is in it.

import { parentFolder, shippedFile } from "#platform";
import { CheckpointError } from "../errors.ts";

/**
 * The folder of the embedded model: a Mistral of 3.1 million parameters that tells short stories. For `from_pretrained`.
 * @throws CheckpointError the package was installed without it
 */
export async function defaultModel(): Promise<string> {
  const config = await shippedFile("models/stories/config.json");
  if (config !== undefined) return parentFolder(config);
  throw new CheckpointError(
    "the embedded model (models/stories) is not in the installed package: it is incomplete; install it again",
  );
}
