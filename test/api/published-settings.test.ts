// generation_config.json files as people publish them: they load, and generate what Transformers 5.23 generates. Tokens are its own.

import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { AutoModelForCausalLM, type GenerateOptions, InputError } from "../../src/index.ts";
import type { GenerateDecoderOnlyOutput } from "../../src/index.ts";
import { temporaryFolder } from "../engine/written-model.ts";
import { goldenPath } from "../golden-files.ts";

const folder = temporaryFolder();
afterAll(folder.remove);
afterEach(() => {
  vi.restoreAllMocks();
});

let count = 0;
const withSettings = (values: object): string => {
  const dir = join(folder.dir, `m${count++}`);
  cpSync(goldenPath("models/base-f32"), dir, { recursive: true });
  writeFileSync(join(dir, "generation_config.json"), JSON.stringify(values));
  return dir;
};

/** Loads a model with these settings, and continues a prompt twice. Gives the new tokens and all warnings. */
async function continued(
  settings: object,
  prompt: number[],
  options: GenerateOptions = {},
): Promise<{ tokens: unknown; warnings: string[] }> {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  const model = await AutoModelForCausalLM.from_pretrained(withSettings(settings));
  try {
    const call = { input_ids: [prompt], max_new_tokens: 3, ...options };
    await model.generate(call);
    const result = await model.generate(call);
    const ids = "sequences" in result ? (result as GenerateDecoderOnlyOutput).sequences : result;
    const [row] = ids.tolist() as number[][];
    const warnings = warn.mock.calls.map(([text]) => String(text));
    return { tokens: row.slice(prompt.length), warnings };
  } finally {
    await model.dispose();
  }
}

test.each<[object, string | undefined]>([
  [{ output_hidden_states: true }, "output_hidden_states is true (from "],
  [{ output_hidden_states: true, return_dict_in_generate: true }, "generate() keeps none"],
  [{ cache_implementation: "sliding_window" }, 'cache_implementation is "sliding_window" (from '],
  [{ cache_implementation: "hybrid" }, 'cache_implementation is "hybrid" (from '],
  [{ top_k: -1 }, "top_k is -1 (from "],
  [{ do_sample: false, temperature: 0, top_p: 1.5 }, "top_p is 1.5 (from "],
  [{ no_repeat_ngram_size: -1, min_length: -1 }, "min_length is -1 (from "],
  [{ prompt_lookup_num_tokens: 3 }, "prompt_lookup_num_tokens is 3 (from "],
  [{ bad_words_ids: [[2]], eos_token_id: 2 }, undefined],
  [{ do_sample: false, temperature: 0.6, top_p: 0.9, pad_token_id: -1 }, undefined],
])("%j loads, gives 479 473 327, and warns once", async (settings, warning) => {
  const { tokens, warnings } = await continued(settings, [1, 10, 20]);
  expect(tokens).toEqual([479, 473, 327]);
  const wanted = warning === undefined ? [] : [expect.stringContaining(warning)];
  expect(warnings.filter((text) => warning === undefined || text.includes(warning))).toEqual(
    wanted,
  );
  expect(new Set(warnings).size).toBe(warnings.length);
});

test("scores do not change where the only bad word is the end of a sequence", async () => {
  const model = await AutoModelForCausalLM.from_pretrained(goldenPath("models/base-f32"));
  const scores = async (options: GenerateOptions): Promise<unknown> => {
    const kept = { return_dict_in_generate: true, output_scores: true, max_new_tokens: 2 } as const;
    const call = { input_ids: [[1, 10, 20]], eos_token_id: 2, ...kept, ...options };
    return ((await model.generate(call)) as unknown as GenerateDecoderOnlyOutput).scores;
  };
  expect(await scores({ bad_words_ids: [[2]] })).toEqual(await scores({}));
  await model.dispose();
});

test.each<[object, number[], number[]]>([
  [{ encoder_repetition_penalty: 3 }, [1, 479, 473, 327, 10], [327, 473, 595, 1, 482]],
  [{ encoder_no_repeat_ngram_size: 1 }, [1, 479, 473, 327, 10], [450, 630, 196, 450, 542]],
  [{}, [1, 479, 473, 327, 10], [450, 630, 196, 473, 104]],
  [{ encoder_repetition_penalty: 20 }, [1, 10, 20], [20, 20, 20, 20, 20]],
])("%j acts on the prompt %j, as in Transformers", async (settings, prompt, tokens) => {
  const fromFile = await continued(settings, prompt, { max_new_tokens: 5 });
  expect(fromFile).toEqual({ tokens, warnings: [] });
});

test("settings that would change the tokens do not stop loading; a call says how to go on", async () => {
  const dir = withSettings({ num_beams: 4 });
  const model = await AutoModelForCausalLM.from_pretrained(dir);
  const call = { input_ids: [[1, 10, 20]], max_new_tokens: 3 };
  await expect(model.generate(call)).rejects.toThrow(InputError);
  await expect(model.generate(call)).rejects.toThrow(
    `generate: num_beams is 4 (from ${join(dir, "generation_config.json")}): beam search is not built yet; give this call num_beams: 1`,
  );
  const ids = await model.generate({ ...call, num_beams: 1 });
  expect(ids.tolist()).toEqual([[1, 10, 20, 479, 473, 327]]);
  await model.dispose();
});
