// One thread of a measurement of this machine. All threads do the same work at the same time, since they share the memory bus; each has
// memory of its own. It posts the rates that it reached; then the thread that started it terminates it.

import { type MachineCode, machineCode, parent } from "#platform";
import { type LimitKind, operationsOfTurn } from "../backends/native/limits.ts";
import { instantiate, type Kernels } from "../backends/wasm/kernel-module.ts";

/** What a probe is started with. */
export type ProbeData = {
  readonly module: WebAssembly.Module;
  readonly sharedMemory: boolean;
  /** One word of 4 bytes, on which the threads wait for each other before each round; shared if there are several. */
  readonly meeting: ArrayBufferLike;
  readonly threads: number;
  /** The path of the library of limits.ts, and what of it is measured; not given: no machine code is measured. */
  readonly native?: { readonly path: string; readonly kinds: readonly LimitKind[] };
};

/** What one thread reached per second: a number for each round. */
export type ProbeRates = {
  /** Bytes read from memory. */
  readonly read: readonly number[];
  /** Operations on 8-bit integers, a product or an addition each: with sums of 16 bits, with 12 sums of 32 bits, and with 24. */
  readonly int8: readonly number[];
  readonly int8Of12: readonly number[];
  readonly int8Of24: readonly number[];
  /** The same operations on float32. */
  readonly f32: readonly number[];
  /** By machine code, where it computes such products. */
  readonly native: Readonly<Partial<Record<LimitKind, readonly number[]>>>;
};

/** Byte addresses in the thread's memory. */
const [RESULT, OPERANDS, MEMORY] = [65_536, 131_072, 262_144];
/** What a thread reads: 64 MiB, more than any processor's cache holds. */
const BYTES = 64 * 2 ** 20;
/** Of WebAssembly: 64 KiB each. */
const PAGES = (MEMORY + BYTES) / 65_536;
/** How often a kernel repeats its operations in one call. */
const TURNS = 4096;
/** Milliseconds of warming up, after which V8 has optimised a kernel, and of one round. */
const [WARM, ROUND] = [30, 25];
const ROUNDS = 3;

const { data, post } = await parent();
const start = data as ProbeData;
post(measure(start, start.native && { ...start.native, machine: await machineCode() }));

/** What of machine code is measured, and how it is opened. */
type NativeProbe = NonNullable<ProbeData["native"]> & { readonly machine: MachineCode };

function measure(
  { module, sharedMemory, meeting, threads }: ProbeData,
  native: NativeProbe | undefined,
): ProbeRates {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: sharedMemory });
  const kernels = instantiate(module, memory);
  // The system backs pages that were never written by one page of zeros, which stays in the processor's cache.
  new Uint8Array(memory.buffer).fill(1);
  let meetings = 0;
  const meet = (): void => {
    const word = new Int32Array(meeting);
    const all = ++meetings * threads;
    Atomics.add(word, 0, 1);
    Atomics.notify(word, 0);
    for (let came = Atomics.load(word, 0); came < all; came = Atomics.load(word, 0)) {
      Atomics.wait(word, 0, came, 100);
    }
  };
  const rounds = (work: () => number): number[] => {
    rate(work, WARM);
    return Array.from({ length: ROUNDS }, () => {
      meet();
      return rate(work, ROUND);
    });
  };
  const dots = (name: "probe_int8" | "probe_int8_12" | "probe_int8_24"): number[] =>
    rounds(() => {
      kernels[name](RESULT, OPERANDS, TURNS);
      return 2 * TURNS * Number(kernels[`${name}_products`]());
    });
  const byMachineCode = ({ machine, path }: NativeProbe, kind: LimitKind): number[] => {
    const run = machine.openFunction(path, kind);
    const words = new BigInt64Array(new SharedArrayBuffer(8));
    const address = machine.addressOf(words.buffer);
    return rounds(() => {
      words[0] = BigInt(TURNS); // here, since an address alone does not keep the array from being freed
      run(address);
      return TURNS * operationsOfTurn(kind);
    });
  };
  return {
    read: rounds(reader(kernels)),
    int8: dots("probe_int8"),
    int8Of12: dots("probe_int8_12"),
    int8Of24: dots("probe_int8_24"),
    f32: rounds(() => {
      kernels.probe_f32(RESULT, OPERANDS, TURNS);
      return 2 * TURNS * 40;
    }),
    native:
      native === undefined
        ? {}
        : Object.fromEntries(native.kinds.map((kind) => [kind, byMachineCode(native, kind)])),
  };
}

/** Reads the memory in pieces of 4 MiB, which take some tenths of a millisecond each. */
function reader(kernels: Kernels): () => number {
  const piece = 2 ** 22;
  let at = 0;
  return () => {
    kernels.probe_read(RESULT, MEMORY + at, piece);
    at = (at + piece) % BYTES;
    return piece;
  };
}

function rate(work: () => number, milliseconds: number): number {
  const begin = performance.now();
  let done = 0;
  let passed = 0;
  while (passed < milliseconds) {
    done += work();
    passed = performance.now() - begin;
  }
  return (done / passed) * 1000;
}
