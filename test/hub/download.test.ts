// Downloads from a hub on loopback into an empty cache: what comes, where it lies, and what is asked for.

import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  downloadModel,
  env,
  snapshot_download,
} from "../../src/index.ts";
import type { DownloadProgress } from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";
import { type MockHub, mockHub, sha256 } from "./mock-hub.ts";

let hub: MockHub;
let cache: string;
const ID = "test-org/Tiny-Mistral";

beforeEach(async () => {
  hub = await mockHub();
  cache = mkdtempSync(join(tmpdir(), "hub-"));
  onTestFinished(() => rmSync(cache, { recursive: true, force: true }));
  Object.assign(env, { hubEndpoint: hub.endpoint, cacheDir: cache });
  onTestFinished(() => void Object.assign(env, { hubEndpoint: undefined, cacheDir: undefined }));
});

/** The files of a folder of golden data as a repository: weights are large. */
function goldenFiles(folder: string): Record<string, string | Buffer> {
  const path = goldenPath(folder);
  return Object.fromEntries(
    readdirSync(path).map((name) => {
      const bytes = readFileSync(join(path, name));
      return [name, /safetensors$|\.model$/.test(name) ? bytes : bytes.toString()];
    }),
  );
}

test("a model by its id: the tokenizer's files, then the weights", async () => {
  const files = { ...goldenFiles("tokenizers/tiny"), ...goldenFiles("models/base-f32") };
  hub.add(ID, {
    files: { ...files, "README.md": "# a model", "pytorch_model.bin": Buffer.alloc(99) },
  });
  const tokenizer = await AutoTokenizer.from_pretrained(ID);
  expect(tokenizer.name_or_path).toBe(ID);
  expect(hub.seen.some(({ url }) => url.includes("safetensors"))).toBe(false);
  const reports: object[] = [];
  const model = await AutoModelForCausalLM.from_pretrained(ID, {
    device: "reference",
    onProgress: (progress) => reports.push(progress),
  });
  onTestFinished(() => model.dispose());
  expect(model.config.name_or_path).toBe(ID);
  const folder = await downloadModel(ID);
  expect(readdirSync(folder)).not.toContain("README.md");
  expect(readdirSync(folder)).toContain("model.safetensors");
  expect(reports.some((report) => "file" in report)).toBe(true);
  expect(reports.some((report) => "tensor" in report)).toBe(true);
});

test("snapshot_download", async () => {
  const { commit } = hub.add(ID, {
    files: { "a.txt": "small", "sub/b.bin": Buffer.from("large") },
  });
  const reports: DownloadProgress[] = [];
  const folder = await snapshot_download(ID, { onProgress: (report) => reports.push(report) });
  const root = join(cache, "models--test-org--Tiny-Mistral");
  expect(folder).toBe(join(root, "snapshots", commit));
  expect(readFileSync(join(folder, "sub/b.bin"), "utf8")).toBe("large");
  expect(readlinkSync(join(folder, "sub/b.bin"))).toBe(
    `../../../blobs/${sha256(Buffer.from("large"))}`,
  );
  expect(readFileSync(join(root, "refs/main"), "utf8")).toBe(commit);
  expect(reports.at(-1)).toMatchObject({ loaded: 10, total: 10 });
  expect(existsSync(join(cache, "CACHEDIR.TAG"))).toBe(true);
  expect(lstatSync(join(root, "trees", `${commit}.json`)).isFile()).toBe(true);
});
