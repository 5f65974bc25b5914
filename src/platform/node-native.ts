// System calls for memory, by node:ffi (Node 26.1 and later): large pages, and files mapped into a WebAssembly memory.
// All of it is optional: there is no NativeMemory where node:ffi is missing or not permitted, and a call gives false where the system
// refuses. Knows nothing of what lies in the memories.

import { closeSync, openSync } from "node:fs";
import { type Ffi, loadFfi } from "./node-ffi.ts";

/** What the system offers on memory. Buffers are WebAssembly memories, which never move. */
export type NativeMemory = {
  /**
   * Asks for pages of 2 MiB in bytes [from, to), both multiples of MAP_UNIT: reading much memory then has fewer TLB misses.
   * Not for mapped files: the system would read them 2 MiB at a time, without reading ahead.
   */
  useLargePages(buffer: ArrayBufferLike, from: number, to: number): boolean;
  /** Asks for small pages in bytes [from, to), both multiples of MAP_UNIT, even if the system's default is large ones. */
  useSmallPages(buffer: ArrayBufferLike, from: number, to: number): boolean;
  /**
   * How many bytes after a multiple of 2 MiB a memory begins. A piece of a file that lies as far from such a multiple can be mapped in
   * large pages.
   */
  largePagePhase(buffer: ArrayBufferLike): number;
  /**
   * Maps bytes [from, from + bytes) of a file at `offset`: the system reads them when they are first touched, and never writes them
   * back. `offset` and `from` must be multiples of MAP_UNIT. What the memory held there is lost.
   */
  mapFile(
    buffer: ArrayBufferLike,
    offset: number,
    path: string,
    from: number,
    bytes: number,
  ): boolean;
  /** Unmaps bytes [offset, offset + bytes), both multiples of MAP_UNIT: they are zero again, and take memory when touched. */
  unmap(buffer: ArrayBufferLike, offset: number, bytes: number): boolean;
};

/** Offsets of mappings, in bytes, must be multiples of it. */
export const MAP_UNIT = 16384;

/** Bytes of a large page. */
export const LARGE_PAGE: number = 2 * 2 ** 20;

const READ_WRITE = 3;
const PRIVATE_FIXED = 0x12;
const ANONYMOUS = 0x20;
const HUGEPAGE = 14;
const NO_HUGEPAGE = 15;

let found: Promise<NativeMemory | undefined> | undefined;

/** The system calls, or undefined where they are not available. */
export function nativeMemory(): Promise<NativeMemory | undefined> {
  return (found ??= findNative());
}

async function findNative(): Promise<NativeMemory | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    return bind(await loadFfi());
  } catch {
    return undefined; // an older Node, or the permission model: everything works without
  }
}

function bind(ffi: Ffi): NativeMemory {
  const { functions } = ffi.dlopen(null, {
    mmap: { arguments: ["pointer", "u64", "i32", "i32", "i32", "i64"], return: "pointer" },
    madvise: { arguments: ["pointer", "u64", "i32"], return: "i32" },
  });
  const address = (buffer: ArrayBufferLike): bigint => ffi.getRawPointer(buffer as ArrayBuffer);
  return {
    useLargePages: (buffer, from, to) =>
      functions.madvise(address(buffer) + BigInt(from), BigInt(to - from), HUGEPAGE) === 0,

    useSmallPages: (buffer, from, to) =>
      functions.madvise(address(buffer) + BigInt(from), BigInt(to - from), NO_HUGEPAGE) === 0,

    largePagePhase: (buffer) => Number(address(buffer) % BigInt(LARGE_PAGE)),

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

    unmap(buffer, offset, bytes) {
      const target = address(buffer) + BigInt(offset);
      const flags = PRIVATE_FIXED | ANONYMOUS;
      return functions.mmap(target, BigInt(bytes), READ_WRITE, flags, -1, 0n) === target;
    },
  };
}
