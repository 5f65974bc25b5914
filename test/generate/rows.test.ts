// Batches to flat rows and back: padding on both sides, holes, pasts.

import { expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { type Batch, planRows, rightPadded, type SequenceRows } from "../../src/generate/rows.ts";

const batch = (given: Partial<Batch> & { B: number; S: number }): Batch => ({
  past: 0,
  positions: "frame",
  vocabSize: 100,
  ...given,
});

function plain({ ids, positions, present, places, ...rest }: SequenceRows): object {
  return {
    ...rest,
    ids: ids && [...ids],
    positions: [...positions],
    present: [...present],
    places: [...places],
  };
}

test("left padding is stripped, holes and right padding stay as columns", () => {
  const rows = planRows(
    batch({
      B: 3,
      S: 5,
      input_ids: [0, 0, 7, 8, 9, 1, 0, 3, 4, 5, 1, 2, 3, 0, 0],
      attention_mask: [0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0],
    }),
  );
  expect(rows.map(plain)).toEqual([
    {
      padding: 2,
      first: 0,
      ids: [7, 8, 9],
      positions: [2, 3, 4],
      present: [1, 1, 1],
      places: [2, 3, 4],
    },
    {
      padding: 0,
      first: 0,
      ids: [1, 0, 3, 4, 5],
      positions: [0, 1, 2, 3, 4],
      present: [1, 0, 1, 1, 1],
      places: [5, 6, 7, 8, 9],
    },
    {
      padding: 0,
      first: 0,
      ids: [1, 2, 3, 0, 0],
      positions: [0, 1, 2, 3, 4],
      present: [1, 1, 1, 0, 0],
      places: [10, 11, 12, 13, 14],
    },
  ]);
});

test("positions of generate count the tokens of the mask; padding stands at 0", () => {
  const attention_mask = [0, 0, 1, 1, 1, 1, 0, 1];
  const [a, b] = planRows(batch({ B: 2, S: 4, attention_mask, positions: "mask" }));
  expect([[...a.positions], [...b.positions]]).toEqual([
    [0, 1],
    [0, 1, 0, 2],
  ]);
  const [c] = planRows(batch({ B: 1, S: 3, positions: [5, 9, 9] }));
  expect([...c.positions]).toEqual([5, 9, 9]);
});

test("a later call continues the columns and the positions", () => {
  const attention_mask = [0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1];
  const [a, b] = planRows(batch({ B: 2, S: 2, past: 4, attention_mask, positions: "mask" }));
  expect(plain(a)).toMatchObject({ padding: 2, first: 2, positions: [1, 2], places: [0, 1] });
  expect(plain(b)).toMatchObject({ padding: 5, first: 0, positions: [0], places: [3] });
  const [, d] = planRows(batch({ B: 2, S: 2, past: 4, attention_mask }));
  expect([...d.positions]).toEqual([5]);
});

test("a sequence of nothing but padding has no rows", () => {
  const [row] = planRows(batch({ B: 1, S: 3, input_ids: [0, 0, 0], attention_mask: [0, 0, 0] }));
  expect(plain(row)).toMatchObject({ padding: 3, first: 0, ids: [] });
  expect(rightPadded([1, 1, 1, 0], 2, 2)).toBe(1);
  expect(rightPadded([0, 1, 1, 1], 2, 2)).toBeUndefined();
});

test.each([
  [{ input_ids: [1, 2, 3] }, "input_ids: 3 values, but the batch needs [1, 2]: 2"],
  [{ input_ids: [1, 100] }, "input_ids: 100 at [0, 1]: expected ids from 0 to 99"],
  [{ input_ids: [1, 1.5] }, "input_ids: 1.5 at [0, 1]"],
  [{ attention_mask: [1, 1], past: 3 }, "[1, 5] (3 columns in the cache and 2 new ones): 5"],
  [{ attention_mask: [1, 2] }, "attention_mask: 2 at [0, 1]: expected 1 (token) or 0 (padding)"],
  [{ positions: [1] }, "position_ids: 1 values"],
  [{ positions: [1, -1] }, "position_ids: -1 at [0, 1]"],
])("%j is refused", (given, message) => {
  const make = (): unknown => planRows(batch({ B: 1, S: 2, ...given }));
  expect(make).toThrow(InputError);
  expect(make).toThrow(message);
});
