// The embedded model: what Transformers 5.23 continues greedily, token by token and as text, and that a seed repeats a story.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  defaultModel,
  type MistralForCausalLM,
  type PreTrainedTokenizer,
} from "../../src/index.ts";
import { goldenJson } from "../golden-files.ts";

type Case = {
  kind: "text" | "chat";
  prompt: string;
  input_ids: number[];
  sequence: number[];
  text: string;
  top5: { ids: number[]; logits: number[] };
};

const { cases } = goldenJson<{ cases: Case[] }>("stories/model/golden.json");
let model: MistralForCausalLM;
let tokenizer: PreTrainedTokenizer;
beforeAll(async () => {
  const dir = await defaultModel();
  [model, tokenizer] = [
    await AutoModelForCausalLM.from_pretrained(dir),
    await AutoTokenizer.from_pretrained(dir),
  ];
});
afterAll(() => model.dispose());

describe.each(cases)("$kind: $prompt", ({ kind, prompt, input_ids, sequence, text, top5 }) => {
  test("the prompt's ids", () => {
    const ids =
      kind === "text"
        ? tokenizer(prompt).input_ids
        : tokenizer.apply_chat_template([{ role: "user", content: prompt }], {
            return_dict: false,
          });
    expect(ids).toEqual(input_ids);
  });

  test("logits of its last token", async () => {
    const { logits } = await model({ input_ids: [input_ids], logits_to_keep: 1 });
    top5.ids.forEach((id, i) =>
      expect(Math.abs(logits.data[id] - top5.logits[i])).toBeLessThanOrEqual(2e-4),
    );
  });

  test("the greedy continuation, as far as the references agree", async () => {
    const out = await model.generate([input_ids], {
      do_sample: false,
      max_new_tokens: sequence.length - input_ids.length,
    });
    const [ids] = out.tolist() as number[][];
    expect(ids).toEqual(sequence);
    expect(tokenizer.decode(ids, { skip_special_tokens: true })).toBe(text);
  });
});

test("a seed repeats a story, another one tells another", async () => {
  const tell = async (seed: number): Promise<unknown> =>
    (
      await model.generate([cases[0].input_ids], { do_sample: true, max_new_tokens: 40, seed })
    ).tolist();
  const story = await tell(1);
  expect(await tell(1)).toEqual(story);
  expect(await tell(2)).not.toEqual(story);
});
