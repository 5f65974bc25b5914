// Finds the embedded model: models/stories beside the sources, or beside what was built from them. Does not know what it contains.

import { exists, joinPath } from "#platform";
import { CheckpointError } from "../errors.ts";

/**
 * The folder of the embedded model, for `from_pretrained`: a Mistral with 3.1 million parameters that tells short stories.
 * @throws CheckpointError the package was installed without it
 */
export async function defaultModel(): Promise<string> {
  const here = import.meta.dirname;
  for (const root of ["..", "../.."]) {
    const folder = joinPath(here, root, "models", "stories");
    if (await exists(joinPath(folder, "config.json"))) return folder;
  }
  throw new CheckpointError(
    `the embedded model is not beside ${here}: the package is incomplete; install it again`,
  );
}
