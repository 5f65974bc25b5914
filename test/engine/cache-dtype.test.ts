// The cache in each dtype: what a page takes, constant memory behind a window, copies of shared pages, and how far what the model
// says lies from a cache in f32. Both backends keep the same numbers.

import { describe, expect, test } from "vitest";
import type { EngineCore } from "../../src/engine/core.ts";
import { PAGE_COLUMNS } from "../../src/generate/page-pool.ts";
import { SequencePages } from "../../src/generate/pages.ts";
import type { CacheDType } from "../../src/models/attend.ts";
import { backends, loadGolden, makeRoom } from "../golden/engines.ts";

const dtypes = ["f32", "f16", "bf16", "int8"] as const satisfies CacheDType[];

/** Bytes of a column of one key-value head of size D, keys and values. */
const columnBytes: Readonly<Record<CacheDType, (D: number) => number>> = {
  f32: (D) => 8 * D,
  f16: (D) => 4 * D,
  bf16: (D) => 4 * D,
  int8: (D) => 2 * (D + 4),
};

const load = async (
  model: string,
  cache: CacheDType,
  backend = "wasm",
  attention: "flash" | "eager" = "flash",
): Promise<EngineCore> => loadGolden(model, await backends[backend](), attention, "auto", cache);

/** The logits [tokens, V] of one sequence, in chunks of those sizes. */
async function logitsOf(
  core: EngineCore,
  sequence: SequencePages,
  ids: readonly number[],
  chunk = ids.length,
): Promise<number[]> {
  const logits: number[] = [];
  for (let from = 0; from < ids.length; from += chunk) {
    const part = Int32Array.from(ids.slice(from, from + chunk));
    await makeRoom(core, Math.ceil(part.length / PAGE_COLUMNS) + 2);
    const at = Int32Array.from(part, (_, i) => sequence.length + i);
    const { slots, copies } = sequence.reserve(part.length);
    const pages = new Int32Array(64);
    sequence.writeTable(pages, 0, 32);
    await core.runner.copyPages(copies);
    const rows = { ids: part, positions: at, seq: new Int32Array(part.length), at, slots, pages };
    const want = Int32Array.from(part, (_, i) => i);
    const result = await core.runner.step(
      { ...rows, tables: { S: 1, P: 32 }, want },
      { logits: true },
    );
    logits.push(...(result.logits ?? []));
    sequence.commit(part.length);
  }
  return logits;
}

const newSequence = ({ pool, runner }: EngineCore): SequencePages =>
  new SequencePages(pool, runner.config.sliding_window);

const prompt = (core: EngineCore, length: number): number[] =>
  Array.from({ length }, (_, i) => (i * 7919 + 3) % core.runner.config.vocab_size);

const furthest = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

describe("memory", () => {
  test.each(dtypes)("%s: bytes of a page, as the backend measures them", async (dtype) => {
    const core = await load("base-f32", dtype);
    const { num_hidden_layers, num_key_value_heads, head_dim } = core.runner.config;
    const column = num_hidden_layers * num_key_value_heads * columnBytes[dtype](head_dim);
    expect(core.runner.bytesPerPage).toBe(16 * column);
    await makeRoom(core, 64);
    expect(core.memory().states).toBe(core.memory().pages * 16 * column);
  });

  test.each(dtypes)("%s: a window keeps it constant", async (dtype) => {
    const core = await load("sw8-f32", dtype);
    const sequence = newSequence(core);
    const states: number[] = [];
    for (let i = 0; i < 12; i++) {
      await logitsOf(core, sequence, prompt(core, 24), 8);
      states.push(core.memory().states);
      expect(sequence.pages).toBeLessThanOrEqual(2);
    }
    expect(sequence.length).toBe(288);
    expect(new Set(states.slice(2)).size).toBe(1);
  });
});

test.each(dtypes)(
  "%s: a shared page that is written into is copied, scales and all",
  async (dtype) => {
    const core = await load("base-f32", dtype);
    const ids = prompt(core, 30);
    const first = newSequence(core);
    const whole = await logitsOf(core, first, ids);
    const second = first.fork();
    // What the fork writes must neither lose what it shares nor reach the first sequence.
    const after = prompt(core, 9).toReversed();
    const forked = await logitsOf(core, second, after);
    const other = await logitsOf(core, first, ids.slice(0, 5));
    const alone = await load("base-f32", dtype);
    const wanted = await logitsOf(alone, newSequence(alone), [...ids, ...after]);
    expect(wanted.slice(whole.length)).toEqual(forked);
    const again = await load("base-f32", dtype);
    const continued = await logitsOf(again, newSequence(again), [...ids, ...ids.slice(0, 5)]);
    expect(continued.slice(whole.length)).toEqual(other);
  },
);

describe("numbers", () => {
  // A key is off by this much of itself (int8: of its head's largest number). These models, whose weights are large,
  // make 1.6 to 4.7 times as much of it, of their largest logit; so do they of any other error.
  const units = { f16: 2 ** -11, bf16: 2 ** -8, int8: 2 ** -7 } as const;
  const AMPLIFIED = 8;

  test.each(["base-f32", "sw8-f32", "sw5-mqa-f32"])("%s: near those of f32", async (model) => {
    const full = await load(model, "f32");
    const ids = prompt(full, 60);
    const wanted = await logitsOf(full, newSequence(full), ids);
    const largest = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    for (const dtype of ["f16", "bf16", "int8"] as const) {
      const core = await load(model, dtype);
      const error = furthest(await logitsOf(core, newSequence(core), ids), wanted) / largest;
      expect(error, dtype).toBeGreaterThan(units[dtype] / AMPLIFIED); // it is rounded at all
      expect(error, dtype).toBeLessThan(units[dtype] * AMPLIFIED);
    }
  });

  test.each(dtypes)("%s: both backends, flash and eager, agree", async (dtype) => {
    const cores = await Promise.all([
      load("base-f32", dtype, "reference"),
      load("base-f32", dtype),
      load("base-f32", dtype, "wasm", "eager"),
    ]);
    const ids = prompt(cores[0], 40);
    const [wanted, ...others] = await Promise.all(
      cores.map((core) => logitsOf(core, newSequence(core), ids)),
    );
    const largest = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    // Where float32 and float64 fall on two sides of a half, a number is rounded the other way: once or never in so few rows.
    const unit = dtype === "f32" ? 2 ** -24 : units[dtype];
    const roundings = dtype === "f32" ? 64 : AMPLIFIED;
    for (const logits of others)
      expect(furthest(logits, wanted)).toBeLessThan(unit * roundings * largest);
  });
});
