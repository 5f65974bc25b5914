// model(…) and model.forward(…): what goes in, what comes out, and the goldens of Transformers 5.23 through the public names.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoTokenizer,
  InputError,
  type MistralForCausalLM,
  type MistralModel,
  type PreTrainedTokenizer,
  Tensor,
} from "../../src/index.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type Case = {
  id: string;
  input_ids: number[] | number[][];
  attention_mask?: number[][];
  position_ids?: number[][] | null;
  tensors?: Record<string, string>;
  losses?: { labels: number[] | number[][]; loss: number; num_items_in_batch?: number }[];
};

const folder = goldenPath("models/base-f32");
const { cases } = goldenJson<{ cases: Case[] }>("forward/base-f32.json");
const golden = readSafetensors(goldenPath("forward/base-f32.safetensors"));
const [V, H, L, Hq] = [640, 64, 3, 4];
/** goldens/README.md */
const TOLERANCE = 2e-4;

const caseOf = (id: string): Case => {
  const found = cases.find((c) => c.id === id);
  if (found === undefined) throw new Error(`no golden ${id}`);
  return found;
};
const want = (name = ""): ArrayLike<number> => {
  const found = golden.get(name);
  if (found === undefined) throw new Error(`no golden tensor ${name}`);
  return found.data;
};

/** The largest difference; places that `real` marks with 0 do not count. */
function distance(actual: Tensor, wanted: ArrayLike<number>, real?: readonly number[]): number {
  expect(actual.dtype).toBe("float32");
  expect(actual.data).toHaveLength(wanted.length);
  const width = real === undefined ? 1 : wanted.length / real.length;
  let worst = 0;
  actual.data.forEach((x, i) => {
    if (real !== undefined && real[Math.floor(i / width)] === 0) return;
    const d = Math.abs(x - wanted[i]);
    worst = Number.isNaN(d) ? Infinity : Math.max(worst, d);
  });
  return worst;
}

let model: MistralForCausalLM;
let eager: MistralForCausalLM;
let decoder: MistralModel;
let tokenizer: PreTrainedTokenizer;
beforeAll(async () => {
  [model, eager, decoder, tokenizer] = await Promise.all([
    AutoModelForCausalLM.from_pretrained(folder),
    AutoModelForCausalLM.from_pretrained(folder, { attn_implementation: "eager" }),
    AutoModel.from_pretrained(folder),
    AutoTokenizer.from_pretrained(goldenPath("tokenizers/tiny")),
  ]);
});
afterAll(async () => {
  for (const m of [model, eager, decoder]) {
    expect((await m.memory()).pagesInUse).toBe(0);
    await m.dispose();
  }
});

