// Reads files that are shipped with this package, on Node. A browser build offers the same functions.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The path of a file of the package, such as "models/stories/config.json", or undefined when it is not there. */
export async function shippedFile(name: string): Promise<string | undefined> {
  // src/platform/ and dist/platform/ lie equally deep; a program that was bundled into one file lies in its own dist/.
  return ["../..", ".."].map((up) => join(import.meta.dirname, up, name)).find(existsSync);
}

/** A file that a module of this package names by its URL. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  return readFile(url);
}
