// perplexity and klDivergence against plain loops over logits: those of Transformers (goldens), and our own of whole windows.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModelForCausalLM,
  InputError,
  klDivergence,
  type MistralForCausalLM,
  perplexity,
  Tensor,
} from "../../src/index.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

const V = 640;
const { cases } = goldenJson<{ cases: { id: string; input_ids: number[] }[] }>(
  "forward/base-f32.json",
);
const golden = readSafetensors(goldenPath("forward/base-f32.safetensors"));
const ids = cases.find(({ id }) => id === "single_long")?.input_ids ?? [];
const goldenLogits = golden.get("single_long.logits")?.data as Float32Array;

let model: MistralForCausalLM;
let other: MistralForCausalLM;

beforeAll(async () => {
  const load = (name: string) =>
    AutoModelForCausalLM.from_pretrained(goldenPath(`models/${name}`), { threads: 1 });
  [model, other] = await Promise.all([load("base-f32"), load("base-bf16")]);
});
afterAll(async () => {
  await Promise.all([model.dispose(), other.dispose()]);
});

/** ln softmax of one row of [S, V] */
function logProbabilities(logits: ArrayLike<number>, row: number): number[] {
  const x = Array.from({ length: V }, (_, v) => logits[row * V + v]);
  const sum = x.reduce((total, value) => total + Math.exp(value), 0);
  return x.map((value) => value - Math.log(sum));
}

/** Nats of ids[from + 1 …] by the rows of logits of ids[from …] */
function nats(logits: ArrayLike<number>, text: readonly number[]): number[] {
  return text.slice(1).map((id, row) => -logProbabilities(logits, row)[id]);
}

const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length;

async function wholeLogits(of: MistralForCausalLM, text: readonly number[]) {
  const { logits } = await of.forward({ input_ids: [...text] });
  return logits.data as Float32Array;
}

describe("perplexity", () => {
  test("of one window it is that of Transformers' logits", async () => {
    const { nll, perplexity: value, tokens, windows } = await perplexity(model, ids);
    expect(Math.abs(nll - mean(nats(goldenLogits, ids)))).toBeLessThan(2e-5);
    expect(value).toBeCloseTo(Math.exp(nll), 10);
    expect([tokens, windows]).toEqual([ids.length - 1, 1]);
  });

  test.each([
    [8, 4],
    [16, 16],
    [13, 5],
    [ids.length, 7],
  ])("windows of %i that move by %i: the guide's loop", async (max_length, stride) => {
    let [sum, count, judged] = [0, 0, 0];
    for (let begin = 0; begin < ids.length; begin += stride) {
      const end = Math.min(begin + max_length, ids.length);
      const losses = nats(
        await wholeLogits(model, ids.slice(begin, end)),
        ids.slice(begin, end),
      ).slice(-(end - judged));
      if (end - judged > 1) sum += mean(losses) * (end - judged - 1);
      count += end - judged - 1;
      judged = end;
      if (end === ids.length) break;
    }
    const seen: number[] = [];
    const result = await perplexity(model, [ids], {
      ...{ max_length, stride, onProgress: ({ done }) => seen.push(done) },
    });
    expect(Math.abs(result.nll - sum / count)).toBeLessThan(1e-5);
    expect(result).toMatchObject({ tokens: count, max_length, stride, windows: seen.length });
    expect(seen.at(-1)).toBe(ids.length);
  });

  test("what cannot be judged is refused by name, and a signal stops it", async () => {
    const wrong: [unknown, object, RegExp][] = [
      [[5], {}, /one token came/],
      [[ids, ids], {}, /2 texts came/],
      [ids, { stride: 9, max_length: 8 }, /stride: 9: expected a whole number from 2 to 8/],
      [ids, { max_length: 1e6 }, /max_length: 1000000.*max_position_embeddings/],
      [ids, { strid: 4 }, /did you mean "stride"/],
      [[V], {}, /./],
    ];
    for (const [text, options, message] of wrong) {
      const call = perplexity(model, text as number[], options);
      await expect(call).rejects.toThrow(InputError);
      await expect(call).rejects.toThrow(message);
    }
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(perplexity(model, ids, { signal })).rejects.toThrow("enough");
  });
});

describe("klDivergence", () => {
  test.each([
    [ids.length, ids.length],
    [20, 6],
  ])("windows of %i that move by %i: plain loops over whole logits", async (max_length, stride) => {
    const kls: number[] = [];
    let [agreed, judged] = [0, 1];
    for (let begin = 0; judged < ids.length; begin += stride) {
      const end = Math.min(begin + max_length, ids.length);
      const window = ids.slice(begin, end);
      const [a, b] = [await wholeLogits(model, window), await wholeLogits(other, window)];
      for (let row = judged - begin - 1; row < window.length - 1; row++) {
        const [p, q] = [logProbabilities(a, row), logProbabilities(b, row)];
        kls.push(p.reduce((sum, log, v) => sum + Math.exp(log) * (log - q[v]), 0));
        agreed += p.indexOf(Math.max(...p)) === q.indexOf(Math.max(...q)) ? 1 : 0;
      }
      judged = end;
    }
    const result = await klDivergence(other, model, ids, { max_length, stride });
    expect(result.tokens).toBe(ids.length - 1);
    expect(kls).toHaveLength(ids.length - 1);
    expect(Math.abs(result.kl - mean(kls))).toBeLessThan(1e-6);
    expect(Math.abs(result.kl_max - Math.max(...kls))).toBeLessThan(1e-5);
    expect(result.kl).toBeGreaterThan(1e-7);
    expect(result.kl_median).toBeLessThan(result.kl_p99);
    expect(result.top1_agreement).toBeCloseTo(agreed / kls.length, 10);
  });

  test("a model is not away from itself, and its perplexities are those of perplexity", async () => {
    const result = await klDivergence(model, model, Tensor.from(ids));
    const { perplexity: value } = await perplexity(model, ids);
    expect([result.kl_max, result.top1_agreement]).toEqual([0, 1]);
    expect(result.perplexity).toBe(result.reference_perplexity);
    expect(Math.abs(result.perplexity / value - 1)).toBeLessThan(1e-5);
  });
});
