// Tries machine code against WebAssembly, in programs with a memory of their own: whether both give the same bits, and which is faster.
// Machine code is switched on and off by the word that kernels look at (NATIVE), so that all is as in a model.

import type { OpenLibrary } from "../native/open-library.ts";
import type { Features } from "./features.ts";
import { NATIVE } from "./kernels/header.ts";
import { ShardedMemory } from "./memory.ts";
import type { NativeFamily } from "./native-families.ts";
import { makeControl, Team } from "./threads.ts";
import { type TrialProgram, TrialPrograms } from "./trial-programs.ts";

/** The kernels of this machine, see checkedKernels. */
export type Checked = { readonly module: WebAssembly.Module; readonly features: Features };

/** Rows for which bits are compared: many, with a rest in every tile; a whole tile; few, two and one, each of which has a way of its own. */
const ROWS = [29, 12, 5, 2, 1];
/**
 * A program is timed ROUNDS times at least, until WebAssembly's best time has not improved for STEADY_MS, since V8 optimises its kernels
 * meanwhile; but not for longer than MOST_MS.
 */
const [ROUNDS, STEADY_MS, MOST_MS] = [6, 6, 50];
/** A time counts as an improvement if it is below this share of the best. */
const IMPROVED = 0.97;
/** Bytes of the memory. */
const BYTES = 2 ** 24;

export class NativeTrial {
  readonly #memory: ShardedMemory;
  readonly #programs: TrialPrograms;

  constructor({ module, features }: Checked, sums32: boolean, library: OpenLibrary) {
    this.#memory = new ShardedMemory({
      ...{ shared: true, threads: 1, wide: features.wideVectors, sums32 },
      machineCode: { families: 0, addressOf: library.addressOf },
      maxima: { perMemory: BYTES, total: BYTES },
    });
    const team = new Team(module, makeControl(1), 1, library.native);
    this.#programs = new TrialPrograms(this.#memory, team, Math.max(...ROWS));
  }

  /** Whether a family's results have the bits that WebAssembly gives. @throws EngineError a kernel failed */
  async givesSameBits({ bit, tried }: NativeFamily): Promise<boolean> {
    for (const compared of this.#programs.compared(tried)) {
      try {
        for (const rows of ROWS) if (!(await this.#isSame(bit, compared, rows))) return false;
      } finally {
        compared.program.dispose();
      }
    }
    return true;
  }

  async #isSame(
    bit: number,
    { program, outputs, inputs }: TrialProgram,
    rows: number,
  ): Promise<boolean> {
    // Other numbers each time, and machine code first: what it does not write is seen, as the results before lie in its place.
    const data = inputs(rows);
    const live = { rows, wanted: 0 };
    this.#use(bit);
    const got = await program.submit(data, live, outputs);
    this.#use(0);
    const expected = await program.submit(data, live, outputs);
    return outputs.every((i) => sameBits(got[i], expected[i]));
  }

  /** How many times as fast as WebAssembly a family is. @throws EngineError a kernel failed */
  async speedup({ bit, tried }: NativeFamily): Promise<number> {
    const { program, inputs } = this.#programs.timed(tried);
    const { rows } = tried.timed;
    const data = inputs(rows);
    const time = async (families: number): Promise<number> => {
      this.#use(families);
      const begin = performance.now();
      await program.submit(data, { rows, wanted: 0 }, []);
      return performance.now() - begin;
    };
    try {
      return await ratioOfBest(
        () => time(0),
        () => time(bit),
      );
    } finally {
      program.dispose();
    }
  }

  #use(families: number): void {
    this.#memory.shards[0].words(NATIVE, 1)[0] = families;
  }
}

/** How many times as long WebAssembly takes: the best times of both, which take turns. */
async function ratioOfBest(
  timeWasm: () => Promise<number>,
  timeNative: () => Promise<number>,
): Promise<number> {
  let [wasm, native] = [Infinity, Infinity];
  const begin = performance.now();
  let [now, improved] = [begin, begin];
  for (let round = 0; round < ROUNDS || now - improved < STEADY_MS; round++) {
    native = Math.min(native, await timeNative());
    const took = await timeWasm();
    now = performance.now();
    if (took < IMPROVED * wasm) improved = now;
    wasm = Math.min(wasm, took);
    if (now - begin > MOST_MS) break;
  }
  return wasm / native;
}

/** Whether the numbers are the same bit for bit; any NaN is as good as another. */
function sameBits(a: Float32Array, b: Float32Array): boolean {
  const [bitsA, bitsB] = [a, b].map(
    ({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length),
  );
  return bitsA.every((bits, i) => bits === bitsB[i] || (Number.isNaN(a[i]) && Number.isNaN(b[i])));
}
