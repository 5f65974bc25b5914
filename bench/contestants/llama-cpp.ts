// llama.cpp in Node (node-llama-cpp, prebuilt binaries), as a contestant: the other side of protocol.ts. Reads what make-gguf.py wrote.
// Its own loops: `evaluateWithoutGeneratingNewTokens` for the prompt, `evaluate` (greedy) for new tokens; its defaults otherwise. Rows
// that decode together are sequences of one context, in step by `controlledEvaluate`: the sequences' own loops would miss each other's
// batches (a batch begins when all but one have asked). Options: `contextSize` (tokens of a sequence), `sequences`.

import { readFileSync } from "node:fs";
import { type Contestant, serve, timed } from "./protocol.ts";

const FOLDER: URL = new URL("../.work/llama/node_modules/", import.meta.url);
type Probabilities = readonly {
  readonly next: { readonly token?: number; readonly logits?: ReadonlyMap<number, number> };
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
      sequences: number;
    }): Promise<{ getSequence(): Sequence }>;
  }>;
};
type Library = {
  getLlama(options: { gpu: false; build: "never"; maxThreads: number }): Promise<Llama>;
};

let sequences: readonly Sequence[] = [];

async function fresh(index = 0): Promise<Sequence> {
  const sequence = sequences.at(index);
  if (sequence === undefined) throw new Error(`there are ${sequences.length} sequences`);
  await sequence.clearHistory();
  return sequence;
}

/** Greedy tokens after the prompt. @throws the model ended the text before `count` tokens */
async function continued(
  sequence: Sequence,
  ids: readonly number[],
  count: number,
): Promise<number[]> {
  const tokens: number[] = [];
  for await (const token of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    tokens.push(token);
    if (tokens.length === count) return tokens;
  }
  throw new Error(`${tokens.length} tokens came, not ${count}`);
}

function versionOf(name: string): string {
  const text = readFileSync(new URL(`${name}/package.json`, FOLDER), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

const contestant: Contestant = {
  async load({ dir, threads, options }) {
    const { contextSize = 1024, sequences: count = 1 } = (options ?? {}) as {
      contextSize?: number;
      sequences?: number;
    };
    const { getLlama } = (await import(
      new URL("node-llama-cpp/dist/index.js", FOLDER).href
    )) as Library;
    const start = performance.now();
    const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads });
    const model = await llama.loadModel({ modelPath: dir, gpuLayers: 0 });
    const context = await model.createContext({
      ...{ contextSize, batchSize: 512, threads },
      sequences: count,
    });
    sequences = Array.from({ length: count }, () => context.getSequence());
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
      const start = performance.now();
      const tokens = await continued(cleared, ids, count);
      return { seconds: (performance.now() - start) / 1000, result: tokens };
    });
    return { seconds, ids: result };
  },

  async decodeRows(prompts, count, repeat) {
    const { seconds } = await timed(repeat, async () => {
      const cleared = await Promise.all(prompts.map((_, row) => fresh(row)));
      const start = performance.now();
      let tokens = await Promise.all(prompts.map((ids, row) => next(cleared[row], ids)));
      for (let made = 1; made < count; made++) {
        tokens = await Promise.all(tokens.map((token, row) => next(cleared[row], [token])));
      }
      return { seconds: (performance.now() - start) / 1000, result: undefined };
    });
    return { seconds };
  },
};

/** The greedy token after these. All that are asked for in one turn of the event loop are one batch. */
async function next(sequence: Sequence, ids: readonly number[]): Promise<number> {
  const last = ids.length - 1;
  const wanted = { generateNext: { token: true, options: { temperature: 0 } } };
  const outputs = await sequence.controlledEvaluate([...ids.slice(0, last), [ids[last], wanted]]);
  const { token } = outputs[last].next;
  if (token === undefined) throw new Error("no token came");
  return token;
}

async function lastLogits(ids: readonly number[]): Promise<number[]> {
  const last = ids.length - 1;
  const outputs = await (
    await fresh()
  ).controlledEvaluate([...ids.slice(0, last), [ids[last], { generateNext: { logits: true } }]]);
  const logits = outputs[last].next.logits ?? new Map<number, number>();
  return Array.from({ length: logits.size }, (_, id) => logits.get(id) ?? NaN);
}

await serve(contestant);
