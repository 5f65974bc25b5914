// Steps that are submitted without waiting, plans that stay while pools grow, and pools that grow by accounting.

import { describe, expect, test } from "vitest";
import type { Backend, LeafSpec } from "../../src/backends/backend.ts";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { EngineError, MemoryError } from "../../src/errors.ts";
import { recordCopy } from "../../src/generate/record.ts";
import { Runner, type StepRows } from "../../src/generate/runner.ts";
import { DelayedBackend } from "../delayed-backend.ts";
import { loadGolden } from "../golden/engines.ts";
import { seededWeights, stepModel, tinyConfig } from "../tiny-model.ts";

const config = tinyConfig({ sliding_window: null });
const V = config.vocab_size;
const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  reference: async () => new ReferenceBackend(),
  wasm: () => WasmBackend.create({ threads: 1 }),
};

/** A tiny model on that backend, with room for 8 pages. */
async function runnerOn(backend: Backend, pages = 8): Promise<Runner> {
  const runner = new Runner(stepModel(config), backend);
  const leaves = runner.weightLeaves({ logits: true });
  await backend.place(leaves);
  const weights = seededWeights(new Map(leaves.map(({ name, shape }) => [name, shape])), 11);
  for (const { name } of leaves) {
    const bytes = new Uint8Array(Float32Array.from(weights[name]).buffer);
    await backend.load(name, async ([target]) => target.set(bytes));
  }
  if (pages > 0) await runner.growPool(pages);
  return runner;
}

/** Columns [from, to) of sequences, each in one page of its own: pages[s]. The last row of each is wanted. */
function rowsOf(pages: readonly number[], from: number, to: number, P = 1): StepRows {
  const rows = pages.flatMap((page, s) =>
    Array.from({ length: to - from }, (_, i) => ({ s, page, at: from + i })),
  );
  const ints = (value: (row: (typeof rows)[number]) => number): Int32Array =>
    Int32Array.from(rows, value);
  return {
    ids: ints(({ s, at }) => (at * 7 + s * 3) % V),
    positions: ints(({ at }) => at),
    seq: ints(({ s }) => s),
    at: ints(({ at }) => at),
    slots: ints(({ page, at }) => page * 16 + at),
    pages: Int32Array.from(
      pages.flatMap((page) => [page, (1 << to) - 1, ...Array.from({ length: 2 * P - 2 }, () => 0)]),
    ),
    tables: { S: pages.length, P },
    want: Int32Array.from(pages, (_, s) => (s + 1) * (to - from) - 1),
  };
}

const wants = { logits: true };

