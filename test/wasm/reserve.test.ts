// States that reserve addresses: growing them is accounting. What they reserve takes no memory, and scratch gets it when it must.

import type { MemoryMaxima } from "#platform";
import { expect, test } from "vitest";
import type { LeafSpec } from "../../src/backends/backend.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { ShardedMemory } from "../../src/backends/wasm/memory.ts";
import { EngineError, MemoryError } from "../../src/errors.ts";
import { Graph } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { planned } from "./team.ts";

const MiB = 2 ** 20;
/** Bytes that a memory can grow to where nothing limits it. */
const REACH = 2 ** 32;
/** Bytes of a row of the states here. */
const ROW = 16 * 1024 * 4;

const state = (name: string, rows: number, reserve?: number): LeafSpec => ({
  ...{ name, kind: "state", shape: [rows, 16, 1024], dtype: "f32", regions: ["a"], reserve },
});
const placesOf = (memory: ShardedMemory, ...names: string[]) =>
  names.map((name) => memory.leaf(name).places);
const resident = (): number => process.memoryUsage.rss() / MiB;

type Range = [from: number, to: number];

/** A memory that only notes for which bytes it asks for large pages, and for small ones. */
function notingMemory(
  memoryLimit = 1e12,
  maxima: MemoryMaxima = { perMemory: REACH, total: Infinity },
): {
  memory: ShardedMemory;
  advised: Range[];
  small: Range[];
} {
  const advised: Range[] = [];
  const small: Range[] = [];
  const native = {
    useLargePages: (_: ArrayBufferLike, from: number, to: number) => advised.push([from, to]) > 0,
    useSmallPages: (_: ArrayBufferLike, from: number, to: number) => small.push([from, to]) > 0,
    largePagePhase: () => 0,
    mapFile: () => false,
    unmap: () => false,
  };
  const options = { shared: true, threads: 1, wide: false, memoryLimit, maxima, native };
  return { memory: new ShardedMemory(options), advised, small };
}

test("growing a hundred times moves nothing and copies nothing; rows stay, new ones are zero", async () => {
  const { memory } = notingMemory();
  memory.place([state("old", 20)]);
  memory.views(memory.leaf("old").spec, memory.leaf("old").places[0])[0].fill(7);
  memory.release("old"); // what is placed there next must not show it
  memory.place([state("K", 1, 5000), state("V", 1, 5000)]);
  const before = placesOf(memory, "K", "V");
  const { epoch } = memory;
  for (let rows = 2; rows <= 101; rows++) {
    memory.grow(["K", "V"], rows);
    const { spec, places } = memory.leaf("K");
    const [bytes] = memory.views(spec, places[0]);
    expect(bytes.length).toBe(rows * ROW);
    expect(bytes[(rows - 1) * ROW]).toBe(0);
    expect(bytes.subarray((rows - 2) * ROW).findIndex((byte) => byte !== 0)).toBe(
      rows === 2 ? -1 : 5,
    );
    bytes[(rows - 1) * ROW + 5] = rows;
  }
  expect(placesOf(memory, "K", "V")).toEqual(before);
  expect(memory.epoch).toBe(epoch);
  expect(memory.usage().states).toBe(2 * 101 * ROW);
  const [bytes] = memory.views(memory.leaf("K").spec, memory.leaf("K").places[0]);
  for (let rows = 2; rows <= 101; rows++) expect(bytes[(rows - 1) * ROW + 5]).toBe(rows);
});

test("a huge reserve takes no memory", async () => {
  const backend = await WasmBackend.create({ threads: 1 });
  const specs = Array.from({ length: 64 }, (_, i) => state(`cache.${i}`, 2));
  const { reserve } = backend.room(specs, 0);
  expect(reserve * 64 * ROW).toBeGreaterThan(Math.min(3e9, process.availableMemory() / 2));
  const before = resident();
  await backend.place(specs.map((spec) => ({ ...spec, reserve })));
  await backend.grow(
    specs.map(({ name }) => name),
    Math.min(100, reserve),
  );
  expect(resident() - before).toBeLessThan(16);
  const [{ buffer }] = backend.adopted().memories;
  expect(buffer.byteLength).toBeGreaterThan(reserve * 64 * ROW);
  await backend.dispose();
});

