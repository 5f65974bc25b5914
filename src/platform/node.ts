// The platform on Node: files in and out. Imported as `#platform`; a browser build offers the same functions.
// Paths are opaque strings that only joinPath takes apart. Missing files are CheckpointErrors in one line.
// Knows nothing of what is in a file.

import { constants } from "node:fs";
import {
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  statfs,
} from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { CheckpointError } from "../errors.ts";
import { MAX_POINTER_BYTES, refuseLfsPointer } from "./lfs-pointer.ts";
import { makeAll, writeRemedy } from "./node-folders.ts";

export { allowWideVectors, availableBytes, canShareMemory, physicalCores } from "./node-threads.ts";
export { LARGE_PAGE, MAP_UNIT, nativeMemory, type NativeMemory } from "./node-native.ts";
export { machineCode, type MachineCode, type NativeFunction } from "./node-machine-code.ts";
export { copyFile, makeFolder, parentFolder, removeFolder, replaceFolder } from "./node-folders.ts";
export {
  createExclusive,
  duplicateFile,
  errorCode,
  type FileFacts,
  fileFacts,
  type FileKind,
  linkTarget,
  listFolder,
  makeLink,
  openPartial,
  type PartialFile,
  removeFile,
  renameFile,
  touchFile,
} from "./node-cache-files.ts";
export {
  environment,
  homeFolder,
  hostName,
  isProcessAlive,
  newHash,
  type RunningHash,
} from "./node-process.ts";
export { type WebFetch, webFetch, type WebResponse } from "./node-web.ts";
export { printText } from "./node-output.ts";
export { readAsset, shippedFile } from "./node-package.ts";
export {
  machine,
  type Machine,
  memoryMaxima,
  type MemoryMaxima,
  peakMemory,
  processId,
} from "./node-system.ts";
export {
  nextTurn,
  parent,
  type ParentHandle,
  startWorker,
  type WorkerHandle,
  type WorkerModule,
} from "./node-workers.ts";

/** A file opened for reading by range. */
export type OpenFile = {
  /** Bytes in the file when it was opened. */
  readonly size: number;
  /**
   * Fills the whole of `target` with the bytes from `offset` on, without a copy in between. `target` may be a view on
   * shared memory; reads may overlap in time. @throws CheckpointError the file ends before `target` is full
   */
  readInto(target: Uint8Array<ArrayBufferLike>, offset: number): Promise<void>;
  /** Closing twice is harmless. */
  close(): Promise<void>;
};

/** The whole file as text; bytes that are not UTF-8 are refused. @throws CheckpointError */
export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CheckpointError(
      `${path}: the file is not UTF-8 text; save it as UTF-8, or fetch it again`,
      { cause },
    );
  }
}

/**
 * The whole file. For files of settings and tokenizers; weights are read by range with openFile.
 * @throws CheckpointError it cannot be read, or Git LFS has not fetched it
 */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(path).catch(async (cause: unknown) => {
    throw await unreadable(path, cause);
  });
  refuseLfsPointer(path, bytes);
  return bytes;
}

/** Whether a file or folder exists at `path`. */
export async function exists(path: string): Promise<boolean> {
  return (await statOrUndefined(path)) !== undefined;
}

/** Whether `path` is a folder. */
export async function isDirectory(path: string): Promise<boolean> {
  return (await statOrUndefined(path))?.isDirectory() ?? false;
}

/** The names (not paths) of the files in a folder, sorted; its folders are left out. @throws CheckpointError */
export async function listFiles(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => entry.name)
      .toSorted();
  } catch (cause) {
    throw await unreadable(dir, cause);
  }
}

/** Opens a file for reading by range. @throws CheckpointError it cannot be read, or Git LFS has not fetched it */
export async function openFile(path: string): Promise<OpenFile> {
  const handle = await open(path, constants.O_RDONLY).catch(async (cause: unknown) => {
    throw await unreadable(path, cause);
  });
  try {
    const { size } = await handle.stat();
    if (size <= MAX_POINTER_BYTES) {
      const bytes = new Uint8Array(size);
      await readFully(path, handle, bytes, 0);
      refuseLfsPointer(path, bytes);
    }
    let closed: Promise<void> | undefined;
    return {
      size,
      readInto: (target, offset) => readFully(path, handle, target, offset),
      close: () => (closed ??= handle.close()),
    };
  } catch (cause) {
    await handle.close();
    throw cause instanceof CheckpointError ? cause : await unreadable(path, cause);
  }
}

/** A file being written. Nothing is seen under its name before close(). */
export type OutputFile = {
  /** Appends bytes. @throws CheckpointError the disk is full, or cannot be written */
  write(bytes: Uint8Array<ArrayBufferLike>): Promise<void>;
  /** Brings everything to the disk and gives the file its name, replacing what had it. */
  close(): Promise<void>;
  /** Drops what was written; what had the name before stays. */
  discard(): Promise<void>;
};

