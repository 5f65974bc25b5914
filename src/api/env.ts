// Settings that belong to the process, not to one call, and the check of what a user may have set. Knows no model.

export { offlineVariable } from "../hub/settings.ts";
import type { WebFetch } from "#platform";
import { InputError } from "../errors.ts";
import { showValue } from "../show-value.ts";
import type { HubDefaults } from "../hub/settings.ts";

/** Settings of the process. Set them before the first model is loaded. */
export const env: {
  /**
   * Sends the requests to the hub in place of the runtime's own client: a function like the global `fetch`, which gets an address and
   * `{ method, headers, redirect: "manual", signal }`. Default: none; the own client uses HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
   */
  fetch: WebFetch | undefined;
  /** The folder of the cache of downloaded models. Default: HF_HUB_CACHE, else the folder `hub` in HF_HOME, else `~/.cache/huggingface/hub`. */
  cacheDir: string | undefined;
  /** The address of the hub. Default: HF_ENDPOINT, else "https://huggingface.co". */
  hubEndpoint: string | undefined;
  /** Whether no connection is ever opened. Default: whether HF_HUB_OFFLINE is set. */
  offline: boolean | undefined;
  /**
   * Whether the CPU backend may compute with machine code of its own where WebAssembly has no instructions for what the processor can do
   * (vectors of 512 bits). "auto": on Linux with an x64 processor and Node 26.1 or later, for the kernels that gain; elsewhere, and for
   * all other kernels, WebAssembly computes, with the same bits. false: never.
   *
   * What it does to the process: when the first model is loaded, TypeScript code of this package writes the instructions into a file that
   * only memory holds (`memfd_create`), and the system's loader opens it as a shared library, by `node:ffi`. Nothing is downloaded,
   * installed or compiled by another program, and nothing is written to a disk. No page of memory is ever writable and executable at
   * once, and the file is sealed against changes. Before it is used, its results are compared bit for bit with those of WebAssembly, and
   * its speed is measured (some 100 ms, once a process). Under Node's `--permission` it needs `--allow-ffi`.
   *
   * What it gives: on processors with AVX-512 VNNI, prompts of quantised models are read faster (bench/RESULTS.md); `mistral doctor` names
   * the kernels, or says why there are none.
   *
   * Default "auto".
   */
  native: "auto" | false;
  /** Settings of the CPU backend, which is WebAssembly, and machine code where `native` allows it. */
  wasm: {
    /**
     * Lets V8 join pairs of 128-bit operations in kernels to 256-bit ones (Node's `--experimental-wasm-revectorize`): prefill becomes
     * up to 1.9 times faster, results stay the same bit for bit. It is a flag of the whole process, so the library does not set it
     * unless asked; the command `mistral` does. Default false.
     */
    revectorize: boolean;
    /** How many threads compute unless from_pretrained is told. Default: the number of physical cores. */
    threads: number | undefined;
    /**
     * Bytes of addresses that the WebAssembly memories of a model may reserve: each of them (at most 4 GiB), and all together.
     * What is reserved takes no memory before it is used, but a page of a browser, or a process with a limit, has few addresses.
     * Where the system refuses a memory, a smaller one is tried. Default: what the platform says (on Node: 4 GiB each, all that
     * `ulimit -v` leaves together).
     */
    addressSpace: { perMemory: number | undefined; total: number | undefined };
  };
} = {
  fetch: undefined,
  cacheDir: undefined,
  hubEndpoint: undefined,
  offline: undefined,
  native: "auto",
  wasm: {
    revectorize: false,
    threads: undefined,
    addressSpace: { perMemory: undefined, total: undefined },
  },
};

/** What `env` says of the hub. @throws InputError a value of the wrong type */
export function hubDefaults(): HubDefaults {
  const { fetch, cacheDir, hubEndpoint, offline } = env;
  const check = (name: keyof HubDefaults, type: "function" | "string" | "boolean"): void => {
    const value = env[name];
    if (value === undefined || typeof value === type) return;
    throw new InputError(`env.${name}: ${typeof value}: expected a ${type}, or undefined`);
  };
  check("fetch", "function");
  check("cacheDir", "string");
  check("hubEndpoint", "string");
  check("offline", "boolean");
  return { fetch, cacheDir, hubEndpoint, offline };
}

/** What `env.wasm.addressSpace` sets. @throws InputError a value that is no number of bytes */
export function addressSpace(): { perMemory?: number; total?: number } {
  const given = Object.entries(env.wasm.addressSpace ?? {}).filter(
    ([, bytes]) => bytes !== undefined,
  );
  for (const [name, bytes] of given) {
    if (typeof bytes === "number" && bytes > 0) continue;
    throw new InputError(
      `env.wasm.addressSpace.${name}: ${String(bytes)}: expected a number of bytes, such as 2 ** 30`,
    );
  }
  return Object.fromEntries(given);
}

/** Whether machine code may be used, as `env.native` says. @throws InputError another value */
export function allowsMachineCode(): boolean {
  const native: unknown = env.native;
  if (native === "auto") return true;
  if (native === false) return false;
  throw new InputError(`env.native: ${showValue(native)}: expected "auto" or false`);
}
