// How many bytes a leaf takes in a shard: in all, part by part, and reserved. Knows no memory.

import { EngineError } from "../../errors.ts";
import { partBytes } from "../../formats/registry.ts";
import { type DType, elements, type Shape } from "../../graph/graph.ts";
import type { LeafSpec } from "../backend.ts";
import { align } from "./header.ts";

/** Bytes of each part of a tensor. */
export function partsOf(dtype: DType, shape: Shape): readonly number[] {
  if (dtype === "i32") return [elements(shape) * 4];
  return partBytes(dtype, shape);
}

/** Bytes that a tensor takes: its parts one after the other, each at a multiple of 64. */
export function bytesOf(dtype: DType, shape: Shape): number {
  const parts = partsOf(dtype, shape);
  return parts.slice(0, -1).reduce((sum, bytes) => sum + align(bytes), 0) + (parts.at(-1) ?? 0);
}

/** Bytes that each row of a state takes. */
export function rowBytes(spec: LeafSpec): number {
  return bytesOf(spec.dtype, withRows(spec, 1).shape);
}

/**
 * Bytes of addresses that a leaf takes.
 * @throws EngineError its format has several parts: more rows would move the later parts, so it cannot reserve any
 */
export function reservedBytes({ name, dtype, shape, reserve }: LeafSpec): number {
  if (reserve === undefined || reserve <= shape[0]) return bytesOf(dtype, shape);
  const reserved = [reserve, ...shape.slice(1)];
  if (partsOf(dtype, reserved).length === 1) return bytesOf(dtype, reserved);
  throw new EngineError(
    `state ${name}: only plain formats can reserve rows, but it is kept as ${dtype}`,
  );
}

/** Bytes of addresses that a leaf has reserved and does not use. */
export function spareBytes(spec: LeafSpec): number {
  return reservedBytes(spec) - bytesOf(spec.dtype, spec.shape);
}

/** The leaf with so many rows in its first dimension. */
export function withRows(spec: LeafSpec, rows: number): LeafSpec {
  return { ...spec, shape: [rows, ...spec.shape.slice(1)] };
}

/** The address of each part of a leaf that lies at `offset`. */
export function addressesOf({ dtype, shape }: LeafSpec, offset: number): number[] {
  let end = offset;
  return partsOf(dtype, shape).map((bytes) => {
    const begin = end;
    end += align(bytes);
    return begin;
  });
}
