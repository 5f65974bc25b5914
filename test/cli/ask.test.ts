// A person at a terminal is asked before a model is fetched; anything but yes fetches nothing.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import { modelSource } from "../../src/cli/model-source.ts";
import type { Io } from "../../src/cli/terminal.ts";
import { env, scan_cache_dir } from "../../src/index.ts";
import { mockHub } from "../hub/mock-hub.ts";
import { fakeStream } from "./fake-stream.ts";

const stories = join(import.meta.dirname, "../../models/stories");

let cache = "";
beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), "mistral-ask-"));
  const hub = await mockHub();
  const files = ["config.json", "tokenizer.json", "tokenizer_config.json"].map(
    (file) => [file, readFileSync(join(stories, file), "utf8")] as const,
  );
  const weights = readFileSync(join(stories, "model.safetensors"));
  hub.add("someone/stories", {
    files: { ...Object.fromEntries(files), "model.safetensors": weights },
  });
  env.hubEndpoint = hub.endpoint;
  env.cacheDir = cache;
});
afterEach(() => {
  env.hubEndpoint = undefined;
  env.cacheDir = undefined;
  rmSync(cache, { recursive: true });
});

function typing(answer: string): { io: Io; shown: () => string } {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const [stdout, stderr] = [fakeStream({ isTTY: true }), fakeStream({ isTTY: true })];
  const interrupt = new AbortController().signal;
  setTimeout(() => stdin.write(answer), 300);
  return {
    io: { stdin: stdin as unknown as Io["stdin"], stdout, stderr, interrupt },
    shown: () => stripVTControlCharacters(stderr.text()),
  };
}

const { flags } = parseArguments("run", []);

test("yes fetches it; the question says size, memory and the smaller way", async () => {
  const { io, shown } = typing("y\n");
  const { path, name } = await modelSource("someone/stories", flags, io);
  expect(name).toBe("stories");
  expect(readdirSync(path)).toContain("model.safetensors");
  expect(shown()).toMatch(
    /^someone\/stories is not in the cache: 6\.\d MB to fetch\.\nMemory: 6\.3 MB, or about 1\.8 MB with --quantization q4 \(.+ are free\s+here\)\.\n/,
  );
  expect(shown()).toContain("Fetch it? [y/N]");
});

test.each(["n\n", "\n", "perhaps\n"])("%j fetches nothing", async (answer) => {
  const { io } = typing(answer);
  const source = modelSource("someone/stories", flags, io);
  await expect(source).rejects.toThrow(new DOMException("nothing was fetched", "AbortError"));
  const { repos } = await scan_cache_dir(cache);
  expect(repos.flatMap(({ revisions }) => revisions)).toEqual([]);
});
