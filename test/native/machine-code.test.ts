// Where there is no machine code, an error says why: systems and runtimes that lack something, simulated; and flags of Node, in processes
// of their own.

import { closeSync, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { machineCode } from "#platform";
import { keepKernels } from "../../src/backends/native/library.ts";
import { openLibrary } from "../../src/backends/native/open-library.ts";
import { EngineError } from "../../src/errors.ts";
import { type Ffi } from "../../src/platform/node-ffi.ts";
import { findMachineCode } from "../../src/platform/node-machine-code.ts";
import { type Finished, root, run } from "../package/command.ts";
import { onlyWith } from "./has.ts";

/** A C library: `memfd_create` and `syscall` give what the test says. */
function ffiWith(functions: {
  memfd_create?: (name: string, flags: number) => number;
  syscall?: (...args: bigint[]) => bigint;
  dlopen?: () => never;
}): () => Promise<Ffi> {
  const { dlopen = () => ({ functions }) } = functions;
  return async () => ({ dlopen }) as unknown as Ffi;
}

/** System calls on a file: `close`, and `fcntl` with that result for each of its commands (1033 adds seals, 1034 asks for them). */
const fileCalls =
  (results: Readonly<Record<number, bigint>>) =>
  (number: bigint, file: bigint, command: bigint): bigint => {
    if (number === 72n) return results[Number(command)];
    expect(number).toBe(3n);
    closeSync(Number(file));
    return 0n;
  };

const linux = { platform: "linux", arch: "x64" };
const why = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.catch((e: unknown) => e);
  expect(error).toBeInstanceOf(EngineError);
  return (error as EngineError).message;
};

describe("the reason", () => {
  test("another system, another processor", async () => {
    expect(await why(findMachineCode({ platform: "darwin", arch: "x64" }))).toBe(
      "machine code is made for Linux only; this system is darwin",
    );
    expect(await why(findMachineCode({ platform: "linux", arch: "arm64" }))).toBe(
      "machine code is made for x64 processors only; this one is arm64",
    );
  });

  test("no node:ffi", async () => {
    const ffi = async (): Promise<never> => {
      throw new EngineError("this runtime has no node:ffi");
    };
    expect(await why(findMachineCode({ ...linux, ffi }))).toBe("this runtime has no node:ffi");
  });

  test("--permission", async () => {
    const dlopen = (): never => {
      throw Object.assign(new Error("Access to this API has been restricted"), {
        code: "ERR_ACCESS_DENIED",
      });
    };
    expect(await why(findMachineCode({ ...linux, ffi: ffiWith({ dlopen }) }))).toBe(
      "Node runs with --permission, which forbids calls of C functions; add --allow-ffi to its flags",
    );
  });

  test("a C library without memfd_create", async () => {
    const dlopen = (): never => {
      throw new Error("undefined symbol: memfd_create");
    };
    expect(await why(findMachineCode({ ...linux, ffi: ffiWith({ dlopen }) }))).toBe(
      "the system's C library lacks what is needed (undefined symbol: memfd_create)",
    );
  });
});

test.each([
  [0n, true],
  [-1n, false],
])("AMX's tiles: arch_prctl gives %s", async (result, allowed) => {
  const calls: bigint[][] = [];
  const syscall = (...args: bigint[]): bigint => {
    calls.push(args);
    return result;
  };
  const machine = await findMachineCode({ ...linux, ffi: ffiWith({ syscall }) });
  expect(machine.allowTiles()).toBe(allowed);
  expect(calls).toEqual([[158n, 0x1023n, 18n, 0n]]); // ARCH_REQ_XCOMP_PERM, tile data
});

