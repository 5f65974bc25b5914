// Puts a product on the int8 road into a WASM memory, between guard zones, and calls its kernels on ranges: rows are packed, then
// multiplied. Knows how a packed row lies.

import { INT8_BLOCK, type IntegerRow, type Int8Row } from "../../src/formats/int8-road.ts";
import { q4 } from "../../src/formats/q4.ts";
import { q8 } from "../../src/formats/q8.ts";
import type { WeightFormat } from "../../src/formats/weight-format.ts";
import type { Random } from "../random.ts";
import { type KernelBench, SCRATCH_BYTES } from "./wasm-kernels.ts";

export const roadFormats: Readonly<Record<string, WeightFormat>> = { q4, q8 };

export type Product = {
  readonly format: string;
  readonly sizes: { readonly T: number; readonly K: number; readonly O: number };
  readonly x: Float32Array;
  /** As the format holds it. */
  readonly w: Uint8Array;
};

/** How the kernels are called: in how many ranges, last one first, and with which tile. */
export type Cuts = { readonly columns?: number; readonly rows?: number; readonly wide?: boolean };

const BLOCK_BYTES = 40;
const COLUMNS = 32;

/** y [T, O], and the packed rows. @throws Error when a kernel wrote beside its tensors */
export function multiply(
  bench: KernelBench,
  { format, sizes: { T, K, O }, x, w }: Product,
  { columns = 1, rows = 1, wide = false }: Cuts = {},
): { y: Float32Array; packed: Uint8Array } {
  bench.clear();
  const blocks = Math.ceil(K / INT8_BLOCK);
  const [xAt, packedAt] = [bench.reserve(4 * T * K), bench.reserve(blocks * T * BLOCK_BYTES)];
  const [wAt, yAt] = [bench.reserve(w.length, 2), bench.reserve(4 * T * O)];
  const scratch = bench.reserve(SCRATCH_BYTES, 0);
  bench.set(xAt, x);
  bench.set(wAt, w);
  const { pack_rows_int8, [`linear_${format}`]: linear } = bench.kernels;
  for (const [begin, end] of ranges(T, rows, 1))
    pack_rows_int8(packedAt, xAt, K, T, scratch, begin, end);
  for (const [first, last] of ranges(T, rows, 1))
    for (const [begin, end] of ranges(O, columns, COLUMNS))
      linear(yAt, packedAt, wAt, K, O, scratch, wide ? 1 : 0, T, first, last, begin, end);
  const damaged = bench.damaged();
  if (damaged !== undefined) throw new Error(`wrote to byte ${damaged}, beside all tensors`);
  return {
    y: bench.floats(yAt, T * O),
    packed: new Uint8Array(bench.floats(packedAt, (blocks * T * BLOCK_BYTES) / 4).buffer),
  };
}

/** [0, size) in `count` ranges that begin at multiples of `step`, the last one first. */
function ranges(size: number, count: number, step: number): [number, number][] {
  const borders = Array.from(
    { length: count + 1 },
    (_, i) => Math.floor((i * size) / count / step) * step,
  );
  borders[count] = size;
  return Array.from({ length: count }, (_, i): [number, number] => [
    borders[count - 1 - i],
    borders[count - i],
  ]).filter(([begin, end]) => begin < end);
}

export function packWeights(
  format: string,
  values: Float32Array,
  O: number,
  K: number,
): Uint8Array {
  const shape = { rows: O, columns: K };
  const [bytes] = roadFormats[format].parts(O, K).map((n) => new Uint8Array(n));
  roadFormats[format].packer?.([bytes], shape).rows(values, 0, O);
  return bytes;
}

export function randomProduct(format: string, sizes: Product["sizes"], random: Random): Product {
  const { T, K, O } = sizes;
  const values = Float32Array.from(random.numbers(O * K), (v) => v * v * v);
  return {
    ...{ format, sizes },
    x: Float32Array.from(random.numbers(T * K), (v) => 20 * v * v * v),
    w: packWeights(format, values, O, K),
  };
}

/** The rows of weights as integers and scales: the scales are found where a row's numbers are integers times them. */
export function integerRows({ format, sizes: { K, O }, w }: Product): IntegerRow[] {
  const blocks = Math.ceil(K / INT8_BLOCK);
  const blockBytes = w.length / (Math.ceil(O / 8) * blocks);
  const zero = format === "q4" ? 8 : 128;
  const view = new DataView(w.buffer, w.byteOffset, w.byteLength);
  return Array.from({ length: O }, (_, row) => {
    const integers = new Int8Array(blocks * INT8_BLOCK);
    const scales = new Float32Array(blocks);
    for (let block = 0; block < blocks; block++) {
      const at = ((row >> 3) * blocks + block) * blockBytes;
      scales[block] = view.getFloat16(at + 2 * (row & 7), true);
      for (let k = 0; k < INT8_BLOCK; k++) {
        const quad = k >> 2;
        const run = format === "q4" ? quad & 3 : quad;
        const byte = w[at + 16 + run * 32 + (row & 7) * 4 + (k & 3)];
        const code = format === "q8" ? byte : quad < 4 ? byte & 15 : byte >> 4;
        integers[block * INT8_BLOCK + k] = code - zero;
      }
    }
    return { integers, scales };
  });
}

/** A packed row as the road's specification has it, and whether the values at which sums start are right. */
export function packedRow(
  packed: Uint8Array,
  { T, K }: Product["sizes"],
  row: number,
): Int8Row & { starts: [number, number][] } {
  const blocks = Math.ceil(K / INT8_BLOCK);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const codes = new Int8Array(blocks * INT8_BLOCK);
  const scales = new Float32Array(blocks);
  const starts: [number, number][] = [];
  for (let block = 0; block < blocks; block++) {
    const at = (block * T + row) * BLOCK_BYTES;
    scales[block] = view.getFloat32(at, true) / 2 ** 112;
    starts.push([view.getInt16(at + 4, true), view.getInt16(at + 6, true)]);
    for (let k = 0; k < INT8_BLOCK; k++) codes[block * INT8_BLOCK + k] = view.getInt8(at + 8 + k);
  }
  return { codes, scales, starts };
}
