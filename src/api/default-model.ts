// Where the embedded model lies: in models/stories beside the sources or beside what was built from them.
// Knows nothing of what is in it.

import { exists, joinPath } from "#platform";
import { CheckpointError } from "../errors.ts";

/**
 * The folder of the embedded model: a Mistral of 3.1 million parameters that tells short stories. For `from_pretrained`.
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
