// Reads small files of the cache that another process may take away at any moment. Does not know what they say.

import { errorCode, fileFacts, readText } from "#platform";

/** The text of a file. Undefined: there is none, it is a link or a folder, or it has more than `most` bytes. @throws CheckpointError */
export async function readIfThere(
  path: string,
  most: number = Infinity,
): Promise<string | undefined> {
  const facts = await fileFacts(path);
  if (facts?.kind !== "file" || facts.bytes > most) return undefined;
  try {
    return await readText(path);
  } catch (error) {
    // It has gone since it was looked at.
    if (error instanceof Error && errorCode(error.cause) === "ENOENT") return undefined;
    throw error;
  }
}
