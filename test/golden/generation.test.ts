// generation/*.json: the ids that Transformers 5.23 generates, through the public API on each device.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  InputError,
  type MistralForCausalLM,
  type PreTrainedTokenizer,
  type Tensor,
} from "../../src/index.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";
import { readSafetensors } from "../safetensors-file.ts";

type Options = Record<string, unknown>;
type Case = {
  id: string;
  input_ids: number[][];
  attention_mask?: number[][];
  kwargs: Options;
  sequences?: number[][];
  error?: string;
  message?: string;
  tensors?: Record<string, string>;
  then?: { input_ids: number[][]; kwargs: Options; sequences: number[][] };
};

const models = ["base-f32", "sw8-f32", "sw5-mqa-f32", "v03-f32", "mha-gelu-f32"];
const now =
  /^(greedy|eos|min_|max_|repetition_penalty|stop_string|second_turn|prefill_in_chunks|static_cache|no_repeat|bad_words|suppress|begin_suppress|forced|sequence_bias|exponential|renormalize|combined|error_return_greedy|error_unknown)/;

/** goldens/README.md: scores to 2e-3. */
const SCORES = 2e-3;

for (const device of ["cpu", "reference"] as const) {
  for (const attn_implementation of ["sdpa", "eager"] as const) {
    describe.each(models)(`%s · ${device} · ${attn_implementation}`, (name) => {
      const cases = goldenJson<{ cases: Case[] }>(`generation/${name}.json`).cases.filter(
        ({ id }) => now.test(id),
      );
      const scores = readSafetensors(goldenPath("generation/scores.safetensors"));
      let model: MistralForCausalLM;
      let tokenizer: PreTrainedTokenizer;
      beforeAll(async () => {
        model = await AutoModelForCausalLM.from_pretrained(goldenPath(`models/${name}`), {
          device,
          attn_implementation,
        });
        tokenizer = await AutoTokenizer.from_pretrained(goldenPath("tokenizers/tiny"));
      });
      afterAll(async () => {
        expect((await model.memory()).pagesInUse).toBe(0);
        await model.dispose();
      });
      const generate = (
        c: { input_ids: number[][]; attention_mask?: number[][]; kwargs: Options },
        more: Options = {},
      ) =>
        model.generate({
          input_ids: c.input_ids,
          attention_mask: c.attention_mask,
          ...c.kwargs,
          tokenizer,
          ...more,
        });

      test("has cases", () => expect(cases.length).toBeGreaterThan(0));

      test.each(cases)("$id", async (c) => {
        if (c.error !== undefined) {
          await expect(generate(c)).rejects.toThrow(InputError);
          return;
        }
        if (c.then !== undefined) {
          const first = (await generate(c, { return_dict_in_generate: true })) as never as {
            sequences: Tensor;
            past_key_values: never;
          };
          expect(first.sequences.tolist()).toEqual(c.sequences);
          const second = await generate(c.then, { past_key_values: first.past_key_values });
          expect(second.tolist()).toEqual(c.then.sequences);
          await (first.past_key_values as { dispose(): Promise<void> }).dispose();
          return;
        }
        const tensors = c.tensors ?? {};
        if (tensors.scores === undefined) {
          expect((await generate(c)).tolist()).toEqual(c.sequences);
          return;
        }
        const out = (await model.generate(c.input_ids, {
          ...c.kwargs,
          ...{ return_dict_in_generate: true, output_scores: true, output_logits: true },
        })) as {
          sequences: Tensor;
          scores: Tensor[];
          logits: Tensor[];
          past_key_values: { dispose(): Promise<void> };
        };
        await out.past_key_values.dispose();
        expect(out.sequences.tolist()).toEqual(c.sequences);
        for (const [kind, steps] of [
          ["scores", out.scores],
          ["logits", out.logits],
        ] as const) {
          const want = scores.get(tensors[kind])?.data ?? [];
          const got = steps.flatMap((step) => [...step.data]);
          expect(got.length).toBe(want.length);
          expect(Math.max(...got.map((value, i) => Math.abs(value - want[i])))).toBeLessThanOrEqual(
            SCORES,
          );
        }
      });
    });
  }
}
