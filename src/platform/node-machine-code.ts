// Machine code in this process, on Linux with an x64 processor, by node:ffi: a shared library in a file that only memory holds, which the
// system's loader maps as it maps any library. No page is ever writable and executable at once, and once written the file cannot be
// changed. What is not available is an error that says why. Knows nothing of what the code does.

import { writeSync } from "node:fs";
import { EngineError } from "../errors.ts";
import { type Ffi, loadFfi } from "./node-ffi.ts";

/** A function of a library with the C signature `void f(double)`. Fast: some 5 ns from WebAssembly. */
export type NativeFunction = (argument: number) => void;

export type MachineCode = {
  /**
   * Keeps a shared library (the bytes of an ELF file) in memory, until the process ends.
   * @returns its path, by which every thread of this process can open it
   * @throws EngineError the system has no such file for us, or a limit (ulimit -f) is smaller than the library
   */
  keepLibrary(bytes: Uint8Array): string;
  /** A function of a library. @throws EngineError the system's loader refuses the library, or has no such function in it */
  openFunction(path: string, name: string): NativeFunction;
  /** The address of a buffer that never moves, such as a shared WebAssembly memory's. */
  addressOf(buffer: ArrayBufferLike): number;
  /**
   * Asks the system to let all threads of this process use AMX's tiles. From then on every signal needs 8 KB more of a stack, so it is
   * asked only for code that uses them. @returns whether they may
   */
  allowTiles(): boolean;
};

/** What the search depends on. Default: this process. Tests give others. */
export type Runtime = {
  readonly platform: string;
  readonly arch: string;
  readonly ffi: () => Promise<Ffi>;
};

// Numbers of Linux.
const [MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_EXEC] = [1, 2, 16];
const [SYS_CLOSE, SYS_FCNTL, SYS_ARCH_PRCTL] = [3n, 72n, 158n];
const [F_ADD_SEALS, F_GET_SEALS] = [1033n, 1034n];
/** Against writing, growing, shrinking, and other seals. */
const SEALS = 0b1111n;
/** Against making the file executable. The loader would map it all the same. */
const F_SEAL_EXEC = 0x20n;
const [ARCH_REQ_XCOMP_PERM, TILE_DATA] = [0x1023n, 18n];

let found: Promise<MachineCode> | undefined;

/** @throws EngineError (the promise rejects) there is no machine code in this process; the message says why */
export function machineCode(): Promise<MachineCode> {
  return (found ??= findMachineCode(process));
}

/** For machineCode, and for its tests. @throws EngineError */
export async function findMachineCode({
  platform,
  arch,
  ffi = loadFfi,
}: Omit<Runtime, "ffi"> & Partial<Pick<Runtime, "ffi">>): Promise<MachineCode> {
  if (platform !== "linux") {
    throw new EngineError(`machine code is made for Linux only; this system is ${platform}`);
  }
  if (arch !== "x64") {
    throw new EngineError(`machine code is made for x64 processors only; this one is ${arch}`);
  }
  return bind(await ffi());
}

function bind(ffi: Ffi): MachineCode {
  const { memfd_create, syscall } = systemCalls(ffi);
  return {
    keepLibrary(bytes) {
      const file = executableFile(memfd_create, syscall);
      try {
        write(file, bytes);
        if (syscall(SYS_FCNTL, BigInt(file), F_ADD_SEALS, SEALS) !== 0n)
          throw new EngineError("the system does not seal a file in memory against changes");
      } catch (error) {
        close(file, syscall);
        throw error;
      }
      // It stays open: the loader knows a library by its path, and would take another file of the same number for it.
      return `/proc/self/fd/${file}`;
    },

    openFunction(path, name) {
      try {
        const signature = { arguments: ["f64"], return: "void" } as const;
        const { lib, functions } = ffi.dlopen(path, { [name]: signature });
        opened.push(lib);
        return functions[name];
      } catch (cause) {
        throw new EngineError(`the system's loader refuses the machine code (${textOf(cause)})`, {
          cause,
        });
      }
    },

    addressOf: (buffer) => Number(ffi.getRawPointer(buffer as ArrayBuffer)),

    allowTiles: () => syscall(SYS_ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, TILE_DATA, 0n) === 0n,
  };
}

/** @returns the number of a new file in memory that may hold code @throws EngineError the system gives none */
function executableFile(
  memfd_create: SystemCalls["memfd_create"],
  syscall: SystemCalls["syscall"],
): number {
  const make = (flags: number): number =>
    memfd_create("mistral-kernels", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
  const executable = make(MFD_EXEC);
  if (executable >= 0) return executable;
  // Kernels before 6.3 do not know MFD_EXEC, and every file may hold code. Later ones can be set to refuse it; they then give a file
  // that must not, which its seals say.
  const file = make(0);
  if (file >= 0) {
    const seals = syscall(SYS_FCNTL, BigInt(file), F_GET_SEALS, 0n);
    if (seals >= 0n && (seals & F_SEAL_EXEC) === 0n) return file;
    close(file, syscall);
  }
  throw new EngineError(
    "the system gives no executable file in memory (memfd_create): sysctl vm.memfd_noexec, a limit or a sandbox forbids it",
  );
}

/** @throws EngineError the system does not take all of it, as where a limit on the size of files is smaller (ulimit -f) */
function write(file: number, bytes: Uint8Array): void {
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
  } catch (cause) {
    const what = `${bytes.length} bytes of machine code into a file in memory`;
    throw new EngineError(`the system does not write ${what} (${textOf(cause)})`, { cause });
  }
}

/** Not by node:fs: in a worker it warns of a file that it has not opened itself. */
function close(file: number, syscall: SystemCalls["syscall"]): void {
  syscall(SYS_CLOSE, BigInt(file), 0n, 0n);
}

/** Libraries whose functions may be called for as long as this thread runs. */
const opened: unknown[] = [];

type SystemCalls = {
  readonly memfd_create: (name: string, flags: number) => number;
  readonly syscall: (number: bigint, a: bigint, b: bigint, c: bigint) => bigint;
};

function systemCalls(ffi: Ffi): SystemCalls {
  try {
    return ffi.dlopen(null, {
      memfd_create: { arguments: ["string", "u32"], return: "i32" },
      syscall: { arguments: ["i64", "i64", "i64", "i64"], return: "i64" },
    }).functions;
  } catch (cause) {
    const isForbidden =
      cause instanceof Error && "code" in cause && cause.code === "ERR_ACCESS_DENIED";
    throw new EngineError(
      isForbidden
        ? "Node runs with --permission, which forbids calls of C functions; add --allow-ffi to its flags"
        : `the system's C library lacks what is needed (${textOf(cause)})`,
      { cause },
    );
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