describe.each(Object.keys(backends))("steps that are not waited for, on %s", (name) => {
  test("give what they give one after the other: each sees what the ones before wrote", async () => {
    const plain = await runnerOn(await backends[name]());
    const wanted = [
      await plain.step(rowsOf([0], 0, 5), wants),
      await plain.step(rowsOf([0], 5, 6), wants),
    ];
    await plain.copyPages([[0, 3]]);
    wanted.push(await plain.step(rowsOf([3], 6, 8), wants));
    wanted.push(await plain.step(rowsOf([0], 6, 7), wants));

    const backend = new DelayedBackend(await backends[name]());
    const runner = await runnerOn(backend);
    const first = runner.submit(rowsOf([0], 0, 5), wants);
    const second = runner.submit(rowsOf([0], 5, 6), wants);
    const copied = runner.copyPages([[0, 3]]);
    const third = runner.submit(rowsOf([3], 6, 8), wants);
    const fourth = runner.submit(rowsOf([0], 6, 7), wants);
    expect(await Promise.all([first, second, third, fourth])).toEqual(wanted);
    await copied;
    expect(backend.mostWaiting).toBeGreaterThan(2);
  });

  test("a plan is compiled once, however many steps ask for it meanwhile", async () => {
    const backend = new DelayedBackend(await backends[name]());
    const runner = await runnerOn(backend);
    await Promise.all([1, 2, 3, 4].map((page) => runner.submit(rowsOf([page], 0, 3), wants)));
    expect(backend.compiled).toHaveLength(1);
  });

  test("programs that make room for others run their steps first", async () => {
    const backend = new DelayedBackend(await backends[name]());
    const runner = await runnerOn(backend);
    const kinds = [
      wants,
      { last: true },
      { hidden: true },
      { logits: true, last: true },
      { nll: true },
    ];
    const steps = [1, 2, 4, 8, 16, 32].flatMap((P) =>
      kinds.map((kind) =>
        runner.submit({ ...rowsOf([0], 0, 2, P), labels: Int32Array.of(1) }, kind),
      ),
    );
    const results = await Promise.all(steps);
    expect(backend.compiled).toHaveLength(30);
    const logits = results.flatMap((result) => result.logits ?? []);
    expect(logits).toHaveLength(12);
    for (const own of logits) expect(own).toEqual(logits[0]);
    runner.dispose();
  });

  test("a plan that cannot be compiled fails its step alone, and is tried again", async () => {
    const backend = new DelayedBackend(await backends[name]());
    const runner = await runnerOn(backend);
    backend.compileError = new MemoryError("no room for a program");
    const failing = runner.submit(rowsOf([0], 0, 3), wants);
    const other = runner.submit(rowsOf([1], 0, 1), wants);
    await expect(failing).rejects.toThrow("no room for a program");
    expect((await other).logits).toHaveLength(V);
    expect((await runner.submit(rowsOf([0], 0, 3), wants)).logits).toHaveLength(V);
  });

  test("a step that fails rejects its own promise; the next ones run", async () => {
    const backend = new DelayedBackend(await backends[name]());
    const runner = await runnerOn(backend);
    const wanted = await runner.step(rowsOf([1], 0, 3), wants);
    const short = { ...rowsOf([0], 0, 3), slots: new Int32Array(1) };
    const failing = runner.submit(short, wants);
    const next = runner.submit(rowsOf([1], 0, 3), wants);
    await expect(failing).rejects.toThrow(EngineError);
    await expect(failing).rejects.toThrow(/input slots: 1 numbers came, 3 are needed/);
    expect(await next).toEqual(wanted);
  });
});

describe.each(Object.keys(backends))("plans, on %s", (name) => {
  test("stay when pools grow, and serve numbers of sequences up to the next power of two", async () => {
    const backend = new DelayedBackend(await backends[name]());
    const runner = await runnerOn(backend, 4);
    const alone = await runner.step(rowsOf([0], 0, 4), wants);
    // rowsOf gives the first sequence of every step the same tokens.
    await runner.growPool(40);
    const three = await runner.step(rowsOf([37, 38, 39], 0, 4), wants);
    const compiled = backend.compiled.length;
    await runner.growPool(41);
    const four = await runner.step(rowsOf([37, 38, 39, 40], 0, 4), wants);
    expect(backend.compiled).toHaveLength(compiled);
    expect(three.logits?.subarray(0, V)).toEqual(alone.logits);
    expect(four.logits?.subarray(0, 3 * V)).toEqual(three.logits);
    await runner.copyPages([[0, 1]]);
    const copies = backend.compiled.length;
    await runner.growPool(50);
    await runner.copyPages([[0, 49]]);
    expect(backend.compiled).toHaveLength(copies);
    const { logits } = await runner.step(rowsOf([49], 4, 5), wants);
    expect(logits).toEqual((await runner.step(rowsOf([0], 4, 5), wants)).logits);
  });
});

/** Gives no state more than 20 rows of addresses. */
class NarrowBackend extends DelayedBackend {
  override async place(leaves: readonly LeafSpec[]): Promise<void> {
    if (leaves.some(({ reserve = 0 }) => reserve > 20))
      throw new MemoryError("the system gives no more addresses");
    return super.place(leaves);
  }
}