test("a worker that adopts a memory with reserves places its own, without touching what is only reserved", async () => {
  const first = await WasmBackend.create({ threads: 1 });
  const { reserve } = first.room([state("K", 1)], 0);
  await first.place([state("K", 40, reserve)]);
  await first.load("K", async ([bytes]) => void bytes.fill(9));
  const second = await WasmBackend.create({ threads: 1, adopted: first.adopted() });
  second.release(["K"]);
  expect(second.room([state("K", 1)], 0).reserve).toBe(reserve);
  const before = resident();
  await second.place([state("K", 10, reserve)]);
  await second.grow(["K"], 60);
  const [bytes] = await second.read("K");
  expect(bytes.length).toBe(60 * ROW);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  expect(resident() - before).toBeLessThan(40);
  await second.dispose();
});

test("what exceeds the limit is refused with the arithmetic, and nothing has changed", () => {
  const { memory } = notingMemory(100 * ROW);
  memory.place([state("K", 30, 1000), state("V", 30, 1000)]);
  const before = structuredClone(memory.directory);
  expect(() => memory.grow(["K", "V"], 51)).toThrow(MemoryError);
  expect(() => memory.grow(["K", "V"], 51)).toThrow(
    /^growing 2 states to 51 rows needs 2\.75 MB more, but the limit of 6\.55 MB less 3\.93 MB in use leaves 2\.62 MB;/,
  );
  expect(memory.directory).toEqual(before);
  expect(memory.room([state("K", 1), state("V", 1)], 0)).toEqual({ reserve: 1000, now: 50 });
  memory.grow(["K", "V"], 50);
});

test("room is left for scratch, and never more is reserved than memory could hold", () => {
  const { memory } = notingMemory();
  const bytes = (scratch: number): number =>
    memory.room([state("K", 1), state("V", 1)], scratch).reserve * 2 * ROW;
  expect(bytes(0)).toBeGreaterThan(REACH * 0.95);
  expect(REACH - bytes(400 * MiB)).toBeGreaterThan(500 * MiB);
  expect(bytes(8 * REACH)).toBeGreaterThan(REACH * 0.45);
  const small = notingMemory(1000 * ROW).memory;
  expect(small.room([state("K", 1), state("V", 1)], 0)).toEqual({ reserve: 500, now: 500 });
});

