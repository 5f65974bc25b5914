// The page cache against a naive model: every sequence keeps its own list of keys, and a simulated device keeps what slots say.

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError, MemoryError } from "../../src/errors.ts";
import {
  PAGE_COLUMNS,
  PagePool,
  pagesFor,
  SequencePages,
  tableSize,
} from "../../src/generate/pages.ts";
import { PAGE } from "../../src/ops/kv-append.ts";

const HOLE = 0;

/** What a backend would hold, and a sequence that remembers what it should hold. */
class Device {
  readonly memory: Int32Array = new Int32Array(64 * PAGE_COLUMNS);
  #nextKey = 1;

  newKeys(holes: readonly boolean[]): number[] {
    return holes.map((hole) => (hole ? HOLE : this.#nextKey++));
  }

  /** What a step does with a reservation: copies, then writes. */
  run(pages: SequencePages, keys: readonly number[]): void {
    const { slots, copies } = pages.reserve(
      keys.length,
      keys.map((key) => (key === HOLE ? 0 : 1)),
    );
    for (const [from, to] of copies) {
      this.memory.copyWithin(to * PAGE_COLUMNS, from * PAGE_COLUMNS, (from + 1) * PAGE_COLUMNS);
    }
    slots.forEach((slot, i) => {
      assert.equal(slot === -1, keys[i] === HOLE);
      if (slot >= 0) this.memory[slot] = keys[i];
    });
  }

  /** What rows in the columns `from` … `to` see, through the table. */
  check(pages: SequencePages, keys: readonly number[], from: number, to: number): void {
    const P = tableSize(Math.max(1, pages.pages));
    const table = new Int32Array(2 * P + 2).fill(-7);
    pages.writeTable(table, 1, P);
    assert.deepEqual([table[0], table[2 * P + 1]], [-7, -7]);
    const first = pages.window === null ? 0 : Math.max(0, from - pages.window + 1);
    for (let column = first; column < to; column++) {
      const entry = 1 + 2 * (Math.floor(column / PAGE_COLUMNS) % P);
      const offset = column % PAGE_COLUMNS;
      const seen = (table[entry + 1] >> offset) & 1;
      assert.equal(seen, keys[column] === HOLE ? 0 : 1, `bit of column ${column}`);
      if (seen) assert.equal(this.memory[table[entry] * PAGE_COLUMNS + offset], keys[column]);
    }
    // No bit beyond the columns that were reserved.
    let bits = 0;
    for (let p = 0; p < P; p++) bits += table[2 + 2 * p].toString(2).replaceAll("0", "").length;
    const held = keys.slice(pages.firstColumn, to).filter((key) => key !== HOLE).length;
    assert.equal(bits, held);
  }
}

const windows = fc.constantFrom(null, 1, 5, 8, 16, 17, 40);

describe("random schedules", () => {
  const step = fc.record({
    kind: fc.constantFrom("run", "run", "run", "fork", "crop", "drop", "dispose"),
    which: fc.nat(5),
    holes: fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  test("sequences hold what the naive model holds, and all pages come back", () => {
    fc.assert(
      fc.property(windows, fc.array(step, { maxLength: 40 }), (window, steps) => {
        const device = new Device();
        const pool = new PagePool(64);
        let live = [{ pages: new SequencePages(pool, window), keys: [] as number[] }];
        for (const { kind, which, holes, part } of steps) {
          const sequence = live[which % live.length];
          const { pages } = sequence;
          if (kind === "run") {
            const keys = device.newKeys(holes);
            const before = pages.length;
            try {
              device.run(pages, keys);
            } catch (error) {
              assert.ok(error instanceof MemoryError);
              continue;
            }
            device.check(pages, [...sequence.keys, ...keys], before, before + keys.length);
            const committed = Math.round(part * keys.length);
            pages.commit(committed);
            sequence.keys.push(...keys.slice(0, committed));
          } else if (kind === "drop") {
            if (pool.available < 4) continue;
            device.run(pages, device.newKeys(holes));
            pages.drop();
          } else if (kind === "fork" && live.length < 6) {
            live.push({ pages: pages.fork(), keys: [...sequence.keys] });
          } else if (kind === "crop") {
            const length = Math.floor(part * pages.length);
            const released =
              length > 0 && Math.max(0, length - (window ?? Infinity) + 1) < pages.firstColumn;
            if (released) assert.throws(() => pages.crop(length), InputError);
            else {
              pages.crop(length);
              sequence.keys.length = length;
            }
          } else if (kind === "dispose" && live.length > 1) {
            pages.dispose();
            live = live.filter((other) => other !== sequence);
          }
          for (const { pages: each, keys } of live) {
            expect(each.length).toBe(keys.length);
            device.check(each, keys, keys.length, keys.length);
          }
        }
        for (const { pages } of live) pages.dispose();
        expect([pool.inUse, pool.available]).toEqual([0, 64]);
      }),
      { numRuns: 400 },
    );
  });

  test("what was promised can always be taken, whatever others take", () => {
    fc.assert(
      fc.property(
        windows,
        fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 30 }),
        (window, chunks) => {
          const total = chunks.reduce((sum, chunk) => sum + chunk, 0);
          const promised = pagesFor(total, window, 24);
          const pool = new PagePool(promised + 3);
          const sequence = new SequencePages(pool, window);
          // Columns that were there before the promise count.
          sequence.reserve(chunks[0]);
          sequence.commit(chunks[0]);
          sequence.promise(promised);
          const greedy = new SequencePages(pool, null);
          greedy.reserve(3 * PAGE_COLUMNS);
          greedy.commit(3 * PAGE_COLUMNS);
          for (const chunk of chunks.slice(1)) {
            expect(() => greedy.reserve(1)).toThrow(MemoryError);
            sequence.reserve(chunk);
            expect(sequence.pages).toBeLessThanOrEqual(promised);
            sequence.commit(chunk);
          }
          sequence.dispose();
          greedy.dispose();
          expect([pool.inUse, pool.available]).toEqual([0, promised + 3]);
        },
      ),
      { numRuns: 200 },
    );
  });
});

test("a rolling cache keeps its size and wraps round its table", () => {
  const pool = new PagePool(10);
  const sequence = new SequencePages(pool, 8);
  const P = tableSize(pagesFor(1e9, 8, 1));
  expect(P).toBe(2);
  const table = new Int32Array(2 * P);
  for (let column = 0; column < 500; column++) {
    sequence.reserve(1);
    sequence.writeTable(table, 0, P);
    expect((table[2 * (Math.floor(column / 16) % P) + 1] >> (column % 16)) & 1).toBe(1);
    sequence.commit(1);
    expect(pool.inUse).toBeLessThanOrEqual(2);
  }
  expect(sequence.length).toBe(500);
  expect(sequence.firstColumn).toBe(480);
});

test("a fork shares its pages and copies only the last one, when it parts", () => {
  const pool = new PagePool(8);
  const parent = new SequencePages(pool, null);
  parent.reserve(40);
  parent.commit(40);
  expect(pool.inUse).toBe(3);
  const child = parent.fork();
  expect(pool.inUse).toBe(3);
  const { copies, slots } = child.reserve(1);
  expect(copies).toHaveLength(1);
  expect(Math.floor(slots[0] / PAGE_COLUMNS)).toBe(copies[0][1]);
  expect(copies[0][0]).not.toBe(copies[0][1]);
  child.drop();
  expect(pool.inUse).toBe(3);
  expect(child.reserve(1).copies).toHaveLength(1);
  child.commit(1);
  expect(pool.inUse).toBe(4);
  expect(parent.reserve(1).copies).toEqual([]);
  expect(child.reserve(9).copies).toEqual([]);
});

test("a full pool is a MemoryError with the arithmetic, and nothing changes", () => {
  const pool = new PagePool(3);
  const sequence = new SequencePages(pool, null);
  sequence.reserve(20);
  sequence.commit(20);
  expect(() => sequence.reserve(40)).toThrow(
    "cache: 2 pages of 16 columns are to be taken, but 1 can be: 3 pages − 2 in use − 0 promised to others",
  );
  expect([sequence.length, pool.inUse]).toEqual([20, 2]);
  pool.grow(4);
  expect(sequence.reserve(40).slots).toHaveLength(40);
});

test("pagesFor: the window and a chunk, wherever they start", () => {
  expect(pagesFor(100, null, 512)).toBe(7);
  expect(pagesFor(100_000, 4096, 512)).toBe(289);
  expect(pagesFor(30, 4096, 512)).toBe(2);
  expect([1, 2, 3, 5, 289].map(tableSize)).toEqual([1, 2, 4, 8, 512]);
});

test("a page here is a page of the ops", () => {
  expect(PAGE_COLUMNS).toBe(PAGE);
});
