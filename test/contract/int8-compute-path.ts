// Puts a product on the int8 compute path into a WASM memory, between guard zones, and calls its kernels on ranges: rows are packed, then
// multiplied. Knows how a packed row lies.

import { formatCodes } from "../../src/backends/wasm/format-codes.ts";
import { eightRowsScratch } from "../../src/backends/wasm/kernels/scratch.ts";
import { INT8_BLOCK, type IntegerRow, type Int8Row } from "../../src/formats/int8-compute-path.ts";
import type { KernelBench } from "./wasm-kernels.ts";

export type Sizes = { readonly T: number; readonly K: number; readonly O: number };

export type Product = {
  readonly format: string;
  readonly sizes: Sizes;
  readonly x: Float32Array;
  /** As the format holds it, the scales of rows where it has some, and what the rows mean. */
  readonly w: Uint8Array;
  readonly ofRows?: Uint8Array;
  readonly rows: readonly IntegerRow[];
};

/**
 * How the kernels are called: in how many ranges, last one first, and with which tiles: 1 for 256 bits, + 2 for sums of 32. `native`: in
 * machine code, which the bench must have.
 */
export type Cuts = {
  readonly columns?: number;
  readonly rows?: number;
  readonly tiles?: number;
  readonly native?: boolean;
};

const BLOCK_BYTES = 40;
const COLUMNS = 32;

export type Result = { readonly y: Float32Array; readonly packed: Uint8Array };

/** y [T, O], and the packed rows. @throws Error when a kernel wrote beside its tensors */
export function multiply(
  bench: KernelBench,
  { format, sizes: { T, K, O }, x, w, ofRows, rows: [{ run }] }: Product,
  { columns = 1, rows = 1, tiles = 0, native = false }: Cuts = {},
): Result {
  bench.clear();
  const blocks = Math.ceil(K / INT8_BLOCK);
  const [xAt, packedAt] = [bench.reserve(4 * T * K), bench.reserve(blocks * T * BLOCK_BYTES)];
  const [wAt, yAt] = [bench.reserve(w.length, 2), bench.reserve(4 * T * O)];
  const scalesAt = ofRows === undefined ? 0 : bench.reserve(ofRows.length);
  const scratch = bench.reserveScratch(eightRowsScratch(K));
  if (ofRows !== undefined) bench.set(scalesAt, ofRows);
  bench.set(xAt, x);
  bench.set(wAt, w);
  const { pack_rows_int8, native_eight_rows, [`linear_${format}`]: linear } = bench.kernels;
  const code = formatCodes[format] ?? -1;
  for (const [begin, end] of ranges(T, rows, 1))
    pack_rows_int8(packedAt, xAt, K, T, run, native ? 1 : 0, scratch, begin, end);
  for (const [first, last] of ranges(T, rows, 1))
    for (const [begin, end] of ranges(O, columns, COLUMNS))
      if (native)
        native_eight_rows(
          yAt,
          packedAt,
          wAt,
          scalesAt,
          code,
          K,
          O,
          scratch,
          T,
          first,
          last,
          begin,
          end,
        );
      else linear(yAt, packedAt, wAt, scalesAt, K, O, scratch, tiles, T, first, last, begin, end);
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

/** A packed row as the compute path's specification has it, and the values at which sums start. */
export function packedRow(
  packed: Uint8Array,
  { T, K }: Sizes,
  row: number,
  run: number,
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
    for (let i = 0; i < INT8_BLOCK; i++) {
      const k = run === 16 ? ((i & 2) << 3) | ((i >> 2) << 1) | (i & 1) : i;
      codes[block * INT8_BLOCK + k] = view.getInt8(at + 8 + i);
    }
  }
  return { codes, scales, starts };
}
