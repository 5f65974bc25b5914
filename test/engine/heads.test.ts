// Heads at the engine, where no golden looks: a masked token that classifies, losses over more rows than a chunk holds, and caches.

import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import type { EngineCore } from "../../src/engine/core.ts";
import type { ForwardRequest } from "../../src/engine/messages.ts";
import { CHUNK } from "../../src/generate/runner.ts";
import { InputError } from "../../src/errors.ts";
import type { ModelClass } from "../../src/models/heads.ts";
import { backends, call, loadModel } from "../golden/engines.ts";
import { goldenPath } from "../golden-files.ts";

async function load(model: string, backend = "wasm"): Promise<EngineCore> {
  const dir = goldenPath(`models/${model}`);
  const config = JSON.parse(readFileSync(`${dir}/config.json`, "utf8")) as Record<string, unknown>;
  const [modelClass] = config.architectures as ModelClass[];
  const source = { dir, config, dtype: "auto", attention: "flash" as const, modelClass };
  const core = await loadModel(source, await backends[backend]());
  onTestFinished(() => expect(core.memory().pagesInUse).toBe(0));
  return core;
}

const request = (
  rows: readonly (readonly number[])[],
  more: Partial<ForwardRequest> = {},
): ForwardRequest => ({
  ...{ B: rows.length, S: rows[0].length, ids: Int32Array.from(rows.flat()), keepCache: false },
  keep: Int32Array.from(rows[0], (_, i) => i),
  wants: { logits: true, last: false, hidden: false, attentions: false },
  ...more,
});

const text = (length: number, step: number): number[] =>
  Array.from({ length }, (_, i) => 3 + ((i * step) % 600));

test("a token that the mask hides may classify: its row sees what stands before it", async () => {
  const ids = [[5, 9, 12, 30]];
  const hidden = request(ids, { mask: Uint8Array.of(1, 1, 1, 0) });
  const [wasm, reference] = await Promise.all([
    load("seqcls-f32"),
    load("seqcls-f32", "reference"),
  ]);
  const { logits = new Float32Array() } = await wasm.forward(hidden, call);
  const { logits: same = new Float32Array() } = await reference.forward(hidden, call);
  logits.forEach((x, k) => expect(Math.abs(x - same[k])).toBeLessThan(1e-4));
  for (const other of [request(ids), request([[5, 9, 12]])]) {
    const { logits: seen = new Float32Array() } = await wasm.forward(other, call);
    expect(Math.max(...seen.map((x, k) => Math.abs(x - logits[k])))).toBeGreaterThan(1e-2);
  }
});

test("a sequence classifier goes on from a cache", async () => {
  const core = await load("seqcls-f32");
  const ids = text(9, 7);
  const whole = await core.forward(request([ids]), call);
  const first = await core.forward(request([ids.slice(0, 5)], { keepCache: true }), call);
  const cache = first.cache?.id ?? -1;
  const { logits } = await core.forward(request([ids.slice(5)], { cache, keepCache: true }), call);
  expect(logits).toEqual(whole.logits);
  await core.cache({ op: "dispose", cache });
});

test("the loss of spans is over all columns, however many chunks the logits take", async () => {
  const core = await load("qa-f32");
  const rows = [text(400, 7), text(400, 11)];
  const [B, S] = [2, 400];
  expect(B * S).toBeGreaterThan(CHUNK);
  const positions = [3, 399, 200, 1000];
  const { logits = new Float32Array() } = await core.forward(request(rows), call);
  const nll = (b: number, side: number): number => {
    const column = Array.from({ length: S }, (_, i) => logits[(b * S + i) * 2 + side]);
    const sum = column.reduce((total, x) => total + Math.exp(x), 0);
    return Math.log(sum) - column[positions[b * 2 + side]];
  };
  // The end of the second row lies outside and does not count.
  const expected = ((nll(0, 0) + nll(1, 0)) / 2 + nll(0, 1)) / 2;
  const labels = Int32Array.from(positions);
  const { loss = NaN } = await core.forward(request(rows, { labels }), call);
  expect(Math.abs(loss - expected)).toBeLessThan(1e-5);
  const counted = await core.forward(request(rows, { labels, numItems: 4 }), call);
  const sums = [(nll(0, 0) + nll(1, 0)) / 4, nll(0, 1) / 4];
  expect(Math.abs((counted.loss ?? NaN) - (sums[0] + sums[1]) / 2)).toBeLessThan(1e-5);

  const kept = core.forward(request(rows, { labels, keepCache: true }), call);
  await expect(kept).rejects.toThrow(/neither use nor keep a cache/);
  const none = await core.forward(request(rows, { labels: Int32Array.of(S, S, S, S) }), call);
  expect(none.loss).toBeNaN();
});

test("labels that do not fit are refused, and the next call works", async () => {
  const core = await load("tokcls-f32");
  const bad = core.forward(request([[1, 2]], { labels: Int32Array.of(0, 5) }), call);
  await expect(bad).rejects.toThrow(
    new InputError("labels: 5: expected classes from 0 to 4, or −100 (ignored)"),
  );
  const { loss } = await core.forward(request([[1, 2]], { labels: Int32Array.of(0, 4) }), call);
  expect(loss).toBeGreaterThan(0);
});
