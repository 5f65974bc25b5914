// One forward call: turns a padded batch [B, S] into flat rows, runs them in chunks, and puts the results back to their places in [B, S].
// A place is row b and column i. Padded places are not computed; their results are 0. Knows no backend.

import { InputError } from "../errors.ts";
import { PAGE_COLUMNS, type PagePool } from "../generate/page-pool.ts";
import { type SequencePages, pageTables } from "../generate/pages.ts";
import { CHUNK, type Runner, type StepResult, type StepRows } from "../generate/runner.ts";
import { BatchCache } from "./batch-cache.ts";
import type { ForwardRequest, ForwardResult } from "./messages.ts";
import { Placement, type RowPlace } from "./placement.ts";
import { type Step } from "./steps.ts";

export type ForwardEnvironment = {
  readonly runner: Runner;
  readonly pool: PagePool;
  readonly eager: boolean;
  /**
   * Runs one step of the call when no other step runs.
   * @param pages says how many pages `prepare` takes; called just before it
   * @param prepare reserves pages and says what is to run; called again when the step was stopped
   * @throws MemoryError; what the call throws when it was aborted
   */
  step<T>(pages: () => number, prepare: () => ForwardStep<T>): Promise<T>;
  /** How many rows the next step may have, so that generate calls that decode get their tokens in time. */
  mostRows(): number;
};

export type ForwardStep<T> = Omit<Step<T>, "calls"> & { readonly rows: number };

/**
 * Runs a forward call.
 * @param cache the cache of an earlier call; when this call fails, it is as before
 * @param keep it stays as it is in any case: the result gets a copy with the new columns
 * @returns the result, and the cache that belongs to it: another one, or `cache` itself (the caller disposes of both)
 */
export async function forward(
  env: ForwardEnvironment,
  request: ForwardRequest,
  cache: BatchCache | undefined,
  keep: boolean,
): Promise<{ result: ForwardResult; cache: BatchCache }> {
  const { B, S, mask } = request;
  const { config, modelClass } = env.runner;
  const window = config.sliding_window;
  const placement = new Placement(request, config, modelClass, (cache?.frame ?? 0) + S);
  if (placement.needsEveryPlace) {
    if (cache !== undefined || request.keepCache) {
      throw new InputError(
        "forward: padded places count in this call's result, or its loss is over all columns of a sequence: it can neither use nor " +
          "keep a cache; leave out past_key_values, set use_cache: false, or give padded places the label -100",
      );
    }
    // Without a window, so that no page is given back: a row that sees nothing takes the mean over all columns.
    const used = BatchCache.empty(env.pool, B, null);
    try {
      await runEveryPlace(env, request, used, placement);
    } catch (error) {
      used.dispose();
      throw error;
    }
    return { result: placement.result(), cache: used };
  }

  // Chunks are committed one after the other. When there are several, they go into a fork: if a later one fails, the old cache is whole.
  const copy = keep || B * S > env.mostRows();
  const work =
    cache === undefined ? BatchCache.empty(env.pool, B, window) : copy ? cache.fork() : cache;
  try {
    const queue = work.sequences.map((_, b) => ({ b, ...work.columns(b, mask, S), done: 0 }));
    while (queue.some(({ present, done }) => done < present.length)) {
      // Without a copy all rows must run in one step; they fitted when the call came.
      const most = copy || cache === undefined ? env.mostRows() : CHUNK;
      await runChunk(env, request, work, queue, placement, most);
    }
    work.advance(mask, S);
  } catch (error) {
    if (work === cache) work.drop();
    else work.dispose();
    throw error;
  }
  return { result: placement.result(), cache: work };
}

type Queued = {
  readonly b: number;
  readonly start: number;
  readonly present: Uint8Array;
  done: number;
};

async function runChunk(
  env: ForwardEnvironment,
  request: ForwardRequest,
  cache: BatchCache,
  queue: Queued[],
  placement: Placement,
  most: number,
): Promise<void> {
  const { S } = request;
  const rows: RowPlace[] = [];
  const parts: { sequence: SequencePages; count: number; entry: Queued }[] = [];
  for (const entry of queue) {
    const count = Math.min(entry.present.length - entry.done, most - rows.length);
    if (count <= 0) continue;
    const sequence = cache.sequences[entry.b];
    for (let n = entry.done; n < entry.done + count; n++) {
      // The frame column of a sequence's column is start + column.
      const i = S - entry.present.length + n;
      if (entry.present[n] === 1)
        rows.push({ b: entry.b, i, at: sequence.length + n - entry.done });
    }
    parts.push({ sequence, count, entry });
  }

  const pages = (): number =>
    parts.reduce((sum, { sequence, count }) => sum + sequence.missingFor(count), 0);
  const result = await env.step(pages, () => {
    const slots: number[] = [];
    const copies: (readonly [number, number])[] = [];
    for (const { sequence, count, entry } of parts) {
      const present = entry.present.subarray(entry.done, entry.done + count);
      const reserved = sequence.reserve(count, present);
      slots.push(...reserved.slots.filter((slot) => slot >= 0));
      copies.push(...reserved.copies);
    }
    return {
      rows: rows.length,
      run: async () => {
        if (rows.length === 0) return undefined;
        await env.runner.copyPages(copies);
        return runRows(env, rows, slots, pageTables(cache.sequences), placement);
      },
      drop: () => {
        for (const { sequence } of parts) sequence.drop();
      },
    };
  });
  if (result !== undefined) placement.take(rows, result, (b) => queue[b].start);
  for (const { sequence, count, entry } of parts) {
    sequence.commit(count);
    entry.done += count;
  }
}

/**
 * Runs all B · S places as rows of one step, masked ones too; those see the unmasked columns before them, or none. `cache` comes empty, and
 * nothing can go on from it afterwards.
 */
async function runEveryPlace(
  env: ForwardEnvironment,
  { B, S, mask }: ForwardRequest,
  cache: BatchCache,
  placement: Placement,
): Promise<void> {
  const rows: RowPlace[] = Array.from({ length: B * S }, (_, t) => ({
    b: Math.floor(t / S),
    i: t % S,
    at: t % S,
  }));
  const pagesNeeded = B * Math.ceil(S / PAGE_COLUMNS);
  const result = await env.step(
    () => pagesNeeded,
    () => {
      const slots = cache.sequences.flatMap((sequence) => [...sequence.reserve(S).slots]);
      const { pages, tables } = pageTables(cache.sequences);
      rows.forEach(({ b, i }, t) => {
        // The key of a masked place is written to its slot, but its bit is cleared, so that no row sees it.
        const entry = (b * tables.P + Math.floor(i / PAGE_COLUMNS)) * 2 + 1;
        if (mask?.[t] === 0) pages[entry] &= ~(1 << (i % PAGE_COLUMNS));
      });
      const unmasked = mask && S;
      const run = (): Promise<StepResult> =>
        runRows(env, rows, slots, { pages, tables, unmasked }, placement);
      return { rows: rows.length, run };
    },
  );
  placement.take(rows, result, () => 0);
}

function runRows(
  env: ForwardEnvironment,
  rows: readonly RowPlace[],
  slots: readonly number[],
  pages: Pick<StepRows, "pages" | "tables" | "unmasked">,
  placement: Placement,
): Promise<StepResult> {
  return env.runner.step(
    {
      ...placement.inputs(rows),
      seq: Int32Array.from(rows, ({ b }) => b),
      at: Int32Array.from(rows, ({ at }) => at),
      slots: Int32Array.from(slots),
      ...pages,
    },
    placement.wants,
    env.eager,
  );
}
