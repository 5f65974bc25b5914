// What an op becomes in a program, and what its encoder is given. Small readings of tensors that the encoders share.

import { EngineError } from "../../errors.ts";
import { describe, type Node, type Shape, type Tensor } from "../../graph/graph.ts";
import { formatCodes } from "./format-codes.ts";
import { FORMAT_I8 } from "./kernels/header.ts";

export type Encoded = {
  readonly code: number;
  /** Its first dimension, and its live count, are the op's rows. */
  readonly rows: Tensor;
  readonly args: readonly number[];
  /** Work of one row, in numbers moved: an op of little work stays on one thread. */
  readonly work: number;
  /** Bytes of scratch that each thread needs, see kernels/scratch.ts. */
  readonly scratch: number;
};

/** Address of a tensor in the op's shard; 0 for an output that nobody reads. */
export type AddressOf = (t: Tensor, part?: number) => number;

/** An op without `scratch` has a kernel that needs none. */
export type Encode = (node: Node, at: AddressOf) => Omit<Encoded, "scratch"> & { scratch?: number };

/** Work of ops that are always shared out. */
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
