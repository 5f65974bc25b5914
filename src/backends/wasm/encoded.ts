// What an encoder gets and what it gives: an op as it stands in a program. Also small functions that the encoders share.

import { EngineError } from "../../errors.ts";
import { describe, type Node, type Shape, type Tensor } from "../../graph/graph.ts";
import { formatCodes } from "./format-codes.ts";
import { FORMAT_I8 } from "./kernels/header.ts";

export type Encoded = {
  readonly code: number;
  /** The tensor whose rows (its first dimension or, in a replay, its live count) are the op's rows. */
  readonly rows: Tensor;
  readonly args: readonly number[];
  /** Work of one row, as the count of numbers read or written: an op of little work stays on one thread. */
  readonly work: number;
  /** Bytes of scratch that each thread needs, see kernels/scratch.ts. */
  readonly scratch: number;
};

/** Address of a tensor in the op's shard; 0 for an output that nobody reads. */
export type AddressOf = (t: Tensor, part?: number) => number;

/** Encodes a node. Without `scratch` in the result, the kernel needs none. */
export type Encode = (node: Node, at: AddressOf) => Omit<Encoded, "scratch"> & { scratch?: number };

/** The `work` of ops that the threads always share. */
export const LARGE: number = 2 ** 20;

export function last(shape: Shape): number {
  return shape[shape.length - 1];
}

export function rowLength({ shape }: Tensor): number {
  return shape.slice(1).reduce((product, dim) => product * dim, 1);
}

/** The word that holds an f32 attribute. */
export function floatBits(attrs: object, name: string): number {
  return new Int32Array(Float32Array.of((attrs as Record<string, number>)[name]).buffer)[0];
}

/** The number by which kernels know a format whose numbers, or codes, lie one after the other. @throws EngineError for others */
export function plainCode(op: string, t: Tensor): number {
  const code = formatCodes[t.dtype];
  if (code !== undefined && code <= FORMAT_I8) return code;
  throw new EngineError(
    `${op}: ${describe(t)} is ${t.dtype}, whose numbers this kernel of the CPU backend cannot read one by one`,
  );
}
