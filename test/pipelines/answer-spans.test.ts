// Which parts of a context may be answers to a question.

import { expect, test } from "vitest";
import { answerSpans } from "../../src/api/pipelines/answer-spans.ts";

test("answers have at most so many tokens, all of them of the context", () => {
  const even = [0, 0, 0, 0, 0, 0];
  const allowed = [false, true, true, true, true, false];
  const { spans, none } = answerSpans(even, even, allowed, { count: 99, longest: 2 });
  const found = spans.map(({ first, last }) => `${first}-${last}`).toSorted();
  expect(found).toEqual(["1-1", "1-2", "2-2", "2-3", "3-3", "3-4", "4-4"]);
  for (const { score } of spans) expect(score).toBeCloseTo(1 / 16, 12);
  expect(none).toBe(0);
  expect(
    answerSpans(even, [0, 0, 0, 3, 0, 0], allowed, { count: 1, longest: 9 }).spans,
  ).toMatchObject([{ last: 3 }]);
});