describe("inputs", () => {
  const ids = [1, 20, 300, 7, 5];
  const use_cache = false;

  test("ids as arrays, typed arrays, bigints, Tensors; one row without its batch", async () => {
    const { logits } = await model({ input_ids: [ids], use_cache });
    expect(logits.dims).toEqual([1, 5, V]);
    const spellings = [
      ids,
      Int32Array.from(ids),
      Float64Array.from(ids),
      ids.map(BigInt),
      [Int32Array.from(ids)],
      Tensor.from([ids]),
      Tensor.from(ids),
      new Tensor("int32", Int32Array.from(ids), [1, 5]),
    ];
    for (const input_ids of spellings) {
      const out = await model({ input_ids, use_cache });
      expect(out.logits.dims).toEqual([1, 5, V]);
      expect(out.logits.data).toEqual(logits.data);
    }
    const called = await model.forward({ input_ids: ids, use_cache });
    expect(called.logits.data).toEqual(logits.data);
  });

  test("what the tokenizer gives, whole, with lists and with tensors", async () => {
    const texts = ["Hello there", "A longer text than that"];
    tokenizer.padding_side = "left";
    const lists = tokenizer(texts, { padding: true });
    const tensors = tokenizer(texts, { padding: true, return_tensors: "pt" });
    const one = tokenizer(texts[0]);
    const a = await model({ ...lists, use_cache });
    const b = await model({ ...tensors, use_cache });
    const c = await model({ ...one, use_cache });
    expect(a.logits.dims).toEqual(tensors.input_ids.dims.concat(V));
    expect(b.logits.data).toEqual(a.logits.data);
    const S = a.logits.dims[1];
    const padding = lists.attention_mask[0].indexOf(1);
    expect(c.logits.dims).toEqual([1, S - padding, V]);
    const whole = await model(lists);
    expect(whole.logits.data).toEqual(a.logits.data);
    await whole.past_key_values?.dispose();
  });

  test("inputs_embeds: the rows of the embedding give the same bits as ids", async () => {
    const table = readSafetensors(`${folder}/model.safetensors`).get("model.embed_tokens.weight");
    const rows = ids.map((id) => [...(table?.data ?? []).slice(id * H, (id + 1) * H)]);
    const byIds = await model({ input_ids: ids, use_cache });
    const byRows = await model({ inputs_embeds: [rows], use_cache });
    expect(byRows.logits.data).toEqual(byIds.logits.data);
    const typed = new Tensor("float32", Float32Array.from(rows.flat()), [1, 5, H]);
    expect((await model({ inputs_embeds: typed, use_cache })).logits.data).toEqual(
      byIds.logits.data,
    );
  });

  test("null is not given", async () => {
    const nothing = {
      ...{ attention_mask: null, position_ids: null, past_key_values: null, labels: null },
      ...{ inputs_embeds: null, output_attentions: null, logits_to_keep: null, signal: null },
      ...{ num_items_in_batch: null },
    } as never as object;
    const out = await model({ input_ids: ids, use_cache, ...nothing });
    expect(out.logits.dims).toEqual([1, 5, V]);
  });

  test.each([
    [{}, /exactly one of input_ids and inputs_embeds/],
    [{ input_ids: [1], inputs_embeds: [[[0]]] }, /exactly one/],
    [{ input_ids: [] }, /at least one token/],
    [{ input_ids: [[]] }, /at least one token/],
    [{ input_ids: [[[1]]] }, /expected \[B, S\]/],
    [{ input_ids: [[1, 2], [3]] }, /rows differ.*padding/],
    [{ input_ids: [1, 640] }, /id 640 at row 0, column 1 is outside \[0, 640\)/],
    [{ input_ids: [[1], [-1]] }, /id -1 at row 1/],
    [{ input_ids: [1.5] }, /1.5 is no integer/],
    [{ input_ids: [NaN] }, /NaN is no integer/],
    [{ input_ids: Float64Array.of(2 ** 32 + 1) }, /4294967297/],
    [{ input_ids: "Hello" }, /expected a number/],
    [{ inputs_embeds: [[[1, 2]]] }, /expected \[B, S, 64\]/],
    [{ input_ids: [1, 2], attention_mask: [1] }, /attention_mask \[1, 1\]: expected \[1, 2\]/],
    [{ input_ids: [1, 2], attention_mask: [1, 2] }, /0 \(padding\) and 1 \(token\) only/],
    [{ input_ids: [1, 2], position_ids: [0] }, /position_ids \[1, 1\]: expected \[1, 2\]/],
    [{ input_ids: [1, 2], position_ids: [0, -1] }, /-1 is outside/],
    [{ input_ids: [1, 2], labels: [1, 640] }, /labels: 640/],
    [{ input_ids: [1, 2], labels: [1, -99] }, /labels: -99/],
    [{ input_ids: [1], num_items_in_batch: 0 }, /num_items_in_batch/],
    [{ input_ids: [1], logits_to_keep: -1 }, /logits_to_keep/],
    [{ input_ids: [1], logits_to_keep: 1.5 }, /logits_to_keep/],
    [{ input_ids: [1], logits_to_keep: [1] }, /within \[-1, 1\), got 1/],
    [{ input_ids: [1], output_attentions: true }, /attn_implementation: "eager"/],
    [{ input_ids: [1], past_key_values: {} }, /expected a DynamicCache/],
    [{ input_id: [1] }, /unknown option "input_id"; did you mean "input_ids"\?/],
    [{ input_ids: [1], output_hidden_state: true }, /did you mean "output_hidden_states"/],
  ])("%o is refused", async (inputs, message) => {
    const error = await model(inputs as never).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(message);
  });

  test("MistralModel has no labels and no logits_to_keep", async () => {
    await expect(decoder({ input_ids: [1], labels: [1] } as never)).rejects.toThrow(
      /unknown option "labels"/,
    );
  });
});

