// Where the reference data lies: ../shared beside the project, or $MISTRAL_SHARED. Read in place, never copied.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(process.env.MISTRAL_SHARED ?? join(import.meta.dirname, "../../shared"));

/** The absolute path of a file or folder of the reference data. @throws Error in one line when the data is not there */
export function shared(path: string): string {
  if (!existsSync(root))
    throw new Error(`the tests need the reference data: put it at ${root} or set MISTRAL_SHARED`);
  return join(root, path);
}

/** A JSON file of the reference data. */
export function sharedJson<T>(path: string): T {
  return JSON.parse(readFileSync(shared(path), "utf8")) as T;
}
