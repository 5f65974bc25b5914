// A person at a terminal is asked before a model is fetched; anything but yes fetches nothing.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import { modelSource } from "../../src/cli/model-source.ts";
import { pull } from "../../src/cli/pull.ts";
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
    /^someone\/stories is not in the cache: 6\.\d MB to fetch\.\nMemory: 6\.3 MB, or at least 1\.8 MB with --quantization q4 \(.+ are free\s+here\)\.\n/,
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

test.each(["0\n", "6\n", "17\n"])(
  "pull asks which model: %j is none of the list",
  async (answer) => {
    const { io, shown } = typing(answer);
    const chosen = pull(parseArguments("pull", []), io);
    await expect(chosen).rejects.toThrow(
      `pull: ${answer.trim()}: expected a number from 1 to 5, or an id`,
    );
    expect(shown()).toContain("  1  mistralai/Mistral-7B-Instruct-v0.3");
  },
);

test.each([
  ["--revision", "main"],
  ["--gguf-file", "a.gguf"],
])("%s without a model is refused", async (...argv) => {
  const { io } = typing("");
  const source = modelSource(undefined, parseArguments("run", argv).flags, io);
  await expect(source).rejects.toThrow(`${argv[0]}: no model is named`);
});
