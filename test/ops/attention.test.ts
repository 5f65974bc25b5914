import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Graph, type Shape, type Tensor } from "../../src/graph/graph.ts";
import { attention } from "../../src/ops/attention.ts";
import { eagerAttention } from "../../src/ops/eager-attention.ts";
import { kvAppend, PAGE } from "../../src/ops/kv-append.ts";
import { pagedAttention } from "../../src/ops/paged-attention.ts";
import { evaluator } from "../graph/evaluate.ts";
import { seeded } from "../random.ts";

/** Two sequences with holes; `columns` are the columns that hold a row, in order. */
type Case = {
  columns: [number[], number[]];
  kvHeads: number;
  group: number;
  window: number;
  seed: number;
};

const D = 4;
const BLOCKS = 4;
const columns = fc.uniqueArray(fc.nat(BLOCKS * PAGE - 1), { minLength: 1, maxLength: 20 });
const cases: fc.Arbitrary<Case> = fc.record({
  columns: fc.tuple(columns, columns).map((both) => both.map((c) => c.toSorted((a, b) => a - b))),
  kvHeads: fc.constantFrom(1, 2, 3),
  group: fc.constantFrom(1, 2, 4),
  window: fc.constantFrom(0, 1, 2, 5, 16, 17, 40),
  seed: fc.nat(1e6),
}) as fc.Arbitrary<Case>;

/** The rows of a case in random order, q, k and v included, and a page table with the pages shuffled. */
function rowsOf({ columns: held, kvHeads, group, seed }: Case) {
  const random = seeded(seed);
  const rows = held.flatMap((list, seq) => list.map((at) => ({ seq, at, key: random.uniform() })));
  rows.sort((a, b) => a.key - b.key);
  const ids = [...Array(2 * BLOCKS).keys()]
    .map((id) => ({ id, key: random.uniform() }))
    .toSorted((a, b) => a.key - b.key);
  const page = (seq: number, block: number): number => ids[seq * BLOCKS + block].id;
  const entries = held.flatMap((list, seq) =>
    Array.from({ length: BLOCKS }, (_, block) => {
      const present = list.filter((at) => Math.floor(at / PAGE) === block);
      return [page(seq, block), present.reduce((mask, at) => mask | (1 << (at % PAGE)), 0)];
    }),
  );
  const T = rows.length;
  const KV = kvHeads * D;
  return {
    ...{ T, KV, width: KV * group, rows },
    numbers: {
      q: random.numbers(T * KV * group),
      ...{ k: random.numbers(T * KV), v: random.numbers(T * KV) },
      ...{ seq: rows.map(({ seq }) => seq), at: rows.map(({ at }) => at) },
      slots: rows.map(({ seq, at }) => page(seq, Math.floor(at / PAGE)) * PAGE + (at % PAGE)),
      pages: entries.flat(),
    },
  };
}

function leaves(T: number, KV: number, width: number) {
  const graph = new Graph();
  const float = (name: string, ...shape: Shape): Tensor => graph.leaf(name, "input", shape);
  const index = (name: string, ...shape: Shape): Tensor => graph.leaf(name, "input", shape, "i32");
  return {
    ...{ graph, q: float("q", T, width), k: float("k", T, KV), v: float("v", T, KV) },
    ...{ seq: index("seq", T), at: index("at", T), slots: index("slots", T) },
    pages: index("pages", 2, BLOCKS, 2),
    K: graph.leaf("K", "state", [2 * BLOCKS, PAGE, KV]),
    V: graph.leaf("V", "state", [2 * BLOCKS, PAGE, KV]),
  };
}

/** What is not part of a sequence must not matter: pools start as garbage. */
const pools = (KV: number): { K: Float64Array; V: Float64Array } => {
  const garbage = (): Float64Array => new Float64Array(2 * BLOCKS * PAGE * KV).fill(1e30);
  return { K: garbage(), V: garbage() };
};

const attrsOf = ({ kvHeads, group, window }: Case) => ({
  ...{ heads: kvHeads * group, kvHeads, window, scale: 1 / Math.sqrt(D) },
});

