// Tries machine code against WebAssembly, as programs of products in a memory of their own: whether both give the same bits, and which is
// faster. Machine code is switched on and off by the word that kernels look at (NATIVE), so that all is as in a model.

import type { LeafSpec } from "../backend.ts";
import { weightDType } from "../../formats/registry.ts";
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
/** Columns and rows of the weights: blocks of 256, of 64, and what no block divides; with a rest in every tile of columns. */
const SHAPES = [
  { K: 512, O: 72 },
  { K: 192, O: 75 },
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
/** Families of formats that hold plain numbers. */
const PLAIN = ["f32", "bf16", "f16"];
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
  async givesSameBits({ bit, products }: NativeFamily): Promise<boolean> {
    for (const { K, O } of SHAPES) {
      const dtypes = products.filter(({ step }) => K % step === 0).map(({ dtype }) => dtype);
      const [most] = ROWS;
      const { program, outputs } = this.#products(dtypes, most, K, O);
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
      this.#random.weights(this.#memory.views(spec, places[0]), dtypes[i], O, K);
      return linear(x, graph.leaf(name, "weight", shape, dtypes[i]));
    });
    const program = new WasmProgram(makePlan(graph, products), this.#memory, this.#team);
    return { program, outputs: [...products.keys()] };
  }

  #use(families: number): void {
    this.#memory.shards[0].words(NATIVE, 1)[0] = families;
  }
}

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

  /** Numbers of different sizes. */
  numbers(count: number): Float32Array {
    const x = new Float32Array(count);
    for (let i = 0; i < count; i++) x[i] = (this.#next() / 2 ** 31) * 2 ** (((i >> 5) % 9) - 6);
    return x;
  }

  /** Rows of numbers; the third is zero, and the fourth and fifth hold a NaN and an infinity. */
  activations(rows: number, K: number): Float32Array {
    const x = this.numbers(rows * K);
    if (rows > 4) {
      x.fill(0, 2 * K, 3 * K);
      x[3 * K + 5] = Number.NaN;
      x[5 * K - 1] = Infinity;
    }
    return x;
  }

  /** Any plain numbers; or any codes, where two neighbouring bytes are a finite f16, and then scales in f32. */
  weights(parts: readonly Uint8Array[], dtype: string, O: number, K: number): void {
    const { format } = weightDType(dtype);
    if (PLAIN.includes(format.family)) {
      const packer = format.packer?.(parts, { rows: O, columns: K });
      packer?.rows(this.numbers(O * K), 0, O);
      return;
    }
    const [codes, ...scales] = parts;
    for (let i = 0; i < codes.length; i++) {
      const byte = this.#next() >>> 24;
      codes[i] = (byte & 0x7c) === 0x7c ? byte & 0xbf : byte;
    }
    for (const { buffer, byteOffset, length } of scales) {
      const numbers = new Float32Array(buffer, byteOffset, length >> 2);
      for (let i = 0; i < numbers.length; i++) numbers[i] = this.#next() * 2 ** -40;
    }
  }
}
