// The two forms in which a caller's thread reaches a running step: shared words, and messages alone.

import { canShareMemory } from "#platform";
import { describe, expect, test } from "vitest";
import { callerControl, workerControl } from "../../src/engine/control.ts";
import { withThreads } from "../platform/has.ts";

describe("by shared words", () => {
  test(
    "a step is stopped by the call that alone has rows in it, and by no other",
    withThreads(async () => {
      const caller = callerControl();
      const worker = workerControl(caller.words);
      expect(worker.stop[0]).toBe(0);
      await worker.beforeStep(3);
      expect(caller.stopStepOf(4)).toBe(false);
      expect(worker.stop[0]).toBe(0);
      expect(caller.stopStepOf(3)).toBe(true);
      expect(worker.stop[0]).toBe(1);
      await worker.beforeStep(0);
      expect(worker.stop[0]).toBe(0);
      expect(caller.stopStepOf(3)).toBe(false);
      const large = 2 ** 32 + 5;
      await worker.beforeStep(large);
      expect(caller.stopStepOf(large)).toBe(true);
    }),
  );

  test(
    "a step waits for the messages that were posted before it, and for no others",
    withThreads(async () => {
      const caller = callerControl();
      const worker = workerControl(caller.words);
      caller.countPosted();
      let begun = false;
      const waiting = worker.beforeStep(1).then(() => (begun = true));
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(begun).toBe(false);
      worker.countReceived();
      await waiting;
      await worker.beforeStep(1);
    }),
  );
});

test("by messages: nothing stops a step, and before each one the event loop turns", async () => {
  const caller = callerControl(false);
  expect(caller.words).toBeUndefined();
  const worker = workerControl(caller.words);
  for (let step = 0; step < 3; step++) {
    let turned = false;
    setImmediate(() => (turned = true));
    await worker.beforeStep(1);
    expect(turned).toBe(true);
    caller.countPosted();
    expect(caller.stopStepOf(1)).toBe(false);
    expect(worker.stop[0]).toBe(0);
  }
});

test("the form is what the platform has", () => {
  expect(callerControl().words !== undefined).toBe(canShareMemory());
});