describe("packed, flash over pages and eager over pages are one function", () => {
  test("of random rows with holes, in random order, over shuffled pages", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { T, KV, width, numbers } = rowsOf(one);
        const x = leaves(T, KV, width);
        const attrs = attrsOf(one);
        const packed = attention(x.q, x.k, x.v, x, attrs);
        kvAppend(x.K, x.V, x.k, x.v, x.slots);
        const flash = pagedAttention(x.q, x, attrs);
        const [eager, probs] = eagerAttention(x.q, x, { ...attrs, columns: BLOCKS * PAGE });
        const outputs = [packed, flash, eager, probs];
        const [a, b, c, p] = evaluator(x.graph, outputs)({ ...numbers, ...pools(KV) });
        // Weighted means of numbers below 1 in float64: some hundred roundings of 2⁻⁵³ at the most.
        a.forEach((y, i) => expect(Math.abs(y - b[i])).toBeLessThan(1e-13));
        a.forEach((y, i) => expect(Math.abs(y - c[i])).toBeLessThan(1e-13));
        const row = BLOCKS * PAGE;
        for (let t = 0; t < T * attrs.heads; t++) {
          const sum = p.slice(t * row, (t + 1) * row).reduce((total, prob) => total + prob, 0);
          expect(Math.abs(sum - 1)).toBeLessThan(1e-13);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("in any chunks, bit for bit", () => {
    fc.assert(
      fc.property(
        cases,
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        (one, cuts) => {
          const { T, KV, width, numbers, rows } = rowsOf(one);
          const record = (count: number) => {
            const x = leaves(count, KV, width);
            kvAppend(x.K, x.V, x.k, x.v, x.slots);
            return evaluator(x.graph, [pagedAttention(x.q, x, attrsOf(one))]);
          };
          const [whole] = record(T)({ ...numbers, ...pools(KV) });
          // Chunks follow the columns, so that what a row sees is there before it.
          const order = [...rows.keys()].toSorted((a, b) => rows[a].at - rows[b].at);
          const state = pools(KV);
          for (let from = 0, n = 0; from < T; n++) {
            const chunk = order.slice(from, (from += cuts[n % cuts.length]));
            const pick = (values: ArrayLike<number>, size: number): number[] =>
              chunk.flatMap((t) => Array.from({ length: size }, (_, i) => values[t * size + i]));
            const { q, k, v, seq, at, slots, pages } = numbers;
            const part = {
              ...{ q: pick(q, width), k: pick(k, KV), v: pick(v, KV), pages },
              ...{ seq: pick(seq, 1), at: pick(at, 1), slots: pick(slots, 1), ...state },
            };
            const [y] = record(chunk.length)(part);
            expect([...y]).toEqual(pick(whole, width));
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

test("a row that sees nothing gives zero, and no probability", () => {
  const x = leaves(1, D, D);
  const attrs = { heads: 1, kvHeads: 1, window: 3, scale: 1 };
  const flash = pagedAttention(x.q, x, attrs);
  const [eager, probs] = eagerAttention(x.q, x, { ...attrs, columns: BLOCKS * PAGE });
  const numbers = { q: [1, 2, 3, 4], seq: [0], at: [20], pages: new Float64Array(4 * BLOCKS) };
  for (const values of evaluator(x.graph, [flash, eager, probs])({ ...numbers, ...pools(D) })) {
    expect(values.every((y) => y === 0)).toBe(true);
  }
});

test("with unmasked columns, a row that sees nothing takes the mean of the values of all of them", () => {
  const x = leaves(3, D, D);
  const attrs = { heads: 1, kvHeads: 1, window: 3, scale: 1, columns: BLOCKS * PAGE, unmasked: 20 };
  const [y, probs] = eagerAttention(x.q, x, attrs);
  // Sequence 0 has pages 3 and 1, sequence 1 pages 2 and 0; a value is its slot's number. Only column 5 of sequence 0 is not masked.
  const pages = [3, 1 << 5, 1, 0, ...[0, 0, 0, 0], 2, 0, 0, 0, ...[0, 0, 0, 0]];
  const V = Float64Array.from({ length: 2 * BLOCKS * PAGE * D }, (_, i) => Math.floor(i / D));
  const numbers = { q: new Float64Array(3 * D).fill(0.3), seq: [0, 0, 1], at: [7, 8, 2], pages };
  const [means, p] = evaluator(x.graph, [y, probs])({ ...numbers, ...pools(D), V });
  const of = (first: number, second: number): number =>
    (16 * (first * PAGE + 7.5) + 4 * (second * PAGE + 1.5)) / 20;
  const expected = [3 * PAGE + 5, of(3, 1), of(2, 0)];
  expected.forEach((mean, t) => expect(means[t * D]).toBeCloseTo(mean, 12));
  const row = BLOCKS * PAGE;
  expect(p[5]).toBe(1);
  for (const t of [1, 2]) {
    const uniform = Array.from({ length: row }, (_, column) => (column < 20 ? 1 / 20 : 0));
    expect([...p.slice(t * row, (t + 1) * row)]).toEqual(uniform);
  }
});

test("window W: W keys, the row's own among them", () => {
  const T = 6;
  const x = leaves(T, D, D);
  const y = attention(x.q, x.k, x.v, x, { heads: 1, kvHeads: 1, window: 3, scale: 1 });
  const rows = Array.from({ length: T }, (_, t) => t);
  // Equal scores: each row is the mean of what it sees, and v is the column.
  const numbers = {
    ...{ q: new Float64Array(T * D), k: new Float64Array(T * D), at: rows, seq: rows.map(() => 0) },
    v: rows.flatMap((t) => [t, t, t, t]),
  };
  const [means] = evaluator(x.graph, [y])(numbers);
  const expected = [0, 0.5, 1, 2, 3, 4];
  rows.forEach((t) => expect(means[t * D]).toBeCloseTo(expected[t], 14));
});

test("keys that are not kept (slot −1) leave the pool as it was", () => {
  const x = leaves(2, D, D);
  kvAppend(x.K, x.V, x.k, x.v, x.slots);
  const state = pools(D);
  const rows = { k: [1, 1, 1, 1, 2, 2, 2, 2], v: [3, 3, 3, 3, 4, 4, 4, 4], slots: [-1, 17] };
  evaluator(x.graph, [])({ ...rows, ...state });
  const changed = [...state.K.keys()].filter((i) => state.K[i] !== 1e30);
  expect(changed).toEqual([17 * D, 17 * D + 1, 17 * D + 2, 17 * D + 3]);
  expect(changed.map((i) => state.V[i])).toEqual([4, 4, 4, 4]);
});
