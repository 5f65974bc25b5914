// Losses that count padded places: rows that see no key. Transformers' eager softmax over equal scores of −3.4e38 gives such
// a row the mean of the values of all columns of its sequence, later and padded ones included; so do we, here only.

import { InputError } from "../errors.ts";
import { tableSize } from "../generate/pages.ts";
import { IGNORED_LABEL } from "../ops/cross-entropy.ts";
import { PAGE } from "../ops/kv-append.ts";
import type { BatchCache } from "./batch-cache.ts";
import type { ForwardEnvironment, RowPlace } from "./forward.ts";
import type { ForwardRequest } from "./messages.ts";
import type { Placement } from "./placement.ts";

/** Whether a label that counts judges a padded place: usual with left padding, where the first token's does. */
export function seesPadding({ B, S, mask, labels }: ForwardRequest): boolean {
  if (mask === undefined || labels === undefined) return false;
  for (let b = 0; b < B; b++) {
    for (let i = 0; i + 1 < S; i++) {
      if (mask[b * S + i] === 0 && labels[b * S + i + 1] !== IGNORED_LABEL) return true;
    }
  }
  return false;
}

/** Runs all B · S places as rows of one step. `cache` is empty, without a window, and of no use afterwards. */
export async function runBlind(
  env: ForwardEnvironment,
  request: ForwardRequest,
  cache: BatchCache,
  placement: Placement,
): Promise<void> {
  const { B, S, mask } = request;
  if (request.keepCache) {
    throw new InputError(
      "forward: labels that judge padded places and use_cache do not go together; set use_cache: false",
    );
  }
  // Entries of the page table: what row b sees by the mask, all of row b, and one that is empty.
  const P = tableSize(Math.ceil(S / PAGE));
  const [all, none] = [B, 2 * B];
  const pages = new Int32Array((2 * B + 1) * P * 2);
  const reserve = (): number[] => {
    const slots = cache.sequences.flatMap((sequence) => [...sequence.reserve(S).slots]);
    writeTables();
    return slots;
  };
  const writeTables = (): void =>
    cache.sequences.forEach((sequence, b) => {
      sequence.writeTable(pages, (all + b) * P * 2, P);
      sequence.writeTable(pages, b * P * 2, P);
      for (let i = 0; i < S; i++) {
        if (mask?.[b * S + i] === 0)
          pages[(b * P + Math.floor(i / PAGE)) * 2 + 1] &= ~(1 << (i % PAGE));
      }
    });

  const rows: RowPlace[] = Array.from({ length: B * S }, (_, t) => ({
    b: Math.floor(t / S),
    i: t % S,
    at: t % S,
  }));
  const blind = new Set(
    [...rows.keys()].filter((t) => seesNothing(rows[t], request, env.runner.config.sliding_window)),
  );
  const result = await env.step(B * Math.ceil(S / PAGE), () => {
    const slots = reserve();
    return {
      run: () =>
        env.runner.step(
          {
            ...placement.inputs(rows),
            seq: Int32Array.from(rows, ({ b }, t) => (blind.has(t) ? none : b)),
            at: Int32Array.from(rows, ({ at }) => at),
            slots: Int32Array.from(slots),
            pages,
            tables: { S: 2 * B + 1, P },
            blind: {
              seq: Int32Array.from(rows, ({ b }, t) => (blind.has(t) ? all + b : none)),
              at: Int32Array.from(rows, () => S - 1),
              rows: blind,
            },
          },
          placement.wants,
          env.eager,
        ),
    };
  });
  placement.take(rows, result, () => 0);
}

function seesNothing(
  { b, i }: RowPlace,
  { S, mask }: ForwardRequest,
  window: number | null,
): boolean {
  const first = window === null ? 0 : Math.max(0, i - window + 1);
  return (
    mask !== undefined && mask.subarray(b * S + first, b * S + i + 1).every((bit) => bit === 0)
  );
}
