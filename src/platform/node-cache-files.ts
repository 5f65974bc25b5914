// Files of a cache that several processes share, on Node: links, files that exactly one process may create, partial downloads.
// A browser build offers the same functions. Errors are those of the system; `errorCode` names them.

import { constants } from "node:fs";
import {
  copyFile as copyOnDisk,
  lstat,
  open,
  readdir,
  readlink,
  rename,
  stat,
  symlink,
  unlink,
  utimes,
} from "node:fs/promises";
import { CheckpointError } from "../errors.ts";

export type FileKind = "file" | "folder" | "link" | "other";

/** What lies at a path. A link is not followed, unless asked. */
export type FileFacts = {
  readonly kind: FileKind;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  readonly accessed: number;
};

/** Undefined if nothing lies there, or what the link leads to is missing. */
export async function fileFacts(
  path: string,
  { follow = false }: { follow?: boolean } = {},
): Promise<FileFacts | undefined> {
  try {
    const facts = await (follow ? stat : lstat)(path);
    const kind = facts.isFile()
      ? "file"
      : facts.isDirectory()
        ? "folder"
        : facts.isSymbolicLink()
          ? "link"
          : "other";
    return { kind, bytes: facts.size, modified: facts.mtimeMs, accessed: facts.atimeMs };
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(errorCode(error) ?? ""))
      return undefined;
    throw error;
  }
}

/** What lies in a folder, sorted by name; nothing if there is no such folder. */
export async function listFolder(path: string): Promise<{ name: string; kind: FileKind }[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries
      .map((entry) => ({
        name: entry.name,
        kind: entry.isDirectory()
          ? ("folder" as const)
          : entry.isSymbolicLink()
            ? ("link" as const)
            : entry.isFile()
              ? ("file" as const)
              : ("other" as const),
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "")) return [];
    throw error;
  }
}

/** Writes a file that did not exist before. @returns false if something lies there already */
export async function createExclusive(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o664);
    try {
      await file.writeFile(text);
    } catch (error) {
      // Nobody shall take a half of it for the file.
      await unlink(path);
      throw error;
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** Makes a link at `path` that leads to `target`, relative to the link's own folder. @returns false where links cannot be made */
export async function makeLink(target: string, path: string): Promise<boolean> {
  try {
    await symlink(target, path);
    return true;
  } catch (error) {
    if (["EPERM", "EACCES", "ENOSYS", "ENOTSUP"].includes(errorCode(error) ?? "")) return false;
    throw error;
  }
}

/** Where a link leads, as it is written. */
export function linkTarget(path: string): Promise<string> {
  return readlink(path);
}

/** Gives a file another name in one step, replacing what had it. */
export function renameFile(from: string, to: string): Promise<void> {
  return rename(from, to);
}

/** Copies a large file. The copy shares its blocks with the original where the file system can do that. */
export function duplicateFile(from: string, to: string): Promise<void> {
  return copyOnDisk(from, to, constants.COPYFILE_FICLONE);
}

/** Removes a file or a link, if there is one. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

/** Sets the time of the last change to now. */
export async function touchFile(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
}

/** A file that is written at any place, and that outlives its process. */
export type PartialFile = {
  /** Bytes that it had when it was opened. */
  readonly bytes: number;
  readInto(target: Uint8Array, offset: number): Promise<void>;
  writeAt(bytes: Uint8Array, offset: number): Promise<void>;
  /** Cuts the file to this many bytes. */
  cut(bytes: number): Promise<void>;
  /** Brings everything to the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
};

/** Opens a file for writing, which is made if there is none. A link in its place is refused with ELOOP. */
export async function openPartial(path: string): Promise<PartialFile> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants; // the last is missing on Windows, and counts as 0
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW);
  const { size } = await file.stat();
  return {
    bytes: size,
    async readInto(target, offset) {
      for (let done = 0; done < target.length;) {
        const { bytesRead } = await file.read(target, done, target.length - done, offset + done);
        if (bytesRead === 0) {
          throw new CheckpointError(`${path}: another program cut the file while it was read`);
        }
        done += bytesRead;
      }
    },
    async writeAt(bytes, offset) {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
        done += bytesWritten;
      }
    },
    cut: (bytes) => file.truncate(bytes),
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

/** The system's name of an error, such as "ENOSPC"; undefined if it has none. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}
