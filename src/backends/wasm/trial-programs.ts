// The programs in which machine code is tried: products with weights of each format, and attention over caches. Their numbers are the same
// each time. Does not know what is compared or timed.

import type { InputData, LeafSpec } from "../backend.ts";
import { weightDType } from "../../formats/registry.ts";
import { Graph, layoutOf, type Tensor } from "../../graph/graph.ts";
import { makePlan } from "../../graph/plan.ts";
import { PAGE } from "../../ops/kv-append.ts";
import { linear } from "../../ops/linear.ts";
import { pagedAttention } from "../../ops/paged-attention.ts";
import type { ShardedMemory } from "./memory.ts";
import type { NativeFamily } from "./native-families.ts";
import { WasmProgram } from "./program.ts";
import type { Team } from "./threads.ts";

export type TrialProgram = {
  readonly program: WasmProgram;
  readonly outputs: readonly number[];
  /** Inputs for so many rows. */
  inputs(rows: number): Readonly<Record<string, InputData>>;
};

/**
 * Columns of the weights that are compared, by what they must be a multiple of: more than 1024; blocks of 64, a whole round of eight and one
 * more; blocks of 256. Rows: with a rest in every tile of columns.
 */
const COLUMNS: ReadonlyMap<number, number> = new Map([
  [1, 1036],
  [64, 576],
  [256, 512],
]);
const ROWS_OF_WEIGHTS = 41;
/** Of the weight of the product that is timed: it stays in a processor's second-level cache. */
const TIMED = { K: 512, O: 512 };
/** Heads and columns of attention: three queries for each key, and heads that are no whole vectors; then as in Mistral-7B. */
const HEADS = { heads: 6, kvHeads: 2, D: 24, columns: 90 };
const TIMED_HEADS = { heads: 8, kvHeads: 2, D: 128, columns: 256 };
/** Families of formats that hold plain numbers. */
const PLAIN = ["f32", "bf16", "f16"];

type Tried = NativeFamily["tried"];

export class TrialPrograms {
  readonly #memory: ShardedMemory;
  readonly #team: Team;
  readonly #mostRows: number;
  readonly #random = new Random();

  /** @param mostRows of programs that are compared */
  constructor(memory: ShardedMemory, team: Team, mostRows: number) {
    this.#memory = memory;
    this.#team = team;
    this.#mostRows = mostRows;
  }

  /** Programs whose results must have the same bits. */
  *compared(tried: Tried): Generator<TrialProgram> {
    if (tried.op === "paged_attention") {
      for (const cache of tried.caches) yield this.#attention(cache, this.#mostRows, HEADS);
      return;
    }
    for (const [step, columns] of COLUMNS) {
      const dtypes = tried.products.filter((one) => one.step === step).map(({ dtype }) => dtype);
      if (dtypes.length > 0) yield this.#products(dtypes, this.#mostRows, columns, ROWS_OF_WEIGHTS);
    }
  }

  /** The program that must be faster. */
  timed(tried: Tried): TrialProgram {
    return tried.op === "paged_attention"
      ? this.#attention(tried.caches[0], tried.timed.rows, TIMED_HEADS)
      : this.#products([tried.timed.dtype], tried.timed.rows, TIMED.K, TIMED.O);
  }

  /** Products of the same x with a weight of each dtype. */
  #products(dtypes: readonly string[], rows: number, K: number, O: number): TrialProgram {
    const graph = new Graph();
    const x = graph.leaf("x", "input", [rows, K], "f32", "rows");
    const leaves = dtypes.map((dtype): LeafSpec => ({
      ...{ name: `${dtype} ${O} × ${K}`, kind: "weight", shape: [O, K] },
      ...{ dtype: layoutOf(dtype), regions: [] },
    }));
    this.#memory.place(leaves);
    const products = leaves.map(({ name, shape }, i) => {
      this.#random.weights(this.#views(name), dtypes[i], O, K);
      return linear(x, graph.leaf(name, "weight", shape, dtypes[i]));
    });
    return this.#compiled(graph, products, (count) => ({ x: this.#random.activations(count, K) }));
  }

  /** Attention of the last rows of a sequence over a cache of that dtype. */
  #attention(
    dtype: string,
    rows: number,
    { heads, kvHeads, D, columns }: typeof HEADS,
  ): TrialProgram {
    const graph = new Graph();
    const P = Math.ceil(columns / PAGE);
    const pools = ["K", "V"].map((name): LeafSpec => ({
      ...{ name: `${name} ${dtype} ${columns}`, kind: "state", shape: [P, PAGE, kvHeads * D] },
      ...{ dtype: layoutOf(dtype), regions: [] },
    }));
    this.#memory.place(pools);
    const [K, V] = pools.map(({ name, shape }) => {
      this.#random.weights(this.#views(name), dtype, P * PAGE, kvHeads * D);
      return graph.leaf(name, "state", shape, dtype);
    });
    const q = graph.leaf("q", "input", [rows, heads * D], "f32", "rows");
    const [seq, at] = ["seq", "at"].map((name) => graph.leaf(name, "input", [rows], "i32", "rows"));
    const pages = graph.leaf("pages", "input", [1, P, 2], "i32");
    const attrs = { heads, kvHeads, window: 0, scale: D ** -0.5 };
    const y = pagedAttention(q, { K, V, seq, at, pages }, attrs);
    return this.#compiled(graph, [y], (count) => ({
      q: this.#random.numbers(count * heads * D),
      seq: new Int32Array(count),
      at: Int32Array.from({ length: count }, (_, row) => columns - count + row),
      pages: Int32Array.from({ length: 2 * P }, (_, i) => (i % 2 === 0 ? i / 2 : 0xffff)),
    }));
  }

  #views(name: string): Uint8Array[] {
    const { spec, places } = this.#memory.leaf(name);
    return this.#memory.views(spec, places[0]);
  }

  #compiled(graph: Graph, results: Tensor[], inputs: TrialProgram["inputs"]): TrialProgram {
    const program = new WasmProgram(makePlan(graph, results), this.#memory, this.#team);
    return { program, outputs: [...results.keys()], inputs };
  }
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
