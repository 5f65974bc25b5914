// Shape rules that several ops share. An error names the op, what came, what was expected and the next step to take.

import { InputError } from "../errors.ts";
import { describe, sameShape, type Tensor } from "../graph/graph.ts";

/** Refuses a shape unless `ok`. `remedy` is a question or an instruction, such as "is head_dim in config.json?". */
export function expect(
  ok: boolean,
  op: string,
  ins: readonly Tensor[],
  rule: string,
  remedy?: string,
): void {
  if (ok) return;
  const came = ins.map(describe).join(" · ");
  throw new InputError(`${op}: ${came}: ${rule}${remedy === undefined ? "" : `; ${remedy}`}`);
}

export function expectSame(op: string, a: Tensor, b: Tensor): void {
  expect(sameShape(a.shape, b.shape), op, [a, b], "the shapes differ");
  expect(
    a.live === b.live,
    op,
    [a, b],
    `live rows differ (${a.live ?? "all"} ≠ ${b.live ?? "all"})`,
  );
}

/** Kernels read both pools of a cache by the dtype of the first one. */
export function expectOneDType(op: string, K: Tensor, V: Tensor): void {
  const rule = `one pool is ${K.dtype}, the other ${V.dtype}`;
  expect(K.dtype === V.dtype, op, [K, V], rule, "keep both in one format");
}

/** For one op that gives several gradients: emits it when the first of them is used, and not at all if none is wanted. */
export function once<T>(emit: () => T): () => T {
  let result: T | undefined;
  return () => (result ??= emit());
}