describe.each(Object.keys(backends))("pools, on %s", (name) => {
  test("know how many pages they could have, and refuse more with the arithmetic", async () => {
    const limited: Backend =
      name === "wasm"
        ? await WasmBackend.create({ threads: 1, memoryLimit: 400_000 })
        : new ReferenceBackend(undefined, 400_000);
    const runner = await runnerOn(limited, 0);
    const most = runner.maxPages;
    expect(most).toBeGreaterThan(5);
    await runner.growPool(3);
    expect([runner.pages, runner.maxPages]).toEqual([3, most]);
    const before = limited.memory();
    await expect(runner.growPool(2 * most)).rejects.toThrow(MemoryError);
    expect(limited.memory()).toEqual(before);
    expect([runner.pages, runner.maxPages]).toEqual([3, most]);
    await runner.growPool(most);
    expect([runner.pages, runner.maxPages]).toEqual([most, most]);
    await expect(runner.growPool(2 * most)).rejects.toThrow(MemoryError);
  });

  test("reserve less where the system refuses addresses, and grow beyond that too", async () => {
    const runner = await runnerOn(new NarrowBackend(await backends[name]()));
    const { logits } = await runner.step(rowsOf([7], 0, 4), wants);
    await runner.growPool(20);
    await runner.growPool(60);
    expect((await runner.step(rowsOf([59], 0, 4), wants)).logits).toEqual(logits);
  });

  test("of a runner before this one, whose worker died, are replaced", async () => {
    const backend = await backends[name]();
    const first = await runnerOn(backend, 30);
    const { logits } = await first.step(rowsOf([7], 0, 4), wants);
    const second = new Runner(stepModel(config), backend);
    expect(second.pages).toBe(0);
    await second.growPool(8);
    const [keys] = await backend.read("cache.0.k");
    expect(keys.every((byte) => byte === 0)).toBe(true);
    expect((await second.step(rowsOf([7], 0, 4), wants)).logits).toEqual(logits);
    expect(backend.memory().states).toBe(8 * second.bytesPerPage * (name === "wasm" ? 1 : 2));
  });
});

test("a loaded model's pools reserve all addresses that there are, and take no memory", async () => {
  const backend = await WasmBackend.create({ threads: 1 });
  const { runner } = await loadGolden("base-f32", backend, "flash");
  const before = process.memoryUsage.rss();
  await runner.growPool(1);
  const { states } = backend.memory();
  expect(states).toBe(runner.bytesPerPage);
  const [{ buffer }] = backend.adopted().memories;
  expect(buffer.byteLength).toBeGreaterThan(2 ** 30);
  for (let pages = 2; pages <= 200; pages++) await runner.growPool(pages);
  expect(backend.memory().states).toBe(200 * states);
  expect(process.memoryUsage.rss() - before).toBeLessThan(16 * 2 ** 20);
});

describe.each(Object.keys(backends))("reading leaves back, on %s", (name) => {
  test("weights give the bytes that were loaded, states what ops wrote, after the steps so far", async () => {
    const backend = new DelayedBackend(await backends[name]());
    const runner = await runnerOn(backend, 3);
    const spec: LeafSpec = {
      ...{ name: "coded", kind: "weight", shape: [4, 64], dtype: "nf4-64", regions: [] },
    };
    await backend.place([spec]);
    const loaded: Uint8Array[] = [];
    await backend.load("coded", async (parts) => {
      parts.forEach((part, p) => {
        part.set(Uint8Array.from(part, (_, i) => (i * 7 + p) % 50));
        loaded.push(part.slice());
      });
    });
    expect(await backend.read("coded")).toEqual(loaded);

    await runner.step(rowsOf([1], 0, 3), wants);
    const copy = await backend.compile(recordCopy(config, "f32", 1));
    const pages = { from: Int32Array.of(1), to: Int32Array.of(2) };
    const copied = copy.submit(pages, { rows: 1, wanted: 0 }, []);
    const [values] = await backend.read("cache.0.v");
    const columns = config.num_key_value_heads * config.head_dim;
    const page = 16 * columns * 4;
    expect(values.length).toBe(3 * page);
    const numbers = [0, 1, 2].map((n) => new Float32Array(values.buffer, n * page, 16 * columns));
    const written = numbers.map((all) => all.filter((x) => x !== 0).length);
    expect(written).toEqual([0, 3 * columns, 3 * columns]);
    expect(numbers[2]).toEqual(numbers[1]);
    await copied;
    await expect(backend.read("unknown")).rejects.toThrow(/leaf unknown has not been placed/);
  });
});
