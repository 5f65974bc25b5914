// The engine on each backend, in the test's own thread: golden tests run the same cases on all of them.

import { readFileSync } from "node:fs";
import { onTestFinished } from "vitest";
import { startWorker } from "#platform";
import type { Backend } from "../../src/backends/backend.ts";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { EngineCore } from "../../src/engine/core.ts";
import type { ModelSource } from "../../src/engine/messages.ts";
import type { Call } from "../../src/engine/steps.ts";
import type { CacheDType } from "../../src/models/attend.ts";
import { goldenPath } from "../golden-files.ts";

export const attentions = ["flash", "eager"] as const;

export const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  reference: async () => new ReferenceBackend(),
  wasm: () => WasmBackend.create({ threads: 1 }),
};

/** A call that nobody aborts. */
export const call: Call = { id: 1, throwIfAborted: (): void => {} };

/** Lets the cache grow until so many pages can be taken. */
export async function makeRoom({ runner, pool }: EngineCore, pages: number): Promise<void> {
  await runner.growPool(pool.inUse + pages);
  pool.grow(runner.pages);
}

/** Loads a checkpoint of the goldens. */
export async function loadGolden(
  model: string,
  backend: Backend,
  attention: "flash" | "eager",
  dtype = "auto",
  cacheDtype?: CacheDType,
  beforeStep?: (owner: number) => Promise<void>,
): Promise<EngineCore> {
  const dir = goldenPath(`models/${model}`);
  return loadFolder(dir, backend, attention, dtype, cacheDtype, { beforeStep });
}

/** Loads a model folder. */
export async function loadFolder(
  dir: string,
  backend: Backend,
  attention: "flash" | "eager",
  dtype = "auto",
  cacheDtype?: CacheDType,
  options: { beforeStep?: (owner: number) => Promise<void>; config?: object } = {},
): Promise<EngineCore> {
  const { beforeStep, config: changes } = options;
  const config = {
    ...(JSON.parse(readFileSync(`${dir}/config.json`, "utf8")) as Record<string, unknown>),
    ...changes,
  };
  const modelClass = "MistralForCausalLM";
  return loadModel({ dir, config, dtype, attention, cacheDtype, modelClass }, backend, beforeStep);
}

/** Loads a model of any class. */
export async function loadModel(
  model: ModelSource,
  backend: Backend,
  beforeStep: (owner: number) => Promise<void> = async () => {},
): Promise<EngineCore> {
  const { core } = await EngineCore.load(
    model,
    backend,
    { beforeStep, placed: () => {}, weightsAreThere: false },
    () => {},
  );
  return core;
}

/** A team of that many threads, the test's own included; its helpers end with the test. */
export async function wasmTeam(
  threads: number,
  shardBytes?: number,
): Promise<{ backend: WasmBackend; start(): Promise<void> }> {
  const backend = await WasmBackend.create({ threads, shardBytes });
  const start = async (): Promise<void> => {
    const workers = backend
      .helpers()
      .map((data) => startWorker("helper", { backend: backend.name, data }));
    onTestFinished(async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    });
    while (backend.ready < threads) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { backend, start };
}
