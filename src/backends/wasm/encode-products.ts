// The encoders of ops that read weights of any format: embedding, products, and the packing of rows for products.

import { EngineError } from "../../errors.ts";
import { partBytes, weightDType } from "../../formats/registry.ts";
import { describe, type Tensor } from "../../graph/graph.ts";
import { computePathOf } from "./compute-paths.ts";
import { type AddressOf, type Encode, floatBits, last } from "./encoded.ts";
import { formatCodes } from "./format-codes.ts";
import {
  EMBED,
  FORMAT_F16,
  FORMAT_I8,
  LINEAR,
  LINEAR_PACKED,
  PACK_ROWS,
} from "./kernels/header.ts";
import { fourBitScratch, LINEAR_PACKED_SCRATCH, linearScratch } from "./kernels/scratch.ts";
import type { PackAttrs } from "./lower.ts";

export const embed: Encode = ({ ins: [ids, table], outs: [y] }, at) => ({
  code: EMBED,
  work: table.shape[1],
  rows: ids,
  args: [
    at(y),
    at(ids),
    ...partsOf(table, at),
    table.shape[1],
    table.shape[0],
    ...formatOf("embed", table),
  ],
});

/** Every product has these arguments; x is packed for the compute paths that are not exact. */
export const linear: Encode = ({ ins: [x, w], outs: [y] }, at) => {
  const [O, K] = w.shape;
  const [format, param] = formatOf("linear", w);
  return {
    work: (O * K) / 4,
    rows: x,
    args: [at(y), at(x), ...partsOf(w, at), K, O, format, param],
    ...kernelOf(w, format, K),
  };
};

export const packRows: Encode = ({ ins: [x], outs: [y], attrs }, at) => {
  const { mode, scratch } = attrs as PackAttrs;
  return {
    code: PACK_ROWS,
    work: 4 * last(x.shape),
    rows: x,
    args: [at(y), at(x), last(x.shape), mode, floatBits(attrs, "param")],
    scratch,
  };
};

function kernelOf(w: Tensor, format: number, K: number): { code: number; scratch: number } {
  const path = computePathOf(w);
  if (path !== undefined) return { code: path.code, scratch: path.scratch(K) };
  if (format <= FORMAT_F16) return { code: LINEAR, scratch: linearScratch(K) };
  return { code: LINEAR_PACKED, scratch: Math.max(LINEAR_PACKED_SCRATCH, fourBitScratch(K)) };
}

/** A weight's format and its parameter. @throws EngineError no kernel reads it */
function formatOf(op: string, w: Tensor): [code: number, param: number] {
  const { format } = weightDType(w.dtype);
  const code = formatCodes[format.family];
  if (code !== undefined && code !== FORMAT_I8) return [code, format.param];
  throw new EngineError(
    `${op}: ${describe(w)} is ${w.dtype}, which no kernel of the CPU backend reads; use the reference backend`,
  );
}

const MOST_PARTS = 4;

/** The addresses of a weight's parts, four in all; what a format does not have is 0. */
function partsOf(w: Tensor, at: AddressOf): number[] {
  const count = partBytes(w.dtype, w.shape).length;
  return Array.from({ length: MOST_PARTS }, (_, i) => (i < count ? at(w, i) : 0));
}
