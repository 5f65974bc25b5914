// Where reference data lies: in test/goldens of this project, or, with MISTRAL_FULL=1, the whole of it in ../shared or
// $MISTRAL_SHARED. A path such as `models/base-f32` means the same in both. Knows nothing of what the files say.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliDecompressSync } from "node:zlib";

const carried = join(import.meta.dirname, "goldens");
const whole = resolve(process.env.MISTRAL_SHARED ?? join(import.meta.dirname, "../../shared"));

/**
 * The absolute path of a file or folder of the reference data. Where test/goldens holds the file compressed, only
 * `<path>.br` is there: `readGolden`, `goldenJson` and `readSafetensors` read both.
 */
export function goldenPath(path: string): string {
  return process.env.MISTRAL_FULL
    ? wholeData(/^(stories|goldens-training)\//.test(path) ? path : `goldens/${path}`)
    : join(carried, path);
}

/** An absolute path in the whole data, such as `goldens/models`. @throws Error in one line when it is not there */
export function wholeData(path: string): string {
  const found = join(whole, path);
  if (!existsSync(found))
    throw new Error(
      `the whole reference data is to be read, and ${found} is not there: put it there, or set MISTRAL_SHARED to the folder that holds ${path}`,
    );
  return found;
}

/** The bytes of a file by its absolute path, or of `<path>.br`, decompressed, where only that is there. */
export function readGolden(path: string): Buffer {
  const packed = `${path}.br`;
  return existsSync(packed) && !existsSync(path)
    ? brotliDecompressSync(readFileSync(packed))
    : readFileSync(path);
}

/** A JSON file of the reference data. */
export function goldenJson<T>(path: string): T {
  return JSON.parse(readGolden(goldenPath(path)).toString("utf8")) as T;
}
