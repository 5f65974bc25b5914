// One cache, two libraries: what is cached here Python's huggingface_hub and Transformers read without a network, and the other way
// round, against a hub on loopback. bench/.venv holds them (bash bench/setup.sh).

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  downloadModel,
  env,
  scan_cache_dir,
  snapshot_download,
  verifyCachedModel,
} from "../../src/index.ts";
import { goldenFiles, ID, someBytes, type Workplace, workplace } from "../hub/workplace.ts";

const python = join(import.meta.dirname, "../../bench/.venv/bin/python");
const FILES = { ...goldenFiles("tokenizers/tiny"), ...goldenFiles("models/base-f32") };
const TOKENS = [[1, 10, 20, 479, 473, 327]];
const inputs = { input_ids: [[1, 10, 20]], max_new_tokens: 3, do_sample: false };

async function place(): Promise<Workplace> {
  const made = await workplace();
  Object.assign(env, { hubEndpoint: made.hub.endpoint, cacheDir: made.cache });
  onTestFinished(() => {
    Object.assign(env, { hubEndpoint: undefined, cacheDir: undefined, offline: undefined });
  });
  return made;
}

/** Runs the steps of hub_cache.py on the cache. */
function inPython(
  { hub, cache }: Workplace,
  steps: string[],
  variables: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
  const script = join(import.meta.dirname, "hub_cache.py");
  const child = spawn(python, [script, ID, ...steps], {
    env: {
      ...process.env,
      ...{ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HOME: join(cache, "home") },
      ...{ HF_HUB_DISABLE_PROGRESS_BARS: "1", HF_HUB_DISABLE_TELEMETRY: "1", ...variables },
    },
  });
  let [out, error] = ["", ""];
  child.stdout.on("data", (data) => (out += String(data)));
  child.stderr.on("data", (data) => (error += String(data)));
  return new Promise((resolve, reject) => {
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(out.trim().split("\n").at(-1) ?? "") as never);
      else reject(new Error(error.slice(-3000)));
    });
  });
}

const OFFLINE = { HF_HUB_OFFLINE: "1", HF_ENDPOINT: "http://127.0.0.1:1" };

/** The cache as both libraries describe it. */
async function scanned(cache: string): Promise<object> {
  const { repos, size_on_disk, warnings } = await scan_cache_dir(cache);
  const revisions = (of: (typeof repos)[number]): object[] =>
    of.revisions
      .map(({ commit_hash, refs, size_on_disk: bytes, files }) => ({
        ...{ commit_hash, size_on_disk: bytes, refs: refs.toSorted() },
        files: files.map((file) => file.file_name).toSorted(),
      }))
      .toSorted((a, b) => (a.commit_hash < b.commit_hash ? -1 : 1));
  return {
    ...{ size_on_disk, warnings },
    repos: repos.map((repo) => ({
      ...{ repo_id: repo.repo_id, nb_files: repo.nb_files, size_on_disk: repo.size_on_disk },
      revisions: revisions(repo),
    })),
  };
}

describe("cached here, read by Python without a network", () => {
  test.for([true, false])(
    "a whole repository, with links: %s",
    { timeout: 300_000 },
    async (links) => {
      if (!links) vi.stubEnv("HF_HUB_DISABLE_SYMLINKS", "1");
      onTestFinished(() => void vi.unstubAllEnvs());
      const here = await place();
      const { commit } = here.hub.add(ID, { files: { ...FILES, "README.md": "# a model\n" } });
      const folder = await snapshot_download(ID);
      const found = await inPython(
        here,
        ["snapshot_offline", "file", "tokenizer", "config", "generation", "model", "scan"],
        OFFLINE,
      );
      expect(found).toEqual({
        snapshot_offline: folder,
        file: join(folder, "config.json"),
        tokenizer: (await AutoTokenizer.from_pretrained(ID))("Hello, world").input_ids,
        ...{ config: 64, generation: 2, model: TOKENS, scan: await scanned(here.cache) },
      });
      expect(here.inCache("snapshots", commit)).toBe(folder);
    },
  );

  test("what loading a model fetched", { timeout: 300_000 }, async () => {
    const here = await place();
    here.hub.add(ID, {
      files: { ...FILES, "README.md": "# a model\n", "x.bin": Buffer.alloc(99) },
    });
    const folder = await downloadModel(ID);
    const steps = ["snapshot_offline", "tokenizer", "config", "generation", "model", "scan"];
    const found = await inPython(here, steps, OFFLINE);
    expect(found).toMatchObject({ snapshot_offline: folder, config: 64, model: TOKENS });
    expect(found.scan).toEqual(await scanned(here.cache));
    // With a network Python completes it, and loads the bytes that are there no second time.
    here.hub.seen.length = 0;
    expect(await inPython(here, ["snapshot"])).toEqual({ snapshot: folder });
    const asked = here.hub.seen.filter(
      ({ method, url }) => method === "GET" && !url.startsWith("/api/"),
    );
    expect(asked.map(({ url }) => url.split("/").at(-1)).toSorted()).toEqual([
      "README.md",
      "tokenizer.model", // not needed beside tokenizer.json
      "x.bin",
    ]);
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(["README.md", "x.bin"]));
  });
});

describe("cached by Python, read here without a network", () => {
  test.for([["snapshot"], ["tokenizer", "model"]])("by %j", { timeout: 300_000 }, async (steps) => {
    const here = await place();
    here.hub.add(ID, { files: { ...FILES, "README.md": "# a model\n" } });
    await inPython(here, steps);
    here.hub.seen.length = 0;
    env.offline = true;
    const tokenizer = await AutoTokenizer.from_pretrained(ID);
    expect(tokenizer.length).toBe(640);
    await using model = await AutoModelForCausalLM.from_pretrained(ID, { device: "reference" });
    expect((await model.generate(inputs)).tolist()).toEqual(TOKENS);
    expect((await verifyCachedModel(ID)).every(({ status }) => status === "ok")).toBe(true);
    expect((await inPython(here, ["scan"], OFFLINE)).scan).toEqual(await scanned(here.cache));
    expect(here.hub.seen).toEqual([]);
    env.offline = undefined;
    await snapshot_download(ID);
    expect(here.hub.seen.some(({ url }) => url.endsWith("model.safetensors"))).toBe(false);
  });

  test("Python's files without links", { timeout: 300_000 }, async () => {
    const here = await place();
    here.hub.add(ID, { files: FILES });
    await inPython(here, ["snapshot"], { HF_HUB_DISABLE_SYMLINKS: "1" });
    here.hub.seen.length = 0;
    env.offline = true;
    await using model = await AutoModelForCausalLM.from_pretrained(ID, { device: "reference" });
    expect((await model.generate(inputs)).tolist()).toEqual(TOKENS);
    expect((await verifyCachedModel(ID)).every(({ status }) => status === "ok")).toBe(true);
  });
});

test("both at once on one empty cache", { timeout: 300_000 }, async () => {
  const here = await place();
  const bytes = someBytes(3_000_000);
  here.hub.add(ID, { files: { ...FILES, "large.bin": bytes } });
  const calls = [1, 2, 3].flatMap(() => [inPython(here, ["snapshot"]), snapshot_download(ID)]);
  const folders = (await Promise.all(calls)).map((found) =>
    typeof found === "string" ? found : found.snapshot,
  );
  expect(new Set(folders).size).toBe(1);
  expect(readFileSync(join(String(folders[0]), "large.bin")).equals(bytes)).toBe(true);
  expect(readdirSync(here.inCache("blobs")).filter((name) => name.includes("incomplete"))).toEqual(
    [],
  );
});
