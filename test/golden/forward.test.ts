// forward/*.json: logits, hidden states, attentions and losses of Transformers 5.23, on every backend and both attentions.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EngineCore } from "../../src/engine/core.ts";
import type { ForwardRequest, ForwardResult } from "../../src/engine/messages.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { attentions, backends, call, loadGolden } from "./engines.ts";

type Ids = number[] | number[][];
type Case = {
  id: string;
  input_ids: Ids;
  attention_mask?: number[][];
  position_ids?: number[][] | null;
  tensors?: Record<string, string>;
  losses?: { labels: Ids; loss: number; num_items_in_batch?: number }[];
  chunks?: number[] | string;
  same_logits_as?: string;
  after_each_chunk?: { seen: number }[];
  forced_ids?: number[][];
};
type Golden = { cases: Case[] };

/** goldens/README.md: |difference| ≤ 2e-4 for logits. */
const TOLERANCE = 2e-4;
const LOSS_TOLERANCE = 1e-4;

const models = [
  "base-f32",
  "base-sharded",
  "base-bf16",
  "base-f16",
  "sw8-f32",
  "sw5-mqa-f32",
  "v03-f32",
  "mha-gelu-f32",
  "draft-f32",
];
/** base-sharded holds base-f32's numbers. */
const goldenOf = (model: string): string => (model === "base-sharded" ? "base-f32" : model);

for (const [backendName, makeBackend] of Object.entries(backends)) {
  for (const model of models) {
    for (const attention of attentions) {
      describe(`${model} · ${backendName} · ${attention}`, () => {
        const golden = goldenJson<Golden>(`forward/${goldenOf(model)}.json`);
        const tensors = readSafetensors(goldenPath(`forward/${goldenOf(model)}.safetensors`));
        const expected = (name: string): { data: ArrayLike<number>; shape: number[] } => {
          const found = tensors.get(name);
          if (found === undefined) throw new Error(`the golden has no tensor ${name}`);
          return found;
        };
        // batch_left_decode starts from the padded batch of this case, whose mask it does not repeat.
        const leftMask = golden.cases.find((c) => c.id === "batch_left_positions")?.attention_mask;
        let core: EngineCore;
        beforeAll(async () => {
          core = await loadGolden(model, await makeBackend(), attention);
        });
        afterAll(() => expect(core.memory().pagesInUse).toBe(0));
        const run = (
          request: Partial<ForwardRequest> & { ids: Int32Array },
        ): Promise<ForwardResult> => core.forward({ ...defaults(request), ...request }, call);

        for (const c of golden.cases) {
          if (c.id.startsWith("single")) {
            test(c.id, async () => {
              const ids = Int32Array.from(c.input_ids as number[]);
              const eager = attention === "eager";
              const out = await run({
                ids,
                wants: { logits: true, last: true, hidden: true, attentions: eager },
              });
              const names = Object.entries(c.tensors ?? {});
              expect(names.length).toBeGreaterThan(0);
              for (const [kind, name] of names) {
                const [what, index] = kind.split(".");
                if (kind === "logits" || kind === "logits.float32_compute")
                  close(out.logits, expected(name).data);
                else if (what === "hidden") close(out.hidden?.[Number(index)], expected(name).data);
                else if (what === "attention" && eager)
                  close(out.attentions?.[Number(index)], expected(name).data);
              }
            });
          } else if (c.losses !== undefined) {
            test(c.id, async () => {
              const { ids, B, S } = grid(c.input_ids);
              for (const { labels, loss, num_items_in_batch } of c.losses ?? []) {
                const out = await run({
                  ...{
                    ids,
                    B,
                    S,
                    mask: maskOf(c),
                    positions: positionsOf(c),
                    numItems: num_items_in_batch,
                  },
                  labels: grid(labels).ids,
                });
                expect(Math.abs((out.loss ?? NaN) - loss)).toBeLessThanOrEqual(
                  LOSS_TOLERANCE * Math.abs(loss),
                );
              }
            });
          } else if (c.id.startsWith("batch") && c.forced_ids === undefined) {
            test(c.id, async () => {
              const { ids, B, S } = grid(c.input_ids);
              const out = await run({
                ids,
                B,
                S,
                mask: maskOf(c),
                positions: positionsOf(c),
                wants: { logits: true, last: true, hidden: false, attentions: false },
              });
              const real = c.attention_mask?.flat() ?? [];
              const { logits, "hidden.last": last } = c.tensors ?? {};
              closeWhere(out.logits, expected(logits).data, real);
              if (last !== undefined) closeWhere(out.last, expected(last).data, real);
            });
          } else if (c.chunks !== undefined) {
            test(c.id, async () => {
              const ids = c.input_ids as number[];
              const want = expected(`${c.same_logits_as}.logits`).data;
              const V = want.length / ids.length;
              const counts = typeof c.chunks === "string" ? ids.map(() => 1) : (c.chunks ?? []);
              let cache: number | undefined;
              let seen = 0;
              for (const [n, count] of counts.entries()) {
                const piece = Int32Array.from(ids.slice(seen, seen + count));
                const out = await run({ ids: piece, cache, keepCache: true });
                close(
                  out.logits,
                  Float32Array.from({ length: piece.length * V }, (_, i) => want[seen * V + i]),
                );
                seen += piece.length;
                cache = out.cache?.id;
                expect(out.cache?.length).toBe(c.after_each_chunk?.[n].seen);
              }
              await core.cache({ op: "dispose", cache: cache ?? -1 });
            });
          } else if (c.forced_ids !== undefined) {
            test(c.id, async () =>
              decodeForced(
                { ...c, attention_mask: leftMask },
                run,
                core,
                expected(c.tensors?.logits ?? "").data,
              ),
            );
          } else {
            throw new Error(`no test reads the case ${c.id}`);
          }
        }
      });
    }
  }
}

