// Estimates the speed of a Mistral-7B on this machine in about a second, without a model: runs the kernels on products of its width, with
// weights larger than any cache, and extrapolates to the sizes of its layers. Knows no model's files.

import type { LeafSpec } from "../../backends/backend.ts";
import { WasmBackend } from "../../backends/wasm/backend.ts";
import type { Features } from "../../backends/wasm/features.ts";
import { HelperTeam } from "../../engine/team.ts";
import { weightDType } from "../../formats/registry.ts";
import type { Parts, WeightFormat } from "../../formats/weight-format.ts";
import { Graph, layoutOf } from "../../graph/graph.ts";
import { makePlan } from "../../graph/plan.ts";
import { expectedWeights } from "../../models/config-weights.ts";
import { linear } from "../../ops/linear.ts";
import { shapeConfig } from "./random-model.ts";

export type ExpectedSpeed = {
  /** As `--quantization` names it; "bfloat16": as the model is published. */
  method: string;
  compute_dtype: string;
  /** Bytes of the weights. */
  weight_bytes: number;
  prompt_tokens_per_second: number;
  tokens_per_second: number;
};

/** A way to load the model: the dtypes of its layers and of its head. */
type Way = { readonly method: string; readonly compute: string; dtype: string; head: string };

const ways: readonly Way[] = [
  { method: "q4", compute: "int8", dtype: "q4r:int8", head: "q6r:int8" },
  { method: "nf4", compute: "float16", dtype: "nf4-64:fixed16", head: "bf16" },
  { method: "bfloat16", compute: "float32", dtype: "bf16", head: "bf16" },
];

/** Columns of all matrices. */
const K = 4096;
/** Bytes of the matrix for decode, which is read from memory: 64 MiB. */
const BYTES = 64 * 2 ** 20;
/** Rows of the matrix for prefill. */
const FEW_ROWS = 1536;
/** Rows of activations in a step of prefill. */
const PROMPT_ROWS = 64;
/** The factor for what takes time besides products: attention, norms, sampling (bench/RESULTS.md). */
const BESIDES = 1.05;
/**
 * How long a product is repeated, in ms: at least, without an improvement before it ends, and at most. V8 optimises its code meanwhile,
 * so times get shorter at first.
 */
const [LEAST_MS, STEADY_MS, MOST_MS] = [60, 60, 500];
/** How long to wait for threads to start, in ms. */
const START_MS = 1000;
/** A time counts as an improvement if it is below this share of the best. */
const FASTER = 0.97;

/**
 * Measures the kernels with so many threads, and estimates the speed of a Mistral-7B. Other programs that run falsify it.
 * @throws MemoryError a few hundred megabytes are not available
 */
export async function expectedSpeeds(
  features: Features,
  native: boolean,
  threads: number,
): Promise<ExpectedSpeed[]> {
  const backend = await WasmBackend.create({ threads, features, native });
  const team = new HelperTeam();
  try {
    const leaves = ways.flatMap(({ dtype }) => [
      leafOf(dtype, rowsOf(dtype)),
      leafOf(dtype, FEW_ROWS),
    ]);
    await backend.place(leaves);
    for (const leaf of leaves) await backend.load(leaf.name, (parts) => filled(parts, leaf));
    const handover = backend.handover();
    if (handover !== undefined) team.update(handover);
    await allReady(backend);
    const speeds = new Map<string, Speed>();
    for (const { dtype } of ways) speeds.set(dtype, await measure(backend, dtype));
    return ways.map((way) => expected(way, speeds));
  } finally {
    await team.dispose();
    await backend.dispose();
  }
}

