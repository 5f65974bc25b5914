// llama.cpp in Node (node-llama-cpp, prebuilt binaries), as a contestant: the other side of protocol.ts. Reads what make-gguf.py wrote.
// Its own loops: `evaluateWithoutGeneratingNewTokens` for the prompt, `evaluate` (greedy) for new tokens; its defaults otherwise.

import { readFileSync } from "node:fs";
import { type Contestant, serve, timed } from "./protocol.ts";

const FOLDER: URL = new URL("../.work/llama/node_modules/", import.meta.url);
const CONTEXT = 1024;

type Probabilities = readonly {
  readonly next: { readonly logits?: ReadonlyMap<number, number> };
}[];
type Sequence = {
  clearHistory(): Promise<void>;
  evaluate(
    tokens: readonly number[],
    options: { temperature: number; yieldEogToken: boolean },
  ): AsyncGenerator<number>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  controlledEvaluate(tokens: readonly unknown[]): Promise<Probabilities>;
};
type Llama = {
  readonly systemInfo: string;
  readonly llamaCppRelease: { readonly release: string };
  loadModel(options: { modelPath: string; gpuLayers: number }): Promise<{
    createContext(options: {
      contextSize: number;
      batchSize: number;
      threads: number;
    }): Promise<{ getSequence(): Sequence }>;
  }>;
};
type Library = {
  getLlama(options: { gpu: false; build: "never"; maxThreads: number }): Promise<Llama>;
};

let sequence: Sequence | undefined;

async function fresh(): Promise<Sequence> {
  if (sequence === undefined) throw new Error("nothing has been loaded");
  await sequence.clearHistory();
  return sequence;
}

function versionOf(name: string): string {
  const text = readFileSync(new URL(`${name}/package.json`, FOLDER), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

const contestant: Contestant = {
  async load({ dir, threads }) {
    const { getLlama } = (await import(
      new URL("node-llama-cpp/dist/index.js", FOLDER).href
    )) as Library;
    const start = performance.now();
    const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads });
    const model = await llama.loadModel({ modelPath: dir, gpuLayers: 0 });
    const context = await model.createContext({ contextSize: CONTEXT, batchSize: 512, threads });
    sequence = context.getSequence();
    return {
      seconds: (performance.now() - start) / 1000,
      instructions: llama.systemInfo,
      versions: {
        "node-llama-cpp": versionOf("node-llama-cpp"),
        "llama.cpp": llama.llamaCppRelease.release,
      },
    };
  },

  async prefill(ids, repeat, wantLogits) {
    const { seconds, result } = await timed(repeat, async () => {
      const cleared = await fresh();
      const start = performance.now();
      await cleared.evaluateWithoutGeneratingNewTokens(ids);
      return { seconds: (performance.now() - start) / 1000, result: undefined };
    });
    return { seconds, logits: wantLogits ? await lastLogits(ids) : result };
  },

  async generate(ids, count, repeat) {
    const { seconds, result } = await timed(repeat, async () => {
      const cleared = await fresh();
      const tokens: number[] = [];
      const start = performance.now();
      for await (const token of cleared.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
        tokens.push(token);
        if (tokens.length === count) break;
      }
      return { seconds: (performance.now() - start) / 1000, result: tokens };
    });
    if (result.length !== count) throw new Error(`${result.length} tokens came, not ${count}`);
    return { seconds, ids: result };
  },
};

async function lastLogits(ids: readonly number[]): Promise<number[]> {
  const last = ids.length - 1;
  const outputs = await (
    await fresh()
  ).controlledEvaluate([...ids.slice(0, last), [ids[last], { generateNext: { logits: true } }]]);
  const logits = outputs[last].next.logits ?? new Map<number, number>();
  return Array.from({ length: logits.size }, (_, id) => logits.get(id) ?? NaN);
}

await serve(contestant);