/** batch_left_decode: a left-padded prompt, then given tokens one at a time, with generate()'s positions. */
async function decodeForced(
  c: Case,
  run: (request: Partial<ForwardRequest> & { ids: Int32Array }) => Promise<ForwardResult>,
  core: EngineCore,
  want: ArrayLike<number>,
): Promise<void> {
  const prompt = grid(c.input_ids);
  const { B } = prompt;
  let mask = c.attention_mask ?? [];
  const forced = c.forced_ids ?? [];
  const steps = forced[0].length;
  const positions = (rows: number[][]): number[][] =>
    rows.map((row) => {
      let count = -1;
      return row.map((m) => (m === 1 ? ++count : 1));
    });
  let out = await run({
    ...{ ids: prompt.ids, B, S: prompt.S, keepCache: true },
    mask: Uint8Array.from(mask.flat()),
    positions: Int32Array.from(positions(mask).flat()),
    keep: Int32Array.of(prompt.S - 1),
  });
  // The prompt's last column comes first.
  const got: Float32Array[] = [out.logits ?? new Float32Array()];
  for (let step = 0; step < steps; step++) {
    mask = mask.map((row) => [...row, 1]);
    out = await run({
      ...{
        ids: Int32Array.from(forced, (row) => row[step]),
        B,
        S: 1,
        keepCache: true,
        cache: out.cache?.id,
      },
      mask: Uint8Array.from(mask.flat()),
      positions: Int32Array.from(positions(mask), (row) => row.at(-1) ?? 0),
    });
    got.push(out.logits ?? new Float32Array());
  }
  await core.cache({ op: "dispose", cache: out.cache?.id ?? -1 });
  const V = got[0].length / B;
  const actual = new Float32Array(B * got.length * V);
  got.forEach((logits, step) => {
    for (let b = 0; b < B; b++)
      actual.set(logits.subarray(b * V, (b + 1) * V), (b * got.length + step) * V);
  });
  close(actual, want);
}

function defaults({
  ids,
  B = 1,
  S,
}: Partial<ForwardRequest> & { ids: Int32Array }): ForwardRequest {
  const columns = S ?? ids.length / B;
  return {
    ...{ B, S: columns, ids, keepCache: false },
    keep: Int32Array.from({ length: columns }, (_, i) => i),
    wants: { logits: true, last: false, hidden: false, attentions: false },
  };
}

function grid(ids: Ids): { ids: Int32Array; B: number; S: number; rows: number[][] } {
  const rows = Array.isArray(ids[0]) ? (ids as number[][]) : [ids as number[]];
  return { ids: Int32Array.from(rows.flat()), B: rows.length, S: rows[0].length, rows };
}

const maskOf = (c: Case): Uint8Array | undefined =>
  c.attention_mask && Uint8Array.from(c.attention_mask.flat());
const positionsOf = (c: Case): Int32Array | undefined =>
  c.position_ids ? Int32Array.from(c.position_ids.flat()) : undefined;

function close(actual: Float32Array | undefined, want: ArrayLike<number>): void {
  expect(actual?.length).toBe(want.length);
  let worst = 0;
  for (let i = 0; i < want.length; i++) worst = Math.max(worst, distance(actual?.[i], want[i]));
  expect(worst).toBeLessThanOrEqual(TOLERANCE);
}

function closeWhere(
  actual: Float32Array | undefined,
  want: ArrayLike<number>,
  real: readonly number[],
): void {
  expect(actual?.length).toBe(want.length);
  const width = want.length / real.length;
  let worst = 0;
  for (let i = 0; i < want.length; i++) {
    if (real[Math.floor(i / width)] === 1) worst = Math.max(worst, distance(actual?.[i], want[i]));
  }
  expect(worst).toBeLessThanOrEqual(TOLERANCE);
}

/** NaN counts as infinitely far. */
function distance(a: number | undefined, b: number): number {
  const d = Math.abs((a ?? NaN) - b);
  return Number.isNaN(d) ? Infinity : d;
}