describe("outputs", () => {
  const { input_ids, tensors = {} } = caseOf("single_medium");
  const S = input_ids.length;

  test("logits, hidden_states, attentions, past_key_values, last_hidden_state", async () => {
    const out = await eager({
      input_ids,
      output_hidden_states: true,
      output_attentions: true,
      use_cache: true,
    });
    expect(out.logits.dims).toEqual([1, S, V]);
    expect(out.logits.tolist()).toHaveLength(1);
    expect((out.logits.tolist() as number[][][])[0][S - 1]).toHaveLength(V);
    expect(distance(out.logits, want(tensors.logits))).toBeLessThan(TOLERANCE);
    expect(out.hidden_states).toHaveLength(L + 1);
    for (const [i, layer] of (out.hidden_states ?? []).entries()) {
      expect(layer.dims).toEqual([1, S, H]);
      const name = tensors[`hidden.${i}`];
      if (name !== undefined) expect(distance(layer, want(name))).toBeLessThan(TOLERANCE);
    }
    expect(out.attentions).toHaveLength(L);
    for (const layer of out.attentions ?? []) {
      expect(layer.dims).toEqual([1, Hq, S, S]);
      const rows = (layer.tolist() as number[][][][])[0].flat();
      for (const [n, row] of rows.entries()) {
        expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
        expect(row.slice((n % S) + 1).every((p) => p === 0)).toBe(true);
      }
    }
    expect(out.past_key_values?.get_seq_length()).toBe(S);
    expect(out).not.toHaveProperty("loss");

    const bare = await decoder({ input_ids, use_cache: false, output_hidden_states: true });
    expect(bare.last_hidden_state.dims).toEqual([1, S, H]);
    expect(distance(bare.last_hidden_state, out.hidden_states?.at(-1)?.data ?? [])).toBeLessThan(
      TOLERANCE,
    );
    expect(bare.hidden_states?.at(-1)?.data).toEqual(bare.last_hidden_state.data);
    expect(bare).not.toHaveProperty("past_key_values");
    await out.past_key_values?.dispose();
  });

  test("eager and flash attention agree, and attentions of later calls are as wide as the cache", async () => {
    const flash = await model({ input_ids, use_cache: false });
    const matrix = await eager({ input_ids: input_ids.slice(0, -2), use_cache: true });
    const past_key_values = matrix.past_key_values;
    const last = await eager({
      input_ids: input_ids.slice(-2) as number[],
      past_key_values,
      output_attentions: true,
    });
    expect(last.attentions?.[0].dims).toEqual([1, Hq, 2, S]);
    expect(distance(last.logits, flash.logits.data.subarray((S - 2) * V))).toBeLessThan(TOLERANCE);
    await past_key_values?.dispose();
  });

  test.each([
    [0, "all"],
    [1, [S - 1]],
    [3, [S - 3, S - 2, S - 1]],
    [S + 10, "all"],
    [
      [0, 4, 2, 4],
      [0, 4, 2, 4],
    ],
    [
      [-1, 0],
      [S - 1, 0],
    ],
    [Int32Array.of(5), [5]],
    [Tensor.from([7, 8]), [7, 8]],
    [[], []],
  ])("logits_to_keep %o", async (logits_to_keep, columns) => {
    const all = await model({ input_ids, use_cache: false });
    const kept = columns === "all" ? Array.from({ length: S }, (_, i) => i) : (columns as number[]);
    const out = await model({ input_ids, logits_to_keep, use_cache: false });
    expect(out.logits.dims).toEqual([1, kept.length, V]);
    const rows = kept.flatMap((i) => [...all.logits.data.subarray(i * V, (i + 1) * V)]);
    expect(out.logits.data).toEqual(Float32Array.from(rows));
  });

  test.each(["loss", "loss_batch_left", "loss_batch_right"])("labels: %s", async (id) => {
    const c = caseOf(id);
    expect(c.losses?.length).toBeGreaterThan(0);
    for (const { labels, loss, num_items_in_batch } of c.losses ?? []) {
      const out = await model({
        input_ids: c.input_ids,
        attention_mask: c.attention_mask,
        position_ids: c.position_ids ?? undefined,
        ...{ labels, num_items_in_batch },
      });
      expect(out.loss?.dims).toEqual([]);
      expect(out.loss?.dtype).toBe("float32");
      expect(out.loss?.tolist()).toBe(out.loss?.item());
      expect(Math.abs((out.loss?.item() ?? NaN) - loss)).toBeLessThan(1e-4 * Math.abs(loss));
      expect(out).not.toHaveProperty("past_key_values");
    }
  });

  test("a padded place that a loss counts: its attention is spread over all columns, and no cache goes with it", async () => {
    const inputs = { input_ids: [[0, 0, 5, 7, 9]], attention_mask: [[0, 0, 1, 1, 1]] };
    const counted = { ...inputs, labels: [[-100, -100, 5, 7, 9]] };
    const { attentions = [] } = await eager({ ...counted, output_attentions: true });
    expect(attentions).toHaveLength(L);
    for (const layer of attentions) {
      for (const head of (layer.tolist() as number[][][][])[0]) {
        expect(head.slice(0, 2)).toEqual(Array(2).fill(Array(5).fill(Math.fround(1 / 5))));
        expect(head[2]).toEqual([0, 0, 1, 0, 0]);
      }
    }
    await expect(model({ ...counted, use_cache: true })).rejects.toThrow(/neither use nor keep a/);
    const uncounted = { ...inputs, labels: [[-100, -100, -100, 7, 9]] };
    const out = await model({ ...uncounted, use_cache: true });
    expect(out.loss?.item()).toBeGreaterThan(0);
    await out.past_key_values?.dispose();
  });

  test.each(cases.filter((c) => c.id.startsWith("batch_") && c.id.endsWith("_positions")))(
    "attention_mask and position_ids: $id",
    async (c) => {
      const out = await model({
        input_ids: c.input_ids,
        attention_mask: c.attention_mask,
        position_ids: c.position_ids ?? undefined,
        use_cache: false,
      });
      const real = c.attention_mask?.flat() ?? [];
      expect(distance(out.logits, want(c.tensors?.logits), real)).toBeLessThan(TOLERANCE);
    },
  );
});

