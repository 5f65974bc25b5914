// Progress of loading: quiet at first, a bar in a terminal, few lines elsewhere.

import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { fetchShown } from "../../src/cli/download.ts";
import type { Io } from "../../src/cli/terminal.ts";
import { promptProgress, repetitionProgress, workProgress } from "../../src/cli/progress.ts";
import { fakeStream } from "./fake-stream.ts";

function watched(isTTY: boolean, columns = 80) {
  const stream = fakeStream({ isTTY, columns });
  const clock = { seconds: 100 };
  const progress = workProgress(stream, "loading", "7b", "byte", () => clock.seconds);
  const at = (seconds: number, loaded: number): void => {
    clock.seconds = 100 + seconds;
    progress.update({ loaded, total: 10e9 });
  };
  return { stream, clock, progress, at };
}

test("a load of less than half a second shows nothing", () => {
  for (const isTTY of [true, false]) {
    const { stream, progress, at } = watched(isTTY);
    at(0.1, 5e9);
    at(0.49, 10e9);
    progress.done();
    expect(stream.text()).toBe("");
  }
});

test("a terminal gets one bar, redrawn in place and taken away, with bytes, speed and time left", () => {
  const { stream, progress, at } = watched(true);
  at(1, 1e9);
  at(1.05, 1.1e9); // too soon to draw
  at(2, 2.5e9);
  const [first, second, ...more] = stream.text().split("\r\u001b[2K").slice(1);
  expect(more).toEqual([]);
  expect(stripVTControlCharacters(first)).toMatch(
    /^loading 7b █{2}░+ {2}10 % {2}1\.0 of 10\.0 GB · 1\.0 GB\/s · 9 s left$/,
  );
  expect(stripVTControlCharacters(second)).toMatch(
    /25 % {2}2\.5 of 10\.0 GB · 1\.3 GB\/s · 6 s left$/,
  );
  progress.done();
  expect(stream.text().endsWith("\r\u001b[2K")).toBe(true);
});

test.each([200, 80, 60, 50, 30, 10, 1])("the bar never wraps: %i columns", (columns) => {
  const { stream, at } = watched(true, columns);
  at(1, 3e9);
  expect(stripVTControlCharacters(stream.text().replace("\r", "")).length).toBeLessThan(
    Math.max(columns, 2),
  );
});

test.each([
  ["loading", "Mistral-7B-Instruct-v0.3", /^loading Mis.*… █/],
  ["quantising to q4", "Mistral-7B-Instruct-v0.3", /^quantising to q4 █/],
  ["quantising to nf4-dq", "Mistral-7B-Instruct-v0.3", /^quantising to nf4-dq █/],
])("at 80 columns the verb %s is whole, and ^C fits behind the bar", (verb, name, expected) => {
  const stream = fakeStream({ isTTY: true, columns: 80 });
  let seconds = 0;
  const progress = workProgress(stream, verb, name, "byte", () => seconds);
  seconds = 30;
  progress.update({ loaded: 13.5e9, total: 24.5e9 });
  const line = stripVTControlCharacters(stream.text()).replace("\r", "");
  expect(line).toMatch(expected);
  expect(line.length).toBeLessThanOrEqual(77);
});

test("when all is done no time is left", () => {
  const { stream, at } = watched(true);
  at(1, 10e9);
  expect(stripVTControlCharacters(stream.text())).toMatch(
    /100 % {2}10\.0 of 10\.0 GB · 10\.0 GB\/s$/,
  );
});

test("elsewhere at most a line in five seconds, without control characters, and one at the end", () => {
  const { stream, clock, progress, at } = watched(false);
  for (let seconds = 0; seconds <= 12; seconds += 0.25) at(seconds, seconds * 5e8);
  clock.seconds = 120;
  progress.done();
  expect(stream.text().split("\n")).toEqual([
    "loading 7b: 25 % · 2.5 of 10.0 GB · 500 MB/s · 15 s left",
    "loading 7b: 50 % · 5.0 of 10.0 GB · 500 MB/s · 10 s left",
    "loading 7b: 6.0 GB in 20 s",
    "",
  ]);
});

describe("while nothing is reported", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const lastBar = (text: string): string =>
    stripVTControlCharacters(text.split("\r\u001b[2K").at(-1) ?? "").replaceAll(/[█░]+/g, "▒");

  test("the progress of a prompt shows the time, then the tokens, and goes when all are read", () => {
    const stream = fakeStream({ isTTY: true });
    const { onProgress } = promptProgress(stream, 2000);
    vi.advanceTimersByTime(400);
    expect(stream.text()).toBe("");
    vi.advanceTimersByTime(3600);
    expect(lastBar(stream.text())).toBe("prompt ▒   0 %  0 of 2000 tokens · 4 s");
    onProgress({ done: 500, total: 2000 });
    vi.advanceTimersByTime(1000);
    expect(lastBar(stream.text())).toMatch(
      /^prompt ▒ {2}25 % {2}500 of 2000 tokens · 100 tokens\/s · 15 s left$/,
    );
    onProgress({ done: 2000, total: 2000 });
    const { length } = stream.text();
    vi.advanceTimersByTime(5000);
    expect(stream.text().length).toBe(length);
    expect(lastBar(stream.text())).toBe("");
  });

  test("a benchmark moves between two repetitions as the one before took", () => {
    const stream = fakeStream({ isTTY: true });
    const bar = repetitionProgress(stream);
    bar.begin("pp512", 0, 4);
    vi.advanceTimersByTime(2000);
    expect(lastBar(stream.text())).toMatch(/^bench pp512 ▒ +0 % {2}0 of 4 runs/);
    bar.begin("pp512", 1, 4);
    vi.advanceTimersByTime(1000);
    expect(lastBar(stream.text())).toMatch(/^bench pp512 ▒ +(36|37|38) % /);
    vi.advanceTimersByTime(60_000);
    expect(lastBar(stream.text())).toMatch(/^bench pp512 ▒ +48 % /);
    bar.begin("tg128", 2, 4);
    vi.advanceTimersByTime(1000);
    expect(lastBar(stream.text())).toMatch(/^bench tg128 ▒ +50 % /);
    bar.done();
    expect(lastBar(stream.text())).toBe("");
  });
});

test("a download is told of as one: the last line says what was fetched", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const stderr = fakeStream({ isTTY: false });
  const io = { stderr, interrupt: new AbortController().signal } as unknown as Io;
  const one = { file: "a.safetensors", fileTotal: 2e6, total: 2e6, bytesPerSecond: 1e5 };
  const folder = await fetchShown(
    "someone/model",
    async (onProgress) => {
      for (const loaded of [1e6, 2e6]) {
        vi.advanceTimersByTime(6000);
        onProgress({ ...one, fileLoaded: loaded, loaded, secondsLeft: undefined, resumed: 0 });
      }
      return "/cache";
    },
    { quiet: false },
    io,
  );
  expect(folder).toBe("/cache");
  expect(stderr.text()).toMatch(/^fetching a\.safetensors: 50 % · 1\.0 of 2\.0 MB · /);
  expect(stderr.text()).toMatch(
    /\na\.safetensors: 2\.0 MB\nfetching someone\/model: 2\.0 MB in 12 s\n$/,
  );
});