/** Begins a file; its folder is made when there is none. @throws CheckpointError */
export async function createFile(path: string): Promise<OutputFile> {
  const partial = `${path}.${process.pid}.partial`;
  const guarded = async <T>(step: Promise<T>): Promise<T> => {
    try {
      return await step;
    } catch (cause) {
      throw new CheckpointError(
        `${path}: cannot be written (${codeOf(cause) ?? String(cause)}); ${writeRemedy(codeOf(cause))}`,
        { cause },
      );
    }
  };
  await guarded(makeAll(dirname(path)));
  const handle = await guarded(open(partial, "w"));
  // The disk is kept busy while more is written: else close() would wait for all that the system has put off.
  let waiting = 0;
  let flushing: Promise<void> | undefined;
  let failed: unknown;
  const flush = (): void => {
    waiting = 0;
    flushing = guarded(handle.datasync())
      .catch((error: unknown) => void (failed = error))
      .finally(() => (flushing = undefined));
  };
  return {
    async write(bytes) {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await guarded(
          handle.write(bytes, done, Math.min(PIECE, bytes.length - done)),
        );
        done += bytesWritten;
        waiting += bytesWritten;
      }
      if (failed !== undefined) throw failed;
      if (waiting >= FLUSH && flushing === undefined) flush();
    },
    async close() {
      await flushing;
      if (failed !== undefined) throw failed;
      await guarded(handle.sync());
      await guarded(handle.close());
      await guarded(rename(partial, path));
    },
    async discard() {
      await flushing;
      await handle.close();
      await rm(partial, { force: true });
    },
  };
}

/** After so many bytes (64 MiB) the system is asked to bring them to the disk. */
const FLUSH = 1 << 26;

/** Writes a whole file; it is seen complete or not at all. @throws CheckpointError */
export async function writeText(path: string, text: string): Promise<void> {
  const file = await createFile(path);
  try {
    await file.write(new TextEncoder().encode(text));
  } catch (error) {
    await file.discard();
    throw error;
  }
  await file.close();
}

/** Bytes that can still be written where `path` lies, or Infinity when that is not known. */
export async function freeBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}

/** Joins folder and file names into a path. */
export function joinPath(...parts: string[]): string {
  return join(...parts);
}

/** The path with every symbolic link resolved. @throws CheckpointError */
export async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    throw await unreadable(path, cause);
  }
}

/** Whether what `path` leads to, links followed, lies in the folder `dir`. @throws CheckpointError either is not there */
export async function isInside(dir: string, path: string): Promise<boolean> {
  const [root, target] = await Promise.all([realPath(dir), realPath(path)]);
  return target.startsWith(root.endsWith(sep) ? root : root + sep);
}

type ReadHandle = Awaited<ReturnType<typeof open>>;

// One system call moves at most 2 GiB - 4 KiB; smaller pieces let several reads of one event loop overlap.
const PIECE = 1 << 28;

async function readFully(
  path: string,
  handle: ReadHandle,
  target: Uint8Array<ArrayBufferLike>,
  offset: number,
): Promise<void> {
  for (let done = 0; done < target.length;) {
    const { bytesRead } = await handle.read(
      target,
      done,
      Math.min(PIECE, target.length - done),
      offset + done,
    );
    if (bytesRead === 0) {
      throw new CheckpointError(
        `${path}: the file ended at byte ${offset + done} while bytes ${offset} to ${offset + target.length} were read; ` +
          "it was cut short after it was opened: fetch or write it again",
      );
    }
    done += bytesRead;
  }
}

async function statOrUndefined(
  path: string,
): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    const code = codeOf(cause);
    // A NUL in a name, or a name that is too long, names no file; anything else (EACCES, EIO) is a failure to report.
    if (
      code === "ENOENT" ||
      code === "ENOTDIR" ||
      code === "ENAMETOOLONG" ||
      code === "ERR_INVALID_ARG_VALUE"
    )
      return undefined;
    throw await unreadable(path, cause);
  }
}

/** What is wrong with a path, and what to do, by the system's code. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "no such file or folder; is the path right, and everything fetched?"],
  ["EACCES", "it may not be read; check its permissions"],
  ["EPERM", "it may not be read; check its permissions"],
  ["EISDIR", "it is a folder, a file was expected"],
  ["ENOTDIR", "a part of the path is a file, a folder was expected"],
  ["ELOOP", "its links lead in a circle"],
  ["EMFILE", "this process has too many files open; close some, or raise the limit (ulimit -n)"],
]);

async function unreadable(path: string, cause: unknown): Promise<CheckpointError> {
  const code = codeOf(cause);
  const target = code === "ENOENT" ? await readlink(path).catch(() => undefined) : undefined;
  const why =
    target === undefined
      ? (REASONS.get(code ?? "") ?? `it cannot be read (${code ?? String(cause)})`)
      : `it is a link to ${target}, which is not there; copy folders with the files that links lead to (cp -rL)`;
  return new CheckpointError(`${path}: ${why}`, { cause });
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined;
}
