// The worker that quantises a checkpoint, when it is stopped or a thread dies: the call rejects, no thread goes on, and the next call works.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startWorker, type WorkerHandle } from "#platform";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ownQuantisation } from "../../src/engine/kept-formats.ts";
import type { QuantizeJob } from "../../src/engine/quantize-checkpoint.ts";
import { quantizeInWorker } from "../../src/engine/quantize-in-worker.ts";
import type { StartOptions } from "../../src/engine/supervisor.ts";
import { AutoConfig, EngineError } from "../../src/index.ts";
import { threadsOr1, withThreads } from "../platform/has.ts";
import { slowShape, temporaryFolder, writeModel } from "./written-model.ts";

const source = temporaryFolder();
const out = temporaryFolder();
let job: QuantizeJob;
let whole: Buffer;
/** The workers of the latest call, and how many of them run. */
let workers: { kind: string; handle: WorkerHandle }[] = [];
let alive = 0;

const run = async (options: StartOptions = {}): Promise<Buffer> => {
  workers = [];
  const start: typeof startWorker = (module, data) => {
    const handle = startWorker(module, data);
    alive++;
    handle.onEnd(() => alive--);
    workers.push({ kind: String(module), handle });
    return handle;
  };
  const choice = { name: "wasm", threads: threadsOr1(2) } as const;
  const { files } = await quantizeInWorker(job, choice, { ...options, start });
  return Buffer.concat(files.map((file) => readFileSync(join(job.folder, file))));
};
const handleOf = (kind: string): WorkerHandle | undefined =>
  workers.find((worker) => worker.kind === kind)?.handle;

beforeAll(async () => {
  await writeModel(source.dir, slowShape);
  const config = (await AutoConfig.from_pretrained(source.dir)).to_dict();
  job = {
    ...{ dir: source.dir, settings: config, config, modelClass: "MistralForCausalLM" },
    ...{ tied: ownQuantisation("q4", true), untied: ownQuantisation("q4") },
    ...{ folder: join(out.dir, "q4"), maxShardSize: 4e6 },
  };
  whole = await run();
});
afterAll(() => {
  source.remove();
  out.remove();
});

test("all threads have ended when it is done", () => {
  expect(workers.map(({ kind }) => kind)).toContain("quantize-worker");
  expect(alive).toBe(0);
});

test("an abort, whenever it comes", async () => {
  for (const share of [0, 0.6]) {
    const controller = new AbortController();
    const stopped = run({
      signal: controller.signal,
      onProgress: ({ loaded, total }) => {
        if (loaded >= share * total) controller.abort(new Error("enough"));
      },
    });
    await expect(stopped).rejects.toThrow("enough");
    expect(alive).toBe(0);
  }
  expect(await run()).toEqual(whole);
});

test("an error of whoever is told of the progress", async () => {
  const onProgress = (): void => {
    throw new Error("no terminal");
  };
  await expect(run({ onProgress })).rejects.toThrow("no terminal");
  expect(alive).toBe(0);
});

test("the worker dies", async () => {
  const error: unknown = await run({
    onProgress: () => void handleOf("quantize-worker")?.terminate(),
  }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EngineError);
  expect((error as Error).message).toMatch(/^quantize: its worker died .*try again$/s);
  expect(alive).toBe(0);
  expect(await run()).toEqual(whole);
});

test(
  "a helper dies: an error or the right bytes, never others",
  withThreads(async () => {
    for (let i = 0; i < 5; i++) {
      let killed = false;
      const bytes = await run({
        onProgress() {
          const helper = handleOf("helper");
          if (helper === undefined || killed) return;
          killed = true;
          setTimeout(() => void helper.terminate(), i * 10);
        },
      }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(EngineError);
        return whole;
      });
      expect(bytes.equals(whole)).toBe(true);
      expect(alive).toBe(0);
    }
  }),
);
