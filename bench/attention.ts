// What attention costs by the length of the context, in one layer of Mistral-7B's shape with random weights (q4): flash against
// eager attention for a piece of a prompt, and the share of a step that flash attention takes, prefill and decode, with the
// cache in each dtype. Writes attention.json.

import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { InputData } from "../src/backends/backend.ts";
import { WasmBackend } from "../src/backends/wasm/backend.ts";
import { detectFeatures, enableRevectorize } from "../src/backends/wasm/features.ts";
import { HelperTeam } from "../src/engine/team.ts";
import { tableSize } from "../src/generate/pages.ts";
import { recordStep, type StepModel } from "../src/generate/record.ts";
import { Runner } from "../src/generate/runner.ts";
import { Graph } from "../src/graph/graph.ts";
import { makePlan, type Plan } from "../src/graph/plan.ts";
import { cachedAttention, type CacheDType } from "../src/models/attend.ts";
import { MistralConfig } from "../src/models/config.ts";
import { ropeAngles } from "../src/models/rope.ts";
import { PAGE } from "../src/ops/kv-append.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { type Summary, summarize } from "./statistics.ts";

const help = `Usage: npx node bench/attention.ts [options]

  --tokens LIST   lengths of the context (default 512,1024,2048,4096,8192,16384,32768)
  --eager N       longest context of eager attention (default 16384)
  --rounds N      (default 3; ten times as many in decode)
  --threads N     (default 2)
  --plain         without V8's 256-bit vectors
  --out FOLDER    ${OUT}
  --help          this text
`;

/** Flash attention of one layer, and the whole step of that layer. Seconds, the best of the rounds. */
export type Share = {
  readonly phase: "prefill" | "decode";
  readonly tokens: number;
  readonly cache: CacheDType;
  readonly attention: number;
  readonly step: number;
};

export type AttentionResult = {
  readonly kind: "attention";
  readonly date: string;
  readonly machine: Machine;
  readonly title: string;
  readonly threads: number;
  readonly wideVectors: boolean;
  /** Seconds of the attention of one layer. */
  readonly rows: readonly { tokens: number; flash: Summary; eager: Summary }[];
  readonly shares: readonly Share[];
};

/** Rows of a step: of a prompt's piece in the comparison, and of a prefill. */
const [PIECE, PREFILL] = [64, 512];
/** Layers whose attention runs in turn where one cache would stay in the processor's own. */
const LAYERS = 4;

const config = new MistralConfig({
  ...{ hidden_size: 4096, intermediate_size: 14336, num_attention_heads: 32, head_dim: 128 },
  ...{ num_key_value_heads: 8, num_hidden_layers: LAYERS, vocab_size: 512, sliding_window: null },
});
const oneLayer = new MistralConfig({ ...config.to_dict(), num_hidden_layers: 1 });
const modelOf = (shape: MistralConfig): StepModel => ({
  config: shape,
  modelClass: "MistralForCausalLM",
  leafOf: (name) => ({ kind: "weight", dtype: name.includes("_proj") ? "q4r:int8" : "f32" }),
});

