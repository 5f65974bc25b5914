// The names that lead to files on the hub and in its cache: repository ids, revisions, paths in a repository, hashes. What comes from a
// user, a server or a file is checked here before it becomes a part of a path or an address. Opens nothing.

import { CheckpointError, InputError } from "../errors.ts";

/** A name as error messages show it: quoted, in ASCII, and not longer than a line. */
export function shownName(name: unknown): string {
  const text = JSON.stringify(name) ?? String(name);
  const short = text.length > 120 ? `${text.slice(0, 117)}…"` : text;
  return short.replace(/[^\x20-\x7e…]/g, (char) => {
    return `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

const PART = /^(?=[A-Za-z0-9_])[\w.-]{0,95}[A-Za-z0-9_]$/;

/** Whether a text can be the id of a repository: "name" or "owner/name". The rules are those of Python's huggingface_hub. */
export function isRepoId(id: string): boolean {
  const parts = id.split("/");
  return parts.length <= 2 && parts.every((part) => PART.test(part)) && !/--|\.\.|\.git$/.test(id);
}

/** @throws InputError the id of no repository */
export function checkRepoId(where: string, id: unknown): asserts id is string {
  if (typeof id === "string" && isRepoId(id)) return;
  throw new InputError(
    `${where}: ${shownName(id)} is no repository's id; expected "owner/name" of letters, digits, "-", "_" and ".", such as ` +
      '"mistralai/Mistral-7B-v0.1"; it may not hold "--" or "..", nor end in ".git"',
  );
}

/** A branch, a tag or a commit. @throws InputError a name that git does not allow, or that leaves the cache's folder */
export function checkRevision(where: string, revision: unknown): asserts revision is string {
  const fine =
    typeof revision === "string" &&
    revision.length <= 200 &&
    /^[\w.+#@=,-]+(\/[\w.+#@=,-]+)*$/.test(revision) &&
    !/\.\.|@\{|^-/.test(revision) &&
    revision.split("/").every((part) => !isUnportable(part) && !/^\.|\.lock$/.test(part));
  if (fine) return;
  throw new InputError(
    `${where}: revision ${shownName(revision)}; expected a branch, a tag or a commit, such as "main", "refs/pr/1" or 40 hexadecimal digits`,
  );
}

/** Whether a text is a hash of git, as commits and files have one. */
export const isSha1 = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);
export const isSha256 = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** Whether a path would leave the folder that it is joined to, on any system: Windows' rules count on Linux too. */
export function leavesFolder(path: string): boolean {
  return (
    path === "" ||
    // oxlint-disable-next-line no-control-regex
    /[\\\u0000-\u001f\u007f]|^\/|^[A-Za-z]:/.test(path) ||
    path.split("/").some((part) => part === "" || part === "." || part === "..")
  );
}

/** A name that some system cannot give to a file: reserved on Windows, ending in a dot or a space, longer than 255 bytes. */
function isUnportable(part: string): boolean {
  return (
    /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(part) ||
    /[. ]$|[<>:"|?*]/.test(part) ||
    new TextEncoder().encode(part).length > 255
  );
}

/** The path of a file in a repository, with "/" between folders. @throws CheckpointError it cannot be a file of the cache */
export function checkRepoPath(where: string, path: string): void {
  if (leavesFolder(path)) {
    throw new CheckpointError(
      `${where} names the file ${shownName(path)}, which lies outside the repository; do not trust it`,
    );
  }
  if (path.length > 1000 || path.split("/").some(isUnportable)) {
    throw new CheckpointError(
      `${where} names the file ${shownName(path)}, which not every system can store (a name that Windows reserves, that ends in a dot ` +
        "or a space, or that is longer than 255 bytes); ask its owner to rename it, or fetch the other files alone",
    );
  }
}

/** The path of a file that a caller asks for. @throws InputError */
export function checkFilename(where: string, name: unknown): asserts name is string {
  if (typeof name === "string" && name.length <= 1000 && !leavesFolder(name)) {
    if (!name.split("/").some(isUnportable)) return;
  }
  throw new InputError(
    `${where}: file ${shownName(name)}; expected a path within the repository, such as "config.json" or "onnx/model.onnx"`,
  );
}

/** The name of a repository's folder in the cache: "models--owner--name". */
export function repoFolderName(id: string): string {
  return ["models", ...id.split("/")].join("--");
}