test("in a small memory states reserve half of what is left there, and weights get it when they must", () => {
  const { memory } = notingMemory(1e12, { perMemory: 64 * MiB, total: 64 * MiB });
  const weight = (name: string, bytes: number): LeafSpec => ({
    ...{ name, kind: "weight", shape: [bytes / 4], dtype: "f32", regions: ["a"] },
  });
  memory.place([weight("w", 16 * MiB)]);
  const { reserve } = memory.room([state("K", 1), state("V", 1)], 0);
  expect(reserve * 2 * ROW).toBeGreaterThan(23 * MiB);
  expect(reserve * 2 * ROW).toBeLessThanOrEqual(24 * MiB);
  memory.place([state("K", 20, reserve), state("V", 20, reserve), weight("a", 20 * MiB)]);
  expect(() => memory.place([weight("b", 26 * MiB)])).toThrow(
    /needs 27\.26 MB .*memories have 26\.\d+ MB of addresses left \(memories of 67\.11 MB, /,
  );
  expect(memory.leaf("K").spec.reserve).toBe(reserve);
  memory.place([weight("b", 20 * MiB)]);
  expect(memory.leaf("K").spec.reserve).toBeUndefined();
});

test("beyond its reserve a state moves, with what it holds", () => {
  const { memory } = notingMemory();
  memory.place([state("K", 4, 8), state("V", 4, 100)]);
  const fill = ({ spec, places }: ReturnType<ShardedMemory["leaf"]>): Uint8Array =>
    memory.views(spec, places[0])[0];
  fill(memory.leaf("K")).fill(3);
  const { epoch } = memory;
  memory.grow(["K", "V"], 9);
  expect(memory.epoch).toBeGreaterThan(epoch);
  const bytes = fill(memory.leaf("K"));
  expect(bytes.length).toBe(9 * ROW);
  expect(bytes.subarray(0, 4 * ROW).every((byte) => byte === 3)).toBe(true);
  expect(bytes.subarray(4 * ROW).every((byte) => byte === 0)).toBe(true);
});

test("scratch that finds no addresses gets what states have reserved; what they hold stays, and they can grow on", async () => {
  const backend = await WasmBackend.create({ threads: 1, memoryLimit: 1e12 });
  const reserve = Math.floor((REACH * 0.45) / ROW);
  await backend.place([state("K", 3, reserve), state("V", 3, reserve)]);
  for (const name of ["K", "V"]) await backend.load(name, async ([bytes]) => void bytes.fill(1));
  const graph = new Graph();
  const [K, V] = ["K", "V"].map((name) => graph.leaf(name, "state", [1, 16, 1024]));
  const program = backend.compile(planned(graph, [graph.region("a", () => add(K, V))]).plan);
  const replay = (): Promise<Float32Array[]> => program.submit({}, { rows: 0, wanted: 0 }, [0]);
  const before = await replay();
  const { K: oldK } = backend.adopted().directory.leaves;

  const large = new Graph();
  const x = large.leaf("x", "input", [2 ** 25, 8], "f32", "rows"); // 1 GiB
  const sums = backend.compile(planned(large, [add(x, x)]).plan);
  const [sum] = await sums.submit({ x: new Float32Array(8).fill(2) }, { rows: 1, wanted: 0 }, [0]);
  expect([...sum]).toEqual(Array.from({ length: 8 }, () => 4));
  expect(backend.adopted().directory.leaves.K.places).not.toEqual(oldK.places);
  expect(await replay()).toEqual(before);
  expect((await backend.read("V"))[0].every((byte) => byte === 1)).toBe(true);
  await backend.grow(["K", "V"], 20);
  expect(await replay()).toEqual(before);

  // What cannot be had in any way leaves the reserves alone.
  const other = await WasmBackend.create({ threads: 1, memoryLimit: 1e12 });
  await other.place([state("K", 3, reserve), state("V", 3, reserve)]);
  const places = structuredClone(other.adopted().directory.leaves);
  const weight: LeafSpec = { ...state("w", REACH / ROW), kind: "weight" };
  await expect(other.place([weight])).rejects.toThrow(/weight w needs 4\.29 GB in memory 0/);
  expect(other.adopted().directory.leaves).toEqual(places);
});

test("large pages are asked for where states can be used, never for what is only reserved", () => {
  const { memory, advised, small } = notingMemory();
  memory.place([state("w", 600)]); // 37.5 MiB: as every leaf without a reserve
  expect(advised.length).toBe(1);
  advised.length = 0;
  memory.place([state("K", 20, 2000), state("V", 20, 2000)]);
  expect(advised).toEqual([]);
  const reserves = placesOf(memory, "K", "V").map(([{ parts }]) => parts[0]);
  expect(small.map(([from, to]) => [from >> 14, (to - from) >> 14])).toEqual(
    reserves.map((offset) => [Math.ceil(offset / 16384), Math.floor((2000 * ROW) / 16384)]),
  );
  for (let rows = 21; rows <= 200; rows++) memory.grow(["K"], rows);
  const { shape } = memory.leaf("K").spec;
  const [{ parts }] = memory.leaf("K").places;
  expect(advised.length).toBe(Math.floor((200 * ROW) / (2 * MiB)));
  for (const [from, to] of advised) {
    expect((from % 16384) + (to % 16384)).toBe(0);
    expect(from - parts[0]).toBeGreaterThanOrEqual(0);
    expect(from - parts[0]).toBeLessThan(16384);
    expect(to - parts[0]).toBeLessThanOrEqual(shape[0] * ROW);
  }
  expect(advised.at(-1)?.[1]).toBeGreaterThan(parts[0] + 190 * ROW);
});

test("only plain formats can reserve rows", () => {
  const { memory } = notingMemory();
  const coded: LeafSpec = { ...state("K", 2, 4), dtype: "nf4-64" };
  expect(() => memory.place([coded])).toThrow(EngineError);
  expect(memory.directory.leaves).toEqual({});
});
