// What to suggest when a model does not fit into memory: the first option of loading that makes these weights clearly smaller.
// Knows no memory.

import type { LeafSpec } from "../backends/backend.ts";
import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";
import { partBytes } from "../formats/registry.ts";
import { layoutOf } from "../graph/graph.ts";
import { type Asked, keptAs, ownQuantisation } from "./kept-formats.ts";

/** Options of loading a plain checkpoint, as a caller writes them, from the most exact to the smallest. */
const WAYS: readonly (readonly [option: string, asked: Asked])[] = [
  ['dtype: "bfloat16"', { dtype: "bf16" }],
  ['quantization_config: { method: "q8" }', { dtype: "auto", quantisation: ownQuantisation("q8") }],
  ['quantization_config: { method: "q4" }', { dtype: "auto", quantisation: ownQuantisation("q4") }],
];

/** The first option that takes less than 90 % of the present bytes, with its bytes; undefined when there is none, or weights are quantised. */
export function smallerWay(
  leaves: readonly LeafSpec[],
  storedAs: (leaf: string) => StoredWeight,
): { readonly option: string; readonly bytes: number } | undefined {
  if (leaves.some(({ name }) => findFormat(storedAs(name).encoding) === undefined))
    return undefined;
  const now = sum(leaves, ({ dtype }) => dtype);
  const ways = WAYS.map(([option, asked]) => ({
    option,
    bytes: sum(leaves, ({ name }) => layoutOf(keptAs(name, storedAs(name), asked))),
  }));
  return ways.find(({ bytes }) => bytes < now * 0.9);
}

function sum(leaves: readonly LeafSpec[], dtypeOf: (leaf: LeafSpec) => string): number {
  return leaves.reduce((total, leaf) => {
    return total + partBytes(dtypeOf(leaf), leaf.shape).reduce((a, b) => a + b, 0);
  }, 0);
}
