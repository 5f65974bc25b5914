// The page cache against a naive model: every sequence keeps its own list of keys, and a simulated device keeps what slots say.

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError, MemoryError } from "../../src/errors.ts";
import { PageContent } from "../../src/generate/page-content.ts";
import { PAGE_COLUMNS, PagePool } from "../../src/generate/page-pool.ts";
import { pagesToTake, SequencePages, tableSize } from "../../src/generate/pages.ts";
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

  test("a sequence never takes more than pagesToTake says, and exactly what missingFor says", () => {
    fc.assert(
      fc.property(
        windows,
        fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 30 }),
        fc.nat(29),
        (window, chunks, forkAt) => {
          const pool = new PagePool(200);
          const sequence = new SequencePages(pool, window);
          let held: SequencePages | undefined;
          let from = 0;
          let most = 0;
          const total = chunks.reduce((sum, chunk) => sum + chunk, 0);
          for (const [i, chunk] of chunks.entries()) {
            if (i === forkAt) {
              held = sequence.fork();
              from = held.length;
            }
            const before = pool.available;
            const missing = sequence.missingFor(chunk);
            sequence.reserve(chunk);
            expect(before - pool.available).toBe(missing);
            if (held !== undefined) most = Math.max(most, pool.inUse - held.pages);
            else most = Math.max(most, pool.inUse);
            sequence.commit(chunk);
          }
          expect(most).toBeLessThanOrEqual(
            Math.max(pagesToTake(0, total, window, 24), pagesToTake(from, total, window, 24)),
          );
          sequence.dispose();
          held?.dispose();
          expect(pool.inUse).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("pages found by their content", () => {
  /** A text of few words: prefixes meet often. */
  const text = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 150 });
  const call = fc.record({
    words: text,
    chunk: fc.integer({ min: 1, max: 40 }),
    cropTo: fc.double({ min: 0, max: 1, noNaN: true }),
    keep: fc.boolean(),
    domain: fc.constantFrom("", "", "other"),
  });

  test("whatever was computed before: what a sequence takes over is what it would have computed", () => {
    let adopted = 0;
    fc.assert(
      fc.property(
        windows,
        fc.array(call, { minLength: 2, maxLength: 12 }),
        fc.integer({ min: 24, max: 60 }),
        (window, calls, pages) => {
          const pool = new PagePool(pages);
          // Per slot the whole text up to its column, as deeper layers mix it: `domain:text`.
          const memory: string[] = [];
          const kept: SequencePages[] = [];
          for (const { words, chunk, cropTo, keep, domain } of calls) {
            // Runs of 16 equal words make texts that differ in few pages.
            const ids = words.flatMap((word) => Array.from({ length: 4 }, () => word));
            const content = new PageContent(pool.keys, domain);
            ids.forEach((id, column) => content.note(column, id));
            const sequence = new SequencePages(pool, window, content);
            const upTo = (column: number): string =>
              `${domain}:${ids.slice(0, column + 1).join("")}`;
            const check = (to: number): void => {
              const P = tableSize(sequence.pages);
              const table = new Int32Array(2 * P);
              sequence.writeTable(table, 0, P);
              const first = window === null ? 0 : Math.max(0, sequence.length - window + 1);
              for (let column = first; column < to; column++) {
                const entry = 2 * (Math.floor(column / PAGE_COLUMNS) % P);
                assert.equal((table[entry + 1] >> (column % PAGE_COLUMNS)) & 1, 1);
                const slot = table[entry] * PAGE_COLUMNS + (column % PAGE_COLUMNS);
                assert.equal(memory[slot], upTo(column));
              }
            };
            const run = (): boolean => {
              while (sequence.length < ids.length) {
                adopted += sequence.adopt(ids.length - 1);
                const count = Math.min(chunk, ids.length - sequence.length);
                if (sequence.missingFor(count) > pool.available) return false;
                const at = sequence.length;
                const { slots, copies } = sequence.reserve(count);
                for (const [from, to] of copies) {
                  for (let i = 0; i < PAGE_COLUMNS; i++) {
                    memory[to * PAGE_COLUMNS + i] = memory[from * PAGE_COLUMNS + i];
                  }
                }
                slots.forEach((slot, i) => (memory[slot] = upTo(at + i)));
                check(at + count);
                sequence.commit(count);
              }
              return true;
            };
            if (run()) {
              const length = Math.floor(cropTo * sequence.length);
              const seen = Math.max(0, length - (window ?? Infinity) + 1);
              if (length === 0 || seen >= sequence.firstColumn) {
                sequence.crop(length);
                // Another end, written where the old one stood.
                for (let column = length; column < ids.length; column++) ids[column] = 7;
                ids.forEach((id, column) => sequence.content.note(column, id));
                run();
              }
            }
            if (keep && pool.available > 20) kept.push(sequence);
            else sequence.dispose();
          }
          for (const sequence of kept) sequence.dispose();
          expect([pool.inUse, pool.available]).toEqual([0, pages]);
        },
      ),
      { numRuns: 300 },
    );
    expect(adopted).toBeGreaterThan(1000);
  });

  /** A sequence of that text, computed as far as it is not found. */
  const computed = (
    pool: PagePool,
    ids: readonly number[],
    window: number | null = null,
  ): { sequence: SequencePages; adopted: number } => {
    const content = new PageContent(pool.keys);
    ids.forEach((id, column) => content.note(column, id));
    const sequence = new SequencePages(pool, window, content);
    sequence.adopt(ids.length - 1);
    const { length } = sequence;
    sequence.reserve(ids.length - length);
    sequence.commit(ids.length - length);
    return { sequence, adopted: length };
  };
  const words = (length: number, from = 0): number[] =>
    Array.from({ length }, (_, i) => (i + from) % 50);

  test("full pages only, never the last row, and also of sequences that are gone", () => {
    const pool = new PagePool(20);
    const { sequence } = computed(pool, words(48));
    expect(computed(pool, words(48)).adopted).toBe(32);
    sequence.dispose();
    expect(computed(pool, words(49)).adopted).toBe(48);
    expect(computed(pool, [...words(40), 99, 99]).adopted).toBe(32);
    expect(computed(pool, words(48, 1)).adopted).toBe(0);
  });

  test("pages that are needed forget what has not been used for longest, the end of a text before its beginning", () => {
    const pool = new PagePool(6);
    computed(pool, words(48)).sequence.dispose();
    computed(pool, words(48, 7)).sequence.dispose();
    expect([pool.kept, pool.inUse]).toEqual([6, 0]);
    computed(pool, words(16, 20)).sequence.dispose();
    expect(computed(pool, words(48)).adopted).toBe(32);
  });

  test("behind a window pages are free at once; a text can be taken up where its window is still there", () => {
    const pool = new PagePool(20);
    const { sequence } = computed(pool, words(200), 32);
    expect(pool.kept).toBe(0);
    sequence.dispose();
    expect(pool.kept).toBe(2);
    expect(computed(pool, words(200), 32).adopted).toBe(192);
    expect(computed(pool, words(100), 32).adopted).toBe(0);
  });

  test("a page that is written anew is not found by what it held", () => {
    const pool = new PagePool(20);
    const { sequence } = computed(pool, words(48));
    sequence.crop(40);
    for (let column = 40; column < 48; column++) sequence.content.note(column, 99);
    sequence.reserve(8);
    sequence.commit(8);
    expect(computed(pool, words(49)).adopted).toBe(32);
    expect(computed(pool, [...words(40), ...Array.from({ length: 9 }, () => 99)]).adopted).toBe(48);
  });

  test("what follows a hole, and what nobody knows, is not found", () => {
    const pool = new PagePool(20);
    const content = new PageContent(pool.keys);
    words(64).forEach((id, column) => column !== 20 && content.note(column, id));
    const sequence = new SequencePages(pool, null, content);
    sequence.reserve(
      64,
      [...words(64).keys()].map((column) => (column === 20 ? 0 : 1)),
    );
    sequence.commit(64);
    expect(computed(pool, words(64)).adopted).toBe(16);
  });

  test("columns that rotate otherwise are other columns", () => {
    const pool = new PagePool(20);
    const content = new PageContent(pool.keys);
    words(32).forEach((id, column) => content.note(column, id, column === 31 ? 5 : 0));
    const sequence = new SequencePages(pool, null, content);
    sequence.reserve(32);
    sequence.commit(32);
    expect(computed(pool, words(33)).adopted).toBe(16);
  });
});

test("a rolling cache keeps its size and wraps round its table", () => {
  const pool = new PagePool(10);
  const sequence = new SequencePages(pool, 8);
  const P = tableSize(pagesToTake(0, 1e9, 8, 1));
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
    "cache: 2 pages of 16 columns are needed for 40 more columns of a sequence, but 1 can be taken: 3 pages − 2 in use",
  );
  expect([sequence.length, pool.inUse]).toEqual([20, 2]);
  pool.grow(4);
  expect(sequence.reserve(40).slots).toHaveLength(40);
});

test("pagesToTake: the window and a chunk, wherever they start; pages that are held already do not count", () => {
  expect(pagesToTake(0, 100, null, 512)).toBe(7);
  expect(pagesToTake(0, 100_000, 4096, 512)).toBe(289);
  expect(pagesToTake(0, 30, 4096, 512)).toBe(2);
  expect(pagesToTake(64, 100, null, 512)).toBe(3);
  expect(pagesToTake(70, 100, null, 512)).toBe(3); // the partly filled page is copied
  expect([1, 2, 3, 5, 289].map(tableSize)).toEqual([1, 2, 4, 8, 512]);
});

test("a page here is a page of the ops", () => {
  expect(PAGE_COLUMNS).toBe(PAGE);
});
