// Calls of the system on memory, by node:ffi (Node 26.1 and later): large pages, and files mapped into a WebAssembly memory.
// Optional everywhere: undefined where there is no node:ffi or it is not allowed, false where the system refuses.

import { closeSync, openSync } from "node:fs";

/** What the system offers on memory. Buffers are WebAssembly memories, which never move. */
export type NativeMemory = {
  /** Asks for pages of 2 MiB: fewer misses when weights are read through. */
  useLargePages(buffer: ArrayBufferLike): boolean;
  /**
   * Puts bytes [from, from + bytes) of a file to `offset`, read when they are first touched and never written back.
   * `offset` and `from` must be multiples of MAP_UNIT. What the memory held there is lost.
   */
  mapFile(
    buffer: ArrayBufferLike,
    offset: number,
    path: string,
    from: number,
    bytes: number,
  ): boolean;
};

/** Files are mapped by multiples of it. */
export const MAP_UNIT = 16384;

const READ_WRITE = 3;
const PRIVATE_FIXED = 0x12;
const HUGEPAGE = 14;

let found: Promise<NativeMemory | undefined> | undefined;

/** The system's calls, or undefined when they cannot be had. No warning reaches the terminal. */
export function nativeMemory(): Promise<NativeMemory | undefined> {
  return (found ??= findNative());
}

async function findNative(): Promise<NativeMemory | undefined> {
  if (process.platform !== "linux") return undefined;
  const warn = process.emitWarning;
  process.emitWarning = () => {}; // the module is experimental, and says so where users would read it
  try {
    return bind(await import("node:ffi"));
  } catch {
    return undefined; // an older Node, or the permission model: everything works without
  } finally {
    process.emitWarning = warn;
  }
}

function bind(ffi: typeof import("node:ffi")): NativeMemory {
  const { functions } = ffi.dlopen(null, {
    mmap: { arguments: ["pointer", "u64", "i32", "i32", "i32", "i64"], return: "pointer" },
    madvise: { arguments: ["pointer", "u64", "i32"], return: "i32" },
  });
  const address = (buffer: ArrayBufferLike): bigint => ffi.getRawPointer(buffer as ArrayBuffer);
  return {
    useLargePages: (buffer) =>
      functions.madvise(address(buffer), BigInt(buffer.byteLength), HUGEPAGE) === 0,

    mapFile(buffer, offset, path, from, bytes) {
      const target = address(buffer) + BigInt(offset);
      const file = openSync(path, "r");
      try {
        const got = functions.mmap(
          target,
          BigInt(bytes),
          READ_WRITE,
          PRIVATE_FIXED,
          file,
          BigInt(from),
        );
        return got === target;
      } finally {
        closeSync(file);
      }
    },
  };
}
