// Pieces of matrices for the tests of the kernel `quantize`: numbers of many kinds, what the formats' packers make of them, and what the
// kernel does, in a WASM memory between guard zones.

import { expect } from "vitest";
import { formatCodes } from "../../src/backends/wasm/format-codes.ts";
import { quantizeScratch } from "../../src/backends/wasm/kernels/scratch.ts";
import { rankTable } from "../../src/backends/wasm/quantizer.ts";
import { findFormat } from "../../src/formats/format.ts";
import { fourBitSettings } from "../../src/formats/four-bit.ts";
import type { NumberFormat } from "../../src/formats/number-format.ts";
import type { MatrixShape, WeightFormat } from "../../src/formats/weight-format.ts";
import { seeded } from "../random.ts";
import type { KernelBench } from "./wasm-kernels.ts";

const plain = (name: string): NumberFormat => findFormat(name) as NumberFormat;
export const numbers: readonly NumberFormat[] = ["f32", "bf16", "f16"].map(plain);

/** Bytes of random numbers of many kinds: usual weights, and the odd ones that rounding is made of. */
export function numbersOf(
  kind: string,
  count: number,
  format: NumberFormat,
): Uint8Array<ArrayBuffer> {
  const random = seeded(count * 7 + kind.length);
  const draw: Record<string, (i: number) => number> = {
    weights: () => (random.uniform() + random.uniform() + random.uniform() - 1.5) / 20,
    // Halves, and equal magnitudes with both signs.
    integers: () => (random.below(511) - 255) / 2,
    // Every magnitude, subnormals too; blocks of the least numbers, and blocks of zeros.
    magnitudes: (i) =>
      i % 96 < 32
        ? (random.below(41) - 20) * 2 ** -149
        : i % 192 < 64
          ? -0
          : random.uniform(-1, 1) * 2 ** random.uniform(-149, 14),
    rows: (i) => random.uniform(-1, 1) * 10 ** ((i >> 7) % 9) * 1e-6,
  };
  const bytes = new Uint8Array(format.bytes(count));
  format.pack(
    Float32Array.from({ length: count }, (_, i) => draw[kind](i)),
    bytes,
  );
  return bytes;
}

/** What the format's packer makes of them; undefined: it refuses them. */
export function packed(
  format: WeightFormat,
  values: Float32Array,
  shape: MatrixShape,
): Uint8Array[] | undefined {
  const parts = format.parts(shape.rows, shape.columns).map((bytes) => new Uint8Array(bytes));
  const packer = format.packer?.(parts, shape);
  try {
    packer?.rows(values, 0, shape.rows);
    packer?.finish();
    return parts;
  } catch {
    return undefined;
  }
}

export type Piece = {
  readonly format: WeightFormat;
  readonly source: NumberFormat;
  readonly bytes: Uint8Array;
  readonly rounded?: NumberFormat;
  readonly shape: MatrixShape;
};

/**
 * The kernel's bytes, by ranges of units, the last range first; undefined: it refuses.
 * @param less bytes by which its scratch is too small
 */
export function quantized(
  bench: KernelBench,
  piece: Piece,
  cuts: number,
  less = 0,
): Uint8Array[] | undefined {
  const { format, source, bytes, rounded, shape } = piece;
  const { rows, columns } = shape;
  bench.clear();
  const from = bench.reserve(bytes.length, 2);
  bench.set(from, bytes);
  const sizes = format.parts(rows, columns);
  const parts = sizes.map((size) => bench.reserve(size, 4));
  const failed = bench.reserve(4, 0);
  bench.set(failed, Int32Array.of(0));
  const table = bench.reserve(128, 4);
  const type = fourBitSettings(format.name)?.type;
  if (type !== undefined) bench.set(table, rankTable(type));
  const scratch = bench.reserveScratch(quantizeScratch(columns, type ? format.param : 0) - less);
  const units = type
    ? Math.ceil((rows * columns) / format.param)
    : Math.ceil(rows / format.step(columns));
  const [codes, scales = 0] = parts;
  for (let i = cuts; i > 0; i--) {
    const [begin, end] = [i - 1, i].map((cut) => Math.floor((cut * units) / cuts));
    bench.kernels.quantize(
      ...[
        codes,
        scales,
        from,
        formatCodes[source.name] ?? -1,
        formatCodes[rounded?.name ?? "f32"] ?? -1,
      ],
      ...[rows, columns, formatCodes[format.family] ?? -1, format.param, table, failed, scratch],
      ...[begin, end],
    );
  }
  expect(bench.damaged(), "a byte beside all parts").toBeUndefined();
  if (bench.integers(failed, 1)[0] !== 0) return undefined;
  return sizes.map((size, i) => bench.bytes(parts[i], size));
}

export function widened({ source, bytes, rounded }: Piece): Float32Array {
  const values = new Float32Array(bytes.length / source.bytes(1));
  source.unpack(bytes, values);
  if (rounded === undefined) return values;
  const small = new Uint8Array(rounded.bytes(values.length));
  rounded.pack(values, small);
  rounded.unpack(small, values);
  return values;
}
