// Measures what `mistral bench` shows: tokens a second for prompts and for generated text on a loaded model, and the arithmetic and
// memory traffic that this means. Does not know how it is shown.

import { InputError } from "../../errors.ts";
import { CHUNK } from "../../generate/runner.ts";
import { expectedWeights } from "../../models/config-weights.ts";
import type { DynamicCache } from "../model/cache.ts";
import type { MistralForCausalLM } from "../model/causal-lm.ts";

/** One line of the result. */
export type Measured = {
  /** "pp512", "tg128", "tg128 @ 4096". */
  readonly test: string;
  readonly kind: "prefill" | "decode";
  readonly tokens: number;
  /** How many tokens the cache holds before the test. */
  readonly depth: number;
  /** Tokens a second, for each repetition. */
  readonly samples: readonly number[];
  readonly mean: number;
  /** Of the samples; 0 if there is only one. */
  readonly standard_deviation: number;
  /** Multiplications and additions a second in linear layers, at the mean speed. Attention is not counted. */
  readonly operations_per_second: number;
  /** Bytes of weights that steps read a second, at the mean speed. Keys and values are not counted. */
  readonly weight_bytes_per_second: number;
};

/** What to measure. */
export type BenchmarkPlan = {
  /** Tokens of the prompt; 0: prefill is not measured. */
  readonly pp: number;
  /** Tokens to generate; 0: decode is not measured. */
  readonly tg: number;
  /** Tokens in the cache before each test. */
  readonly depth: number;
  /** Repetitions that count; one more runs before them. */
  readonly reps: number;
  /** "like the rest": the embedding is kept in the format of the layers. Default: in the model's dtype. */
  readonly table?: "like the rest";
};

type Work = {
  /** How many weights the linear layers of the decoder have. */
  readonly layers: number;
  /** How many weights the head has. */
  readonly head: number;
  /** How many bytes of weights one step reads. */
  readonly bytes: number;
};

/** Checks a plan. @throws InputError it needs more tokens than the model has positions */
export function checkPlan({ pp, tg, depth }: BenchmarkPlan, { config }: MistralForCausalLM): void {
  const most = config.max_position_embeddings;
  const needed = depth + Math.max(pp, tg + 1);
  if (needed <= most) return;
  throw new InputError(
    `bench: ${needed} tokens are needed, but the model was made for ${most}; lower --pp, --tg or --depth`,
  );
}

/** The work of a step, from the config and the bytes that the engine holds. */
async function workOf(model: MistralForCausalLM, plan: BenchmarkPlan): Promise<Work> {
  const { config } = model;
  const numberBytes = model.dtype === "float32" ? 4 : 2;
  const matrices = [...expectedWeights(config, "MistralForCausalLM")].filter(
    ([, shape]) => shape.length === 2,
  );
  const count = ([, shape]: readonly [string, readonly number[]]): number => shape[0] * shape[1];
  const isTable = ([name]: readonly [string, readonly number[]]): boolean =>
    !name.startsWith("model.layers.");
  const layers = matrices.filter((each) => !isTable(each)).reduce((sum, m) => sum + count(m), 0);
  const head = config.vocab_size * config.hidden_size;
  const { weights } = await model.memory();
  if (config.tie_word_embeddings) return { layers, head, bytes: weights };
  // A step reads only one row of the embedding. Quantising while loading leaves it as it is; in GGUF files it is quantised too.
  const table = plan.table === "like the rest" ? weights / (layers / head + 2) : head * numberBytes;
  return { layers, head, bytes: weights - table };
}

/**
 * Runs every test of the plan: one repetition that does not count, then `reps` repetitions.
 * @param onStep called before each repetition: the test's name, how many repetitions of all tests are done, of how many
 */
export async function measure(
  model: MistralForCausalLM,
  plan: BenchmarkPlan,
  signal: AbortSignal,
  onStep: (test: string, done: number, total: number) => void,
): Promise<Measured[]> {
  const work = await workOf(model, plan);
  const tests = [
    { kind: "prefill", name: "pp", tokens: plan.pp, run: prefill },
    { kind: "decode", name: "tg", tokens: plan.tg, run: decode },
  ] as const;
  const chosen = tests.filter(({ tokens }) => tokens > 0);
  const total = chosen.length * (plan.reps + 1);
  let done = 0;
  const results: Measured[] = [];
  const cache = await filled(model, plan.depth, signal);
  for (const { kind, name, tokens, run } of chosen) {
    const test = `${name}${tokens}${plan.depth > 0 ? ` @ ${plan.depth}` : ""}`;
    const samples: number[] = [];
    for (let rep = 0; rep <= plan.reps; rep++) {
      onStep(test, done++, total);
      const seconds = await run(model, { tokens, depth: plan.depth, cache, signal });
      // The first repetition only warms up buffers and V8's compiler.
      if (rep > 0) samples.push(tokens / seconds);
    }
    const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
    const [steps, heads] = kind === "prefill" ? [Math.ceil(tokens / CHUNK), 1] : [tokens, tokens];
    results.push({
      ...{ test, kind, tokens, depth: plan.depth, samples, mean },
      standard_deviation: deviation(samples, mean),
      operations_per_second: (2 * (work.layers * tokens + work.head * heads) * mean) / tokens,
      weight_bytes_per_second: (work.bytes * steps * mean) / tokens,
    });
  }
  await cache?.dispose();
  return results;
}

type Repetition = {
  readonly tokens: number;
  readonly depth: number;
  readonly cache: DynamicCache | undefined;
  readonly signal: AbortSignal;
};

/** Ids from all over the vocabulary, except its beginning, where special tokens and bytes are. */
function ids(count: number, from: number, V: number): number[] {
  const first = V > 512 ? 259 : 0;
  return Array.from({ length: count }, (_, i) => first + (((from + i) * 7919) % (V - first)));
}

async function filled(
  model: MistralForCausalLM,
  depth: number,
  signal: AbortSignal,
): Promise<DynamicCache | undefined> {
  if (depth === 0) return undefined;
  const input_ids = [ids(depth, 0, model.config.vocab_size)];
  const call = { input_ids, use_cache: true, logits_to_keep: 1, signal };
  return (await model.forward(call)).past_key_values;
}

async function prefill(model: MistralForCausalLM, rep: Repetition): Promise<number> {
  const { tokens, depth, signal } = rep;
  const past_key_values = await rep.cache?.fork();
  const input_ids = [ids(tokens, depth, model.config.vocab_size)];
  const start = performance.now();
  const out = await model.forward({
    ...{ input_ids, past_key_values, use_cache: true, logits_to_keep: 1, signal },
  });
  const seconds = (performance.now() - start) / 1000;
  await out.past_key_values?.dispose();
  return seconds;
}

/** Generates from a prompt of one new token, so that every step decodes. */
async function decode(model: MistralForCausalLM, rep: Repetition): Promise<number> {
  const { tokens, depth, signal } = rep;
  const past_key_values = await rep.cache?.fork();
  const start = performance.now();
  const out = await model.generate({
    input_ids: [ids(depth + 1, 0, model.config.vocab_size)],
    past_key_values,
    ...{ max_new_tokens: tokens, min_new_tokens: tokens, do_sample: false, signal },
    return_dict_in_generate: true,
  });
  const seconds = (performance.now() - start) / 1000;
  await out.past_key_values?.dispose();
  return seconds;
}

function deviation(samples: readonly number[], mean: number): number {
  if (samples.length < 2) return 0;
  const squares = samples.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return Math.sqrt(squares / (samples.length - 1));
}