describe("a file in memory", () => {
  test("is asked for as executable, then without that word, which older kernels do not know", async () => {
    const asked: number[] = [];
    const memfd_create = (_: string, flags: number): number => {
      asked.push(flags);
      return -1;
    };
    const machine = await findMachineCode({ ...linux, ffi: ffiWith({ memfd_create }) });
    expect(() => machine.keepLibrary(new Uint8Array(1))).toThrow(
      /^the system gives no executable file in memory \(memfd_create\): sysctl vm.memfd_noexec/,
    );
    expect(asked).toEqual([1 | 2 | 16, 1 | 2]);
  });

  // What an older kernel gives, and one with vm.memfd_noexec=2, which forbids code in such files.
  test.each([
    ["without seals is used", 0n, true],
    ["sealed against execution is closed and not used", 0x20n, false],
    ["whose other seals are set, and that one", 0x3fn, false],
    ["whose seals the system does not tell", -1n, false],
  ])("a file %s", async (_, seals, isUsed) => {
    const opened: number[] = [];
    const memfd_create = (__: string, flags: number): number => {
      if ((flags & 16) !== 0) return -1; // MFD_EXEC
      opened.push(openSync("/dev/null", "w"));
      return opened[0];
    };
    const ffi = ffiWith({ memfd_create, syscall: fileCalls({ 1033: 0n, 1034: seals }) });
    const machine = await findMachineCode({ ...linux, ffi });
    if (isUsed) {
      expect(machine.keepLibrary(new Uint8Array(1))).toBe(`/proc/self/fd/${opened[0]}`);
      closeSync(opened[0]);
    } else {
      expect(() => machine.keepLibrary(new Uint8Array(1))).toThrow(
        new EngineError(
          "the system gives no executable file in memory (memfd_create): sysctl vm.memfd_noexec, a limit or a sandbox forbids it",
        ),
      );
      expect(() => fstatSync(opened[0])).toThrow(/EBADF/);
    }
  });

  test(
    "that a limit makes too small is an EngineError; a worker prints nothing",
    onlyWith("machine code", async () => {
      const platform = pathToFileURL(join(root, "src/platform/node-machine-code.ts")).href;
      const inWorker = `
import { parentPort } from "node:worker_threads";
import { machineCode } from ${JSON.stringify(platform)};
const machine = await machineCode();
try { machine.keepLibrary(new Uint8Array(2 ** 20)); }
catch ({ name, message }) { parentPort.postMessage(name + ": " + message); }`;

      const program = `
import { Worker } from "node:worker_threads";
new Worker(${JSON.stringify(inWorker)}, { eval: true }).on("message", (text) => console.log(text));`;
      const finished = await run("bash", [
        ...["-c", 'ulimit -f 16 && exec node --input-type=module -e "$1"', "bash", program],
      ]);
      expect(finished).toEqual({
        code: 0,
        stdout:
          "EngineError: the system does not write 1048576 bytes of machine code into a file in memory (EFBIG: file too large, write)\n",
        stderr: "",
      });
    }),
  );

  test("that cannot be sealed is closed and not used", async () => {
    const opened: number[] = [];
    const memfd_create = (): number => {
      const file = openSync("/dev/null", "w");
      opened.push(file);
      return file;
    };
    const ffi = ffiWith({ memfd_create, syscall: fileCalls({ 1033: -1n }) });
    const machine = await findMachineCode({ ...linux, ffi });
    expect(() => machine.keepLibrary(new Uint8Array(1))).toThrow(/does not seal a file in memory/);
    expect(() => fstatSync(opened[0])).toThrow(/EBADF/);
    expect(() => closeSync(opened[0])).toThrow(/EBADF/);
  });
});

test(
  "a library that is opened again takes no file number",
  onlyWith("machine code", async () => {
    const path = keepKernels(await machineCode());
    const nextNumber = (): number => {
      const file = openSync("/dev/null", "r");
      closeSync(file);
      return file;
    };
    const before = nextNumber();
    for (let i = 0; i < 5; i++) await openLibrary(path);
    expect(nextNumber()).toBe(before);
  }),
);

describe("a model", () => {
  const library = pathToFileURL(join(root, "src/index.ts")).href;
  const program = `
import { AutoModelForCausalLM, defaultModel } from ${JSON.stringify(library)};
const model = await AutoModelForCausalLM.from_pretrained(await defaultModel(), { threads: 2, quantization_config: { method: "q4" } });
const out = await model.generate({ input_ids: [[1, 10, 20]], max_new_tokens: 3, do_sample: false });
console.log(out.tolist()[0].join(" "));
await model.dispose();
`;

  test("loads and computes the same where --permission forbids machine code, and where it allows it", async () => {
    const text = (...flags: string[]): Promise<Finished> =>
      run("node", [...flags, "--input-type=module", "-e", program]);
    const [free, forbidden, allowed] = await Promise.all([
      text(),
      text("--permission", "--allow-fs-read=*", "--allow-worker"),
      text("--permission", "--allow-fs-read=*", "--allow-worker", "--allow-ffi"),
    ]);
    expect(free).toMatchObject({ code: 0 });
    expect(free.stderr).toBe("");
    expect(forbidden).toMatchObject({ code: 0, stdout: free.stdout });
    expect(allowed).toMatchObject({ code: 0, stdout: free.stdout });
  });
});