const { values: flags } = parseArgs({
  options: {
    tokens: { type: "string", default: "512,1024,2048,4096,8192,16384,32768" },
    eager: { type: "string", default: "16384" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    plain: { type: "boolean", default: false },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const rounds = Number(flags.rounds);
const threads = Number(flags.threads);
async function main(lengths: readonly number[]): Promise<void> {
  const machine = thisMachine();
  const wideVectors = !flags.plain && enableRevectorize();
  const rows: AttentionResult["rows"][number][] = [];
  const shares: Share[] = [];
  for (const cache of ["f32", "f16", "bf16", "int8"] as const) {
    for (const tokens of lengths) {
      await withBackend(wideVectors, cache, tokens, async (backend) => {
        const time = (plan: Plan, T: number): Promise<Summary> => timed(backend, plan, tokens, T);
        if (cache === "f32" && tokens <= Number(flags.eager)) {
          const flash = await time(attentionPlan(cache, tokens, PIECE, false), PIECE);
          const eager = await time(attentionPlan(cache, tokens, PIECE, true), PIECE);
          const layers = layersOf(tokens);
          rows.push({ tokens, flash: each(flash, layers), eager: each(eager, layers) });
          const times = (eager.median / flash.median).toFixed(1);
          process.stderr.write(`${tokens} tokens: flash ${times} × as fast as eager\n`);
        }
        for (const [phase, T] of [["prefill", PREFILL] as const, ["decode", 1] as const]) {
          const { min } = await time(attentionPlan(cache, tokens, T, false), T);
          const attention = min / layersOf(tokens);
          const step = (await time(stepPlan(cache, tokens, T), T)).min;
          shares.push({ phase, tokens, cache, attention, step });
          process.stderr.write(
            `${cache}, ${phase} at ${tokens}: attention ${(attention * 1e3).toFixed(2)} of ${(step * 1e3).toFixed(1)} ms\n`,
          );
        }
      });
    }
  }
  const result: AttentionResult = {
    ...{ kind: "attention", date: new Date().toISOString(), machine, threads, wideVectors },
    title:
      `Attention of one layer of Mistral-7B's shape (32 heads, 8 for keys and values, of 128): ${PIECE} tokens ` +
      `at the end of the context; ${threads} threads`,
    ...{ rows, shares },
  };
  saveResult("attention.json", result, flags.out);
}

const pagesOf = (tokens: number): number => Math.ceil(tokens / PAGE);
const layersOf = (tokens: number): number => (tokens <= 4096 ? LAYERS : 1);

/** A backend with weights and a cache of that many tokens, all written: memory that nobody wrote is one page of zeros. */
async function withBackend(
  wideVectors: boolean,
  cache: CacheDType,
  tokens: number,
  work: (backend: WasmBackend) => Promise<void>,
): Promise<void> {
  const backend = await WasmBackend.create({ threads, features: detectFeatures(wideVectors) });
  const team = new HelperTeam();
  try {
    const runner = new Runner(modelOf(config), backend, cache);
    const leaves = new Runner(modelOf(oneLayer), backend, cache).weightLeaves({ logits: true });
    await backend.place(leaves);
    await runner.growPool(pagesOf(tokens));
    const names = cachedLeaves(cache, tokens).concat(leaves.map(({ name }) => name));
    for (const name of names) {
      // Small numbers in each format: 0.0115 in f32 and bf16, 1.06 in f16, 60 as a code.
      await backend.load(name, async (parts) => {
        for (const part of parts) part.fill(0x3c);
      });
    }
    team.update({ backend: backend.name, state: backend.adopted(), helpers: backend.helpers() });
    while (backend.ready < threads) await setTimeout(10);
    await work(backend);
  } finally {
    await team.dispose();
    await backend.dispose();
  }
}

function cachedLeaves(cache: CacheDType, tokens: number): string[] {
  const { leaves } = attentionPlan(cache, tokens, 1, false, LAYERS);
  return [...leaves.values()].filter(({ kind }) => kind === "state").map(({ name }) => name);
}

/** The attention of T rows alone, in several layers one after the other. */
function attentionPlan(
  dtype: CacheDType,
  tokens: number,
  T: number,
  eager: boolean,
  layers = layersOf(tokens),
): Plan {
  const graph = new Graph();
  const pages = pagesOf(tokens);
  const index = (name: string) => graph.leaf(name, "input", [T], "i32", "rows");
  const places = {
    ...{ seq: index("seq"), at: index("at"), slots: index("slots") },
    pages: graph.leaf("pages", "input", [1, tableSize(pages), 2], "i32"),
  };
  const columns = { columns: pages * PAGE, probabilities: [] };
  const options = { dtype, appended: true, ...(eager && { eager: columns }) };
  const attend = cachedAttention(graph, config, places, options);
  const q = graph.leaf(
    "q",
    "input",
    [T, config.num_attention_heads * config.head_dim],
    "f32",
    "rows",
  );
  const outputs = Array.from({ length: layers }, (_, layer) =>
    graph.region(`layers.${layer}`, () => attend(q, q, q, layer)),
  );
  return makePlan(graph, outputs);
}

/** The whole step of one layer, embedding and a small head included. */
function stepPlan(cache: CacheDType, tokens: number, T: number): Plan {
  const shape = { T, N: 1, S: 1, P: tableSize(pagesOf(tokens)), cache, columns: 0 };
  const wants = { logits: true };
  return recordStep(modelOf(oneLayer), { ...shape, embeds: false, wants }).plan;
}

/** Seconds of rows at the end of the context. */
async function timed(
  backend: WasmBackend,
  plan: Plan,
  tokens: number,
  T: number,
): Promise<Summary> {
  const program = backend.compile(plan);
  const inputs = inputsOf(tokens, T);
  const seconds: number[] = [];
  const count = T === 1 ? 10 * rounds : rounds;
  for (let round = 0; round <= count; round++) {
    const begin = performance.now();
    await program.submit(inputs, { rows: T, wanted: 1 }, []);
    seconds.push((performance.now() - begin) / 1000);
  }
  program.dispose();
  return summarize(seconds.slice(1)); // the first run is not counted
}

function inputsOf(tokens: number, T: number): Record<string, InputData> {
  const P = tableSize(pagesOf(tokens));
  const at = Int32Array.from({ length: T }, (_, t) => tokens - T + t);
  const { cos, sin } = ropeAngles(config, at);
  return {
    ...{ at, slots: at, cos, sin, seq: new Int32Array(T), ids: new Int32Array(T) },
    pages: Int32Array.from({ length: 2 * P }, (_, i) => (i % 2 === 0 ? i >> 1 : 0xffff)),
    want: Int32Array.of(T - 1),
    q: Float32Array.from({ length: T * config.hidden_size }, (_, i) => Math.sin(i)),
  };
}

function each(summary: Summary, layers: number): Summary {
  return summarize(summary.rounds.map((seconds) => seconds / layers));
}

if (flags.help) process.stdout.write(help);
else await main(flags.tokens.split(",").map(Number));
