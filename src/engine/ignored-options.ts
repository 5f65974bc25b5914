// Finds options of loading that change nothing for this checkpoint. The user is told once: Transformers tells it too, or would compute
// with other precision.

import type { LeafSpec } from "../backends/backend.ts";
import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";
import type { DType } from "../graph/graph.ts";
import type { Asked } from "./kept-formats.ts";

/** Sentences for the user. @param dtypeOf a weight's dtype, compute path included */
export function ignoredOptions(
  asked: Asked,
  leaves: readonly LeafSpec[],
  storedAs: (leaf: string) => StoredWeight,
  dtypeOf: (leaf: string) => DType,
): string[] {
  const packed = leaves.filter(({ name }) => findFormat(storedAs(name).encoding) === undefined);
  const notes: string[] = [];
  if (asked.quantisation !== undefined && packed.length > 0) {
    const { encoding } = storedAs(packed[0].name);
    notes.push(
      `another quantisation changes nothing for weights that are quantised already (${encoding}): they are used as they are, with the compute dtype asked for`,
    );
  }
  const { compute = "float32" } = asked;
  const hasPath = leaves.some(({ name }) => dtypeOf(name).endsWith(`:${compute}`));
  if (packed.length > 0 && compute !== "float32" && !hasPath) {
    const { encoding } = storedAs(packed[0].name);
    notes.push(
      `the weights (${encoding}) have no kernels for the compute dtype asked for: products are computed exactly, in float32, which is slower`,
    );
  }
  return notes;
}
