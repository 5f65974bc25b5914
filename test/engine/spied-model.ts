// A model whose worker threads a test can see and end: the engine takes its way to start workers as an argument.

import { startWorker } from "#platform";
import { generationConfigOf } from "../../src/api/auto-config.ts";
import { AutoConfig, MistralForCausalLM } from "../../src/index.ts";
import type { ModelSource } from "../../src/engine/messages.ts";
import { Engine } from "../../src/engine/supervisor.ts";

export type SpiedWorker = {
  /** "worker" or "helper" */
  readonly kind: string;
  /** What it was started with. */
  readonly data: unknown;
  /** Types of the messages that came from it. */
  readonly messages: string[];
  /** Ends the thread, wherever it is. */
  kill(): Promise<void>;
  /** Resolves when the engine has been told that it ended. */
  readonly ended: Promise<void>;
};

export type SpiedModel = {
  readonly model: MistralForCausalLM;
  readonly engine: Engine;
  /** In the order in which they were started. */
  readonly workers: readonly SpiedWorker[];
  /** The latest of a kind. */
  latest(kind: "worker" | "helper"): SpiedWorker;
};

export type SpiedOptions = {
  readonly threads?: number;
  readonly memoryLimit?: number;
  readonly native?: boolean;
  /** How weights are quantised and products computed. */
  readonly how?: Pick<ModelSource, "quantisation" | "compute">;
  /** Changes what workers are started with. */
  readonly change?: (kind: string, data: unknown) => unknown;
};

/** Loads a folder as AutoModelForCausalLM does. */
export async function spiedModel(
  dir: string,
  { threads = 1, memoryLimit, native, how, change = (_, data) => data }: SpiedOptions = {},
): Promise<SpiedModel> {
  const workers: SpiedWorker[] = [];
  const config = await AutoConfig.from_pretrained(dir);
  const generation_config = await generationConfigOf({ dir, folder: dir, gguf: undefined });
  const { engine, report } = await Engine.start(
    {
      dir,
      config: config.to_dict(),
      dtype: "auto",
      attention: "flash",
      modelClass: "MistralForCausalLM",
      ...how,
    },
    { name: "wasm", threads, memoryLimit, native },
    {
      start: (module, given) => {
        const data = change(String(module), given);
        const handle = startWorker(module, data);
        const messages: string[] = [];
        const { promise: ended, resolve } = Promise.withResolvers<void>();
        workers.push({
          kind: String(module),
          data,
          messages,
          kill: () => handle.terminate(),
          ended,
        });
        handle.onMessage((message) => messages.push((message as { type: string }).type));
        return {
          ...handle,
          onEnd: (listener) =>
            handle.onEnd((why) => {
              listener(why);
              resolve();
            }),
        };
      },
    },
  );
  const model = new MistralForCausalLM({
    ...{ engine, config, generation_config },
    ...{ device: "cpu", dtype: report.dtype, attention: "flash" },
    kept: { weights: report.weights, isGguf: false },
  });
  const latest = (kind: string): SpiedWorker => {
    const found = workers.findLast((worker) => worker.kind === kind);
    if (found === undefined) throw new Error(`no ${kind} was started`);
    return found;
  };
  return { model, engine, workers, latest };
}

/** Waits so many milliseconds. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
