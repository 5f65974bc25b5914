// Matrices in packed formats for the tests of kernels: random numbers in a format, its parts in a WASM memory between guard zones.

import type { Block, BlockFormat } from "../../src/formats/gguf-block.ts";
import { ggmlTypes, ggufFormats } from "../../src/formats/gguf-types.ts";
import { regroupQ4K } from "../../src/formats/q4k.ts";
import { regroupQ6K } from "../../src/formats/q6k.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import type { WeightFormat } from "../../src/formats/weight-format.ts";
import type { Random } from "../random.ts";
import type { KernelBench } from "./wasm-kernels.ts";
import * as codes from "../../src/backends/wasm/kernels/header.ts";

export type PackedMatrix = {
  readonly format: WeightFormat;
  /** The number by which kernels know the format. */
  readonly code: number;
  readonly rows: number;
  readonly columns: number;
  readonly parts: readonly Uint8Array[];
  /** What its bytes mean. */
  readonly values: Float32Array;
};

/** The numbers by which kernels know the families of formats. */
const familyCodes: Readonly<Record<string, number>> = {
  f32: codes.FORMAT_F32,
  bf16: codes.FORMAT_BF16,
  f16: codes.FORMAT_F16,
  nf4: codes.FORMAT_NF4,
  fp4: codes.FORMAT_FP4,
  "nf4-dq": codes.FORMAT_NF4_DQ,
  "fp4-dq": codes.FORMAT_FP4_DQ,
  int8: codes.FORMAT_INT8,
  q4: codes.FORMAT_Q4,
  q4r: codes.FORMAT_Q4R,
  q6r: codes.FORMAT_Q6R,
  q8: codes.FORMAT_Q8,
  q4k: codes.FORMAT_Q4K,
  q6k: codes.FORMAT_Q6K,
  int4: codes.FORMAT_INT4,
  "int4-act": codes.FORMAT_INT4_ACT,
  ...Object.fromEntries(
    [...ggmlTypes]
      .filter(([, type]) => ggufFormats.has(type))
      .map(([number, type]) => [type, codes.FORMAT_GGUF + number]),
  ),
};

/** Formats that are only made of GGUF's blocks. */
const REGROUPED: Readonly<
  Record<string, { from: BlockFormat; regroup: typeof regroupQ4K } | undefined>
> = {
  q4k: { from: ggufFormats.get("Q4_K") as BlockFormat, regroup: regroupQ4K },
  q6k: { from: ggufFormats.get("Q6_K") as BlockFormat, regroup: regroupQ6K },
};

/** Formats of every family. */
export const packedFormats: readonly string[] = [
  ...["f32", "bf16", "f16", "nf4-64", "nf4-128", "fp4-32", "nf4-64-dq", "fp4-128-dq"],
  ...["int8-6", "q4", "q4r", "q6r", "q8", "q4k", "q6k", "int4-32", "int4-32-act"],
  ...ggufFormats.keys(),
];

/** The compute paths besides the exact one that the CPU backend has for a format. */
export function pathsOf(name: string): readonly string[] {
  const { family, param } = findWeightFormat(name) ?? { family: "", param: 0 };
  if (family === "int8") return ["row", "call"];
  if (/^q\d/.test(family)) return ["int8"];
  return /^(nf4|fp4)/.test(family) && param % 64 === 0 ? ["int8", "fixed16"] : [];
}

/** A matrix [rows, columns] of random numbers, of different size in each row. */
export function packedMatrix(
  name: string,
  rows: number,
  columns: number,
  random: Random,
): PackedMatrix {
  const format = findWeightFormat(name);
  if (format === undefined) throw new Error(`no format is called ${name}`);
  const parts = format.parts(rows, columns).map((bytes) => new Uint8Array(bytes));
  const shape = { rows, columns };
  const packer = format.packer?.(parts, shape);
  const gguf = ggufFormats.get(name);
  const regrouped = REGROUPED[name];
  if (gguf !== undefined) fillBlocks(parts[0], gguf.block, random);
  else if (regrouped !== undefined) {
    const [blocks] = regrouped.from.parts(rows, columns).map((bytes) => new Uint8Array(bytes));
    fillBlocks(blocks, regrouped.from.block, random);
    regrouped.regroup(blocks, parts[0], shape);
  } else if (packer === undefined) fillInt4(parts, columns, format.param, random);
  else {
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      const size = random.uniform(0.01, 2);
      values.set(
        random.numbers(columns).map((x) => x * size),
        row * columns,
      );
    }
    packer.rows(values, 0, rows);
    packer.finish();
  }
  const values = new Float32Array(rows * columns);
  format.unpack(parts, shape, 0, rows, values);
  return { format, code: familyCodes[format.family], rows, columns, parts, values };
}

/** Blocks of any bits, but scales of at most 1. */
function fillBlocks(bytes: Uint8Array, { bytes: size, scales }: Block, random: Random): void {
  bytes.forEach((_, i) => (bytes[i] = random.below(256)));
  for (let at = 0; at < bytes.length; at += size) {
    for (const scale of scales) bytes[at + scale + 1] &= 0xbb;
  }
}

/** Codes, scales, zeros and, if there is room for it, the group of each column. */
function fillInt4(
  [bytes, scales, zeros, groups]: readonly Uint8Array[],
  columns: number,
  group: number,
  random: Random,
): void {
  bytes.forEach((_, i) => (bytes[i] = random.below(256)));
  floats(scales).forEach((_, i, all) => (all[i] = random.uniform(0.01, 1)));
  const last = new Int16Array(zeros.buffer);
  last.forEach((_, i) => (last[i] = random.below(17) - 1));
  if (groups === undefined) return;
  const of = new Int32Array(groups.buffer);
  of.forEach((_, i) => (of[i] = random.below(Math.ceil(columns / group))));
}

const floats = ({ buffer }: Uint8Array): Float32Array => new Float32Array(buffer);

/** Its parts' four addresses; what it does not have is 0. */
export function putMatrix(bench: KernelBench, { parts }: PackedMatrix): number[] {
  return [0, 1, 2, 3].map((i) => {
    if (i >= parts.length) return 0;
    const at = bench.reserve(parts[i].length);
    bench.set(at, parts[i]);
    return at;
  });
}

export const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer);
