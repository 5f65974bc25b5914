// Python's snapshot_download and hf_hub_download: files of a repository by their names, whatever they are. Knows no models.

import { joinPath } from "#platform";
import { InputError } from "../errors.ts";
import type { HubDefaults, HubOptions } from "./settings.ts";
import { failure } from "./failure.ts";
import type { DownloadProgress } from "./meter.ts";
import { checkFilename, shownName } from "./names.ts";
import { openRepository } from "./repository.ts";

export type DownloadOptions = HubOptions & {
  /** Called about ten times a second while files are fetched. */
  onProgress?: (progress: DownloadProgress) => void;
};

export type SnapshotOptions = DownloadOptions & {
  /** Files to fetch, as names with `*`, `?` and `[abc]`; `*` matches "/" too, and a name that ends in "/" means all in that folder. */
  allow_patterns?: string | readonly string[] | null;
  /** Files not to fetch, in the same way. */
  ignore_patterns?: string | readonly string[] | null;
};

/** Fetches the files of a repository that match. @returns the folder of the snapshot */
export async function downloadSnapshot(
  where: string,
  id: string,
  options: SnapshotOptions,
  defaults: HubDefaults,
): Promise<string> {
  const allowed = matcher(where, "allow_patterns", options.allow_patterns, true);
  const ignored = matcher(where, "ignore_patterns", options.ignore_patterns, false);
  const repository = await openRepository(where, id, options, defaults);
  const wanted = [...repository.files.keys()].filter((name) => allowed(name) && !ignored(name));
  await repository.fetch(wanted, options.onProgress);
  return repository.folder;
}

/** Fetches one file. @returns its path in the cache */
export async function downloadFile(
  where: string,
  id: string,
  filename: string,
  options: DownloadOptions & { subfolder?: string | null },
  defaults: HubDefaults,
): Promise<string> {
  checkFilename(where, filename);
  const subfolder = options.subfolder ?? "";
  if (subfolder !== "") checkFilename(where, subfolder);
  const name = subfolder === "" ? filename : `${subfolder}/${filename}`;
  const repository = await openRepository(where, id, options, defaults);
  if (!repository.files.has(name) && repository.unreachable === undefined) {
    const place = `${id} at revision "${repository.revision}"`;
    throw failure("no file", `${where}: ${place} has no file ${shownName(name)}`);
  }
  await repository.fetch([name], options.onProgress);
  return joinPath(repository.folder, ...name.split("/"));
}

/** A test of names against shell patterns, as Python's fnmatch reads them. @param usual the answer if there are none */
function matcher(
  where: string,
  option: string,
  patterns: string | readonly string[] | null | undefined,
  usual: boolean,
): (name: string) => boolean {
  if (patterns === undefined || patterns === null) return () => usual;
  const list: readonly unknown[] = typeof patterns === "string" ? [patterns] : patterns;
  if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) {
    throw new InputError(
      `${where}: ${option}: expected a pattern such as "*.json", or an array of them`,
    );
  }
  const tests = (list as string[]).map((text) => {
    try {
      return shellPattern(text.endsWith("/") ? `${text}*` : text);
    } catch (cause) {
      throw new InputError(
        `${where}: ${option}: ${shownName(text)}: a range in brackets begins with its lower character, such as [a-z]`,
        { cause },
      );
    }
  });
  return (name) => tests.some((test) => test.test(name));
}

/** In brackets a set of characters, with "!" in front those that are not in it; "]" as its first character is one of them. */
function shellPattern(text: string): RegExp {
  const source = text.replace(
    /\[(?:!(\][^\]]*|[^\]]+)|(?!!)(\][^\]]*|[^\]]+))\]|[\s\S]/g,
    (piece, others?: string, set?: string) => {
      if (piece === "*") return ".*";
      if (piece === "?") return ".";
      const inside = (others ?? set)?.replace(/[\\\]^]/g, "\\$&");
      if (inside === undefined) return piece.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
      return `[${others === undefined ? "" : "^"}${inside}]`;
    },
  );
  return new RegExp(`^${source}$`, "s");
}
