// With a sliding window memory is constant: pages in use and resident memory, over ten windows and more.

import { expect, test } from "vitest";
import { AutoModelForCausalLM, defaultModel } from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

/** Columns of one page. */
const PAGE = 16;
/** What resident memory may grow by in the second half: garbage of the runtime, not of the engine (the cache would take more). */
const NOISE = 12 * 2 ** 20;

test.each([
  ["sw8-f32", async () => goldenPath("models/sw8-f32"), 8, 1600],
  ["the embedded model", defaultModel, 256, 2600],
])("%s", async (_, folder, window, tokens) => {
  const model = await AutoModelForCausalLM.from_pretrained(await folder());
  expect(model.config.sliding_window).toBe(window);
  let seen = 0;
  const pages: number[] = [];
  const resident: number[] = [];
  const scratch: number[] = [];
  const out = await model.generate([1, 20, 30], {
    ...{ max_new_tokens: tokens, eos_token_id: null },
    streamer: {
      put: async () => {
        if (seen++ % 40 !== 0) return;
        const memory = await model.memory();
        pages.push(memory.pagesInUse);
        scratch.push(memory.states + memory.scratch);
        resident.push(process.memoryUsage.rss());
      },
      end: () => {},
    },
  });
  expect(out.dims).toEqual([1, 3 + tokens]);
  expect(pages.length).toBeGreaterThan(20);
  // W − 1 old columns and a new one touch one page more than they fill.
  expect(Math.max(...pages)).toBeLessThanOrEqual(Math.ceil(window / PAGE) + 1);
  const [first, second] = [scratch, resident].map((list) => list.slice(list.length / 2));
  expect(new Set(first).size).toBe(1);
  const half = Math.floor(second.length / 2);
  const peak = (list: number[]): number => Math.max(...list);
  expect(peak(second.slice(half)) - peak(second.slice(0, half))).toBeLessThan(NOISE);
  expect((await model.memory()).pagesInUse).toBe(0);
  await model.dispose();
});
