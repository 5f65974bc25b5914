// What `#platform` promises of workers, on every platform file; and that this run is on the file that it is meant for.

import { canShareMemory, memoryMaxima, startWorker, type WorkerHandle } from "#platform";
import { afterEach, describe, expect, test } from "vitest";
import { withThreads } from "./has.ts";

const asked = process.env.MISTRAL_TEST_PLATFORM ?? "node";
let worker: WorkerHandle | undefined;
afterEach(async () => worker?.terminate());

/** Starts the echo, and collects its first messages, one after `count` came. */
function start(data: unknown): (count: number) => Promise<unknown[]> {
  const messages: unknown[] = [];
  let check = (): void => {};
  worker = startWorker(new URL("./echo-worker.ts", import.meta.url), data);
  worker.onMessage((message) => {
    messages.push(message);
    check();
  });
  return (count) =>
    new Promise((resolve) => {
      check = () => messages.length >= count && resolve(messages);
      check();
    });
}

test("this run's platform is the one asked for", () => {
  expect(canShareMemory()).toBe(asked !== "test-page");
  expect("SharedArrayBuffer" in globalThis).toBe(asked !== "test-page");
  expect(memoryMaxima(1).perMemory).toBe(
    { node: 2 ** 32, "test-page": 2 ** 29, "test-isolated-page": 2 ** 30 }[asked],
  );
});

describe("a worker", () => {
  test("has what it was started with, and the platform of its starter", async () => {
    const [hello] = await start({ n: 1, list: [2, 3] })(1);
    const shares = canShareMemory();
    expect(hello).toEqual({ data: { n: 1, list: [2, 3] }, shares, hasShared: shares });
  });

  test("gets every message in order, also those that came before it listened", async () => {
    const came = start(undefined);
    for (let i = 0; i < 5; i++) worker?.post(i);
    await came(6);
    worker?.post(5);
    expect((await came(7)).slice(1)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("that dies says why, once", async () => {
    start(undefined);
    const ends: string[] = [];
    const ended = new Promise((resolve) => {
      worker?.onEnd((why) => resolve(ends.push(why)));
    });
    worker?.post("die");
    await ended;
    expect(ends).toEqual([expect.stringMatching(/as it was told/)]);
  });
});

test(
  "memory is shared with a worker",
  withThreads(async () => {
    const words = new Int32Array(new SharedArrayBuffer(4));
    const came = start(words);
    const [{ data }] = (await came(1)) as [{ data: Int32Array }];
    data[0] = 7;
    expect(words[0]).toBe(7);
  }),
);
