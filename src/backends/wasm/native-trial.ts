// Tries machine code against WebAssembly, as programs of products in a memory of their own: whether both give the same bits, and which is
// faster. Machine code is switched on and off by the word that kernels look at (NATIVE), so that all is as in a model.

import type { LeafSpec } from "../backend.ts";
import { Graph, layoutOf } from "../../graph/graph.ts";
import { makePlan } from "../../graph/plan.ts";
import { linear } from "../../ops/linear.ts";
import type { OpenLibrary } from "../native/open-library.ts";
import type { Features } from "./features.ts";
import { NATIVE } from "./kernels/header.ts";
import { ShardedMemory } from "./memory.ts";
import type { NativeFamily } from "./native-families.ts";
import { WasmProgram } from "./program.ts";
import { makeControl, Team } from "./threads.ts";

/** The kernels of this machine, see checkedKernels. */
export type Checked = { readonly module: WebAssembly.Module; readonly features: Features };

/** Rows for which bits are compared: many, few and one, with a rest in every tile. */
const ROWS = [29, 13, 5, 1];
/** Columns and rows of the weights: whole blocks of 256, with a rest in every tile of columns; then what no block divides. */
const SHAPES = [
  { K: 512, O: 72 },
  { K: 300, O: 75 },
];
/** Of the weight of the product that is timed: it stays in a processor's second-level cache. */
const TIMED = { K: 512, O: 512 };
/**
 * A product is timed ROUNDS times at least, until WebAssembly's best time has not improved for STEADY_MS, since V8 optimises its kernels
 * meanwhile; but not for longer than MOST_MS.
 */
const [ROUNDS, STEADY_MS, MOST_MS] = [6, 6, 50];
/** A time counts as an improvement if it is below this share of the best. */
const IMPROVED = 0.97;
/** Bytes of the memory. */
const BYTES = 2 ** 24;

export class NativeTrial {
  readonly #memory: ShardedMemory;
  readonly #team: Team;
  readonly #random = new Random();

  constructor({ module, features }: Checked, sums32: boolean, library: OpenLibrary) {
    this.#memory = new ShardedMemory({
      ...{ shared: true, threads: 1, wide: features.wideVectors, sums32 },
      machineCode: { families: 0, addressOf: library.addressOf },
      maxima: { perMemory: BYTES, total: BYTES },
    });
    this.#team = new Team(module, makeControl(1), 1, library.native);
  }

  /** Whether a family's products have the bits that WebAssembly gives. */
  async givesSameBits({ bit, dtypes }: NativeFamily): Promise<boolean> {
    for (const { K, O } of SHAPES) {
      const usable = dtypes.filter((dtype) => K % 256 === 0 || !isOf256(dtype));
      const [most] = ROWS;
      const { program, outputs } = this.#products(usable, most, K, O);
      for (const rows of ROWS) {
        // Other numbers each time, and machine code first: what it does not write is seen, as the results before lie in its place.
        const x = this.#random.activations(rows, K);
        const live = { rows, wanted: 0 };
        this.#use(bit);
        const got = await program.submit({ x }, live, outputs);
        this.#use(0);
        const expected = await program.submit({ x }, live, outputs);
        if (!outputs.every((i) => sameBits(got[i], expected[i]))) return false;
      }
      program.dispose();
    }
    return true;
  }

  /** How many times as fast as WebAssembly a family is. */
  async speedup({ bit, timed }: NativeFamily): Promise<number> {
    const { K, O } = TIMED;
    const { program } = this.#products([timed.dtype], timed.rows, K, O);
    const x = this.#random.activations(timed.rows, K);
    const time = async (families: number): Promise<number> => {
      this.#use(families);
      const begin = performance.now();
      await program.submit({ x }, { rows: timed.rows, wanted: 0 }, []);
      return performance.now() - begin;
    };
    let [wasm, native] = [Infinity, Infinity];
    const begin = performance.now();
    let [now, improved] = [begin, begin];
    for (let round = 0; round < ROUNDS || now - improved < STEADY_MS; round++) {
      native = Math.min(native, await time(bit));
      const took = await time(0);
      now = performance.now();
      if (took < IMPROVED * wasm) improved = now;
      wasm = Math.min(wasm, took);
      if (now - begin > MOST_MS) break;
    }
    program.dispose();
    return wasm / native;
  }

  /** A program of products of the same x with a weight of each dtype. */
  #products(
    dtypes: readonly string[],
    rows: number,
    K: number,
    O: number,
  ): { program: WasmProgram; outputs: number[] } {
    const graph = new Graph();
    const x = graph.leaf("x", "input", [rows, K], "f32", "rows");
    const leaves = dtypes.map((dtype): LeafSpec => ({
      ...{ name: `${dtype} ${O} × ${K}`, kind: "weight", shape: [O, K] },
      ...{ dtype: layoutOf(dtype), regions: [] },
    }));
    this.#memory.place(leaves);
    const products = leaves.map(({ name, shape }, i) => {
      const { spec, places } = this.#memory.leaf(name);
      this.#memory.views(spec, places[0]).forEach((part, n) => this.#random.weights(part, n));
      return linear(x, graph.leaf(name, "weight", shape, dtypes[i]));
    });
    const program = new WasmProgram(makePlan(graph, products), this.#memory, this.#team);
    return { program, outputs: [...products.keys()] };
  }

  #use(families: number): void {
    this.#memory.shards[0].words(NATIVE, 1)[0] = families;
  }
}

/** Formats whose rows are whole blocks of 256 numbers. */
const isOf256 = (dtype: string): boolean => /^q[46]k/.test(dtype);

/** Whether the numbers are the same bit for bit; any NaN is as good as another. */
function sameBits(a: Float32Array, b: Float32Array): boolean {
  const [bitsA, bitsB] = [a, b].map(
    ({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length),
  );
  return bitsA.every((bits, i) => bits === bitsB[i] || (Number.isNaN(a[i]) && Number.isNaN(b[i])));
}

/** Numbers that are the same each time: Marsaglia's xorshift (Journal of Statistical Software 8, 2003). */
class Random {
  #state = 1;

  /** Any whole number of 32 bits but 0. */
  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x;
  }

  /** Rows of numbers of different size; the third is zero, and the fourth and fifth hold a NaN and an infinity. */
  activations(rows: number, K: number): Float32Array {
    const x = new Float32Array(rows * K);
    for (let i = 0; i < x.length; i++) x[i] = (this.#next() / 2 ** 31) * 2 ** (((i >> 5) % 9) - 6);
    if (rows > 4) {
      x.fill(0, 2 * K, 3 * K);
      x[3 * K + 5] = Number.NaN;
      x[5 * K - 1] = Infinity;
    }
    return x;
  }

  /** Any codes and scales of a weight's part. Any two neighbouring bytes of the first part are a finite f16; others hold f32. */
  weights(part: Uint8Array, n: number): void {
    if (n > 0) {
      const numbers = new Float32Array(part.buffer, part.byteOffset, part.length / 4);
      for (let i = 0; i < numbers.length; i++) numbers[i] = this.#next() * 2 ** -40;
      return;
    }
    for (let i = 0; i < part.length; i++) {
      const byte = this.#next() >>> 24;
      part[i] = (byte & 0x7c) === 0x7c ? byte & 0xbf : byte;
    }
  }
}
