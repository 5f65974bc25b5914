// Which columns a row sees, and where they lie in the pages: the rule that every attention op shares.
// Key j is visible to query i if and only if i − window < j ≤ i: `window` keys, its own included. i and j are columns, not positions.

import type { Shape, Values } from "../graph/graph.ts";
import { PAGE } from "./kv-append.ts";

/** The first column that a row at column `at` may see; window 0: no limit. */
export function firstVisible(at: number, window: number): number {
  return window > 0 ? Math.max(0, at - window + 1) : 0;
}

/**
 * Calls `see(column, slot)` for each visible column of row `t`, in order.
 * pages [S, P, 2]: block b = column >> 4 of sequence s is entry (s, b mod P): page id, mask of the columns that hold a key.
 */
export function eachVisible(
  t: number,
  places: readonly Values[],
  table: Shape,
  window: number,
  see: (column: number, slot: number) => void,
): void {
  const [, at] = places;
  for (let column = firstVisible(at[t], window); column <= at[t]; column++) {
    const { slot, holdsKey } = placeOf(t, places, table, column);
    if (holdsKey) see(column, slot);
  }
}

/** Calls `see(column, slot)` for the first `count` columns of row `t`'s sequence, visible or not. */
export function eachColumn(
  t: number,
  places: readonly Values[],
  table: Shape,
  count: number,
  see: (column: number, slot: number) => void,
): void {
  for (let column = 0; column < count; column++)
    see(column, placeOf(t, places, table, column).slot);
}

function placeOf(
  t: number,
  [seq, , pages]: readonly Values[],
  [, P]: Shape,
  column: number,
): { slot: number; holdsKey: boolean } {
  const entry = (seq[t] * P + (((column / PAGE) | 0) % P)) * 2;
  const offset = column % PAGE;
  return {
    slot: pages[entry] * PAGE + offset,
    holdsKey: ((pages[entry + 1] >> offset) & 1) === 1,
  };
}