/** Waits until all threads have started, which takes a moment; after START_MS goes on without those that have not. */
async function allReady(backend: WasmBackend): Promise<void> {
  const begin = performance.now();
  while (backend.ready < backend.threads && performance.now() - begin < START_MS) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** `bytes`: of weights a second, with one row of activations. `products`: weights × rows a second, with many rows. */
type Speed = { readonly bytes: number; readonly products: number };

/** Rows of a matrix of at least BYTES. */
function rowsOf(dtype: string): number {
  const bytes = bytesOf(weightDType(dtype).format, [64, K]);
  return Math.ceil(BYTES / bytes) * 64;
}

function leafOf(dtype: string, rows: number): LeafSpec {
  const name = `${dtype} ${rows}`;
  return { name, kind: "weight", shape: [rows, K], dtype: layoutOf(dtype), regions: ["probe"] };
}

/** Fills a matrix with copies of a few rows: speed does not depend on the numbers. */
async function filled(parts: Parts, { shape, dtype }: LeafSpec): Promise<void> {
  const { format } = weightDType(dtype);
  const some = { rows: 32, columns: K };
  const tile = format.parts(some.rows, K).map((bytes) => new Uint8Array(bytes));
  const packer = format.packer?.(tile, some);
  packer?.rows(
    Float32Array.from({ length: some.rows * K }, (_, i) => (((i * 7919) % 2003) / 1001 - 1) / 50),
    0,
    some.rows,
  );
  packer?.finish();
  const copies = shape[0] / some.rows;
  parts.forEach((part, i) => {
    for (let n = 0; n < copies; n++) part.set(tile[i], n * tile[i].length);
  });
}

async function measure(backend: WasmBackend, dtype: string): Promise<Speed> {
  const rows = rowsOf(dtype);
  const decode = await seconds(backend, dtype, [1, rows]);
  const prompt = await seconds(backend, dtype, [PROMPT_ROWS, FEW_ROWS]);
  return {
    bytes: bytesOf(weightDType(dtype).format, [rows, K]) / decode,
    products: (FEW_ROWS * K * PROMPT_ROWS) / prompt,
  };
}

/** The shortest time of one product, in seconds. */
async function seconds(
  backend: WasmBackend,
  dtype: string,
  [T, rows]: readonly [T: number, rows: number],
): Promise<number> {
  const graph = new Graph();
  const x = graph.leaf("x", "input", [T, K], "f32", "rows");
  const w = graph.leaf(leafOf(dtype, rows).name, "weight", [rows, K], dtype);
  const program = backend.compile(makePlan(graph, [graph.region("probe", () => linear(x, w))]));
  const input = { x: Float32Array.from({ length: T * K }, (_, i) => ((i * 31) % 17) - 8) };
  const begin = performance.now();
  let best = Number.POSITIVE_INFINITY;
  let [passed, improved] = [0, 0];
  try {
    while (passed < MOST_MS && (passed < LEAST_MS || passed - improved < STEADY_MS)) {
      const start = performance.now();
      await program.submit(input, { rows: T, wanted: 0 }, []);
      const now = performance.now();
      passed = now - begin;
      const took = (now - start) / 1000;
      if (took < best * FASTER) improved = passed;
      best = Math.min(best, took);
    }
  } finally {
    program.dispose();
  }
  return best;
}

function bytesOf(format: WeightFormat, [rows, columns]: readonly number[]): number {
  return format.parts(rows, columns).reduce((sum, bytes) => sum + bytes, 0);
}

function expected(way: Way, speeds: ReadonlyMap<string, Speed>): ExpectedSpeed {
  const config = shapeConfig("mistral-7b");
  let [bytes, prompt, decode] = [0, 0, 0];
  for (const [name, shape] of expectedWeights(config, "MistralForCausalLM")) {
    const isLayer = name.startsWith("model.layers.");
    const isHead = name.startsWith("lm_head");
    const dtype = shape.length === 1 ? "f32" : isLayer ? way.dtype : isHead ? way.head : "bf16";
    const size = bytesOf(weightDType(dtype).format, shape.length === 1 ? [1, shape[0]] : shape);
    bytes += size;
    if (shape.length === 1 || !(isLayer || isHead)) continue;
    const speed = speeds.get(dtype) ?? speeds.get(way.dtype);
    decode += size / (speed?.bytes ?? Number.NaN);
    if (isLayer) prompt += (shape[0] * shape[1]) / (speed?.products ?? Number.NaN);
  }
  return {
    ...{ method: way.method, compute_dtype: way.compute, weight_bytes: bytes },
    prompt_tokens_per_second: 1 / (BESIDES * prompt),
    tokens_per_second: 1 / (BESIDES * decode),
  };
}