describe("several calls at the same time", () => {
  test("each gives what it gives alone", async () => {
    const prompts = cases.filter((c) => c.id.startsWith("single")).map((c) => c.input_ids);
    const alone: Tensor[] = [];
    for (const input_ids of prompts) {
      alone.push((await model({ input_ids, use_cache: false })).logits);
    }
    const texts = await Promise.all(
      prompts.map((ids) => model.generate(ids, { max_new_tokens: 10 })),
    );
    const together = await Promise.all(
      prompts.flatMap((input_ids) => [
        model({ input_ids, use_cache: false }),
        model.generate(input_ids, { max_new_tokens: 10 }),
      ]),
    );
    prompts.forEach((_, i) => {
      const { logits } = together[2 * i] as { logits: Tensor };
      expect(logits.data).toEqual(alone[i].data);
      expect((together[2 * i + 1] as Tensor).tolist()).toEqual(texts[i].tolist());
    });
  });

  test("a prompt longer than one chunk: whole, in pieces, in one batch with a short one", async () => {
    const long = Array.from({ length: 700 }, (_, i) => (i * 37) % V);
    const whole = await model({ input_ids: long, use_cache: false });
    const first = await model({ input_ids: long.slice(0, 33), use_cache: true });
    const { past_key_values } = first;
    const second = await model({ input_ids: long.slice(33, 690), past_key_values });
    const third = await model({ input_ids: long.slice(690), past_key_values });
    const joined = [first, second, third].flatMap(({ logits }) => [...logits.data]);
    expect(Float32Array.from(joined)).toEqual(whole.logits.data);
    expect(past_key_values?.get_seq_length()).toBe(700);
    await past_key_values?.dispose();

    const padded = [...Array.from({ length: 690 }, () => 0), ...long.slice(0, 10)];
    const mask = [long.map(() => 1), padded.map((_, i) => (i < 690 ? 0 : 1))];
    const positions = [long.map((_, i) => i), padded.map((_, i) => Math.max(0, i - 690))];
    const both = await model({
      input_ids: [long, padded],
      attention_mask: mask,
      position_ids: positions,
      use_cache: false,
    });
    expect(both.logits.data.subarray(0, 700 * V)).toEqual(whole.logits.data);
    expect(both.logits.data.subarray((700 + 690) * V)).toEqual(
      whole.logits.data.subarray(0, 10 * V),
    );
  });
});
