// Pipelines against those of Transformers 5.23 (cases.json, made by make_cases.py), alone and in batches padded on either side.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  InputError,
  MistralForQuestionAnswering,
  MistralForSequenceClassification,
  MistralForTokenClassification,
  pipeline,
  type PreTrainedTokenizer,
  type Question,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

type Case = { inputs: unknown; options: object; outputs: unknown };
type LabelCase = Case & { labels: string[] | string; likelihoods?: number[] };
type AnswerCase = Question & { options: object; outputs: unknown };
type FeatureCase = Record<"first" | "last" | "mean" | "normalised", number[]> & {
  inputs: string;
  length: number;
};

const all = JSON.parse(readFileSync(join(import.meta.dirname, "cases.json"), "utf8")) as Record<
  string,
  unknown[]
>;
const cases = <T = Case>(name: string): T[] => {
  const found = all[name];
  if (found === undefined || found.length === 0) throw new Error(`no cases of ${name}`);
  return found as T[];
};
const model = (name: string): string => goldenPath(`models/${name}`);
const tokenizer = goldenPath("tokenizers/tiny");
const sides = ["right", "left"] as const;

/** Scores may differ by what logits may. */
function expectClose(got: unknown, want: unknown, where = ""): void {
  if (typeof want === "number" && !Number.isInteger(want)) {
    expect(
      Math.abs((got as number) - want),
      `${where}: ${String(got)}, expected ${want}`,
    ).toBeLessThanOrEqual(3e-4);
  } else if (typeof want === "object" && want !== null) {
    expect(Object.keys(got as object).toSorted(), where).toEqual(Object.keys(want).toSorted());
    for (const [key, value] of Object.entries(want))
      expectClose((got as Record<string, unknown>)[key], value, `${where}.${key}`);
  } else expect(got, where).toEqual(want);
}

async function tokenizerOf(
  padding_side: "left" | "right",
  more: object = {},
): Promise<PreTrainedTokenizer> {
  return AutoTokenizer.from_pretrained(tokenizer, { padding_side, ...more });
}

type Call = (inputs: never, options: object) => Promise<unknown>;

describe.each(sides)("padding on the %s", (side) => {
  let texts: MistralForSequenceClassification;
  let tokens: MistralForTokenClassification;
  let answers: MistralForQuestionAnswering;
  beforeAll(async () => {
    texts = await MistralForSequenceClassification.from_pretrained(model("seqcls-f32"));
    tokens = await MistralForTokenClassification.from_pretrained(model("tokcls-f32"), {
      id2label: { 0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC" },
    });
    answers = await MistralForQuestionAnswering.from_pretrained(model("qa-f32"));
  });
  afterAll(async () => {
    await Promise.all([texts, tokens, answers].map((each) => each.dispose()));
  });

  test.each(["", " regression", " multi_label_classification"])(
    "text-classification%s",
    async (problem) => {
      texts.config.problem_type = (problem.trim() || null) as typeof texts.config.problem_type;
      const classify = await pipeline("text-classification", texts, {
        tokenizer: await tokenizerOf(side),
      });
      for (const { inputs, options, outputs } of cases(`text-classification${problem}`)) {
        expectClose(await (classify as Call)(inputs as never, options), outputs);
        expectClose(
          await (classify as Call)(inputs as never, { ...options, batch_size: 4 }),
          outputs,
        );
      }
      texts.config.problem_type = null;
    },
  );

  test("zero-shot-classification by entailment", async () => {
    const { label2id } = texts.config;
    texts.config.label2id = { contradiction: 0, neutral: 1, entailment: 2 };
    const classify = await pipeline("zero-shot-classification", texts, {
      tokenizer: await tokenizerOf(side),
      batch_size: 2,
    });
    for (const { inputs, labels, options, outputs } of cases<LabelCase>("zero-shot entailment")) {
      expectClose(await classify(inputs as string, labels, options), outputs);
      expectClose(
        await classify(inputs as string, { ...options, candidate_labels: labels }),
        outputs,
      );
    }
    texts.config.label2id = label2id;
    await expect(classify("a", ["b"])).rejects.toThrow(
      /no label of the model begins with "entail"/,
    );
  });

  test("token-classification", async () => {
    const ner = await pipeline("ner", tokens, { tokenizer: await tokenizerOf(side) });
    for (const { inputs, options, outputs } of cases("token-classification")) {
      expectClose(await (ner as Call)(inputs as never, options), outputs, JSON.stringify(options));
      expectClose(await (ner as Call)(inputs as never, { ...options, batch_size: 3 }), outputs);
    }
    const long = await pipeline("token-classification", tokens, {
      tokenizer: await tokenizerOf(side, { model_max_length: 24 }),
      batch_size: 2,
    });
    for (const { inputs, options, outputs } of cases("token-classification long"))
      expectClose(await (long as Call)(inputs as never, options), outputs, JSON.stringify(options));
  });

  test("feature-extraction", async () => {
    const extract = await pipeline("feature-extraction", model("base-f32"), {
      tokenizer: await tokenizerOf(side),
      batch_size: 3,
    });
    const rows = cases<FeatureCase>("feature-extraction");
    const list = rows.map(({ inputs }) => inputs);
    const whole = await extract(list);
    const pooled = await extract(list, { pooling: "last" });
    const means = await extract(list, { pooling: "mean" });
    const units = await extract(list, { pooling: "last", normalize: true, return_tensors: true });
    expect(units.dims).toEqual([3, 64]);
    for (const [i, row] of rows.entries()) {
      expect(whole[i][0]).toHaveLength(row.length);
      expectClose(whole[i][0][0], row.first);
      expectClose(whole[i][0].at(-1), row.last);
      expectClose(pooled[i], row.last);
      expectClose(means[i], row.mean);
      expectClose([...units.data.subarray(i * 64, (i + 1) * 64)], row.normalised);
    }
    expectClose(await extract(list[1], { pooling: "mean" }), rows[1].mean);
    expect((await extract(list[0], { return_tensors: true })).dims).toEqual([
      1,
      rows[0].length,
      64,
    ]);
    const cut = { truncation: true, max_length: 4 };
    expect((await extract(list[0], { tokenize_kwargs: cut }))[0]).toHaveLength(4);
    expect((await extract(list[0], cut))[0]).toHaveLength(4);
    await expect(extract("a", { normalize: true })).rejects.toThrow(
      /normalize needs pooled features/,
    );
    await extract.dispose();
  });

  test("zero-shot-classification by a language model", async () => {
    const lm = await AutoModelForCausalLM.from_pretrained(model("base-f32"));
    const classify = await pipeline("zero-shot-classification", lm, {
      tokenizer: await tokenizerOf(side),
      batch_size: 2,
    });
    for (const { inputs, labels, options, outputs, likelihoods } of cases<LabelCase>(
      "zero-shot language model",
    )) {
      expectClose(await classify(inputs as string, labels, options), outputs);
      const alone = await classify(inputs as string, labels, { ...options, multi_label: true });
      expectClose(alone.scores, likelihoods);
    }
    await classify.dispose();
    expect((await lm({ input_ids: [1, 2] })).logits.dims).toEqual([1, 2, 640]); // it was not the pipeline's own
    await lm.dispose();
  });

  if (side === "right") {
    test("question-answering", async () => {
      const ask = await pipeline("question-answering", answers, {
        tokenizer: await tokenizerOf(side),
      });
      for (const { question, context, options, outputs } of cases<AnswerCase>(
        "question-answering",
      )) {
        expectClose(await ask({ question, context }, options), outputs, JSON.stringify(options));
        expectClose(await ask([{ question, context }], { ...options, batch_size: 3 }), [outputs]);
      }
      await expect(ask({ question: "", context: "a" })).rejects.toThrow(/expected two texts/);
      await expect(ask("who?" as never, "Bob" as never)).rejects.toThrow(
        /second argument is "Bob"; expected an object of options/,
      );
      await expect(ask({ question: "b", context: "a" }, { doc_stride: 400 })).rejects.toThrow(
        /doc_stride/,
      );
    });
    test("question-answering: an answer is widened to words, where the tokenizer knows them", async () => {
      const file = JSON.parse(readFileSync(join(tokenizer, "tokenizer.json"), "utf8")) as object;
      const folder = mkdtempSync(join(tmpdir(), "mistral-words-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const pre_tokenizer = {
        type: "Split",
        pattern: { String: " " },
        behavior: "Isolated",
        invert: false,
      };
      writeFileSync(
        join(folder, "tokenizer.json"),
        JSON.stringify({ ...file, normalizer: null, pre_tokenizer }),
      );
      const own = await AutoTokenizer.from_pretrained(folder);
      const ask = await pipeline("question-answering", answers, { tokenizer: own, top_k: 8 });
      const context = "Anna met Bobby in Paris";
      const answersOf = async (align_to_words: boolean): Promise<string[]> =>
        [await ask({ question: "Who?", context }, { align_to_words })]
          .flat()
          .map(({ answer }) => answer);
      const isWhole = (answer: string): boolean =>
        answer.trim() === "" || ` ${context} `.includes(` ${answer.trim()} `);
      expect((await answersOf(true)).every(isWhole)).toBe(true);
      expect((await answersOf(false)).every(isWhole)).toBe(false);
    });
  } else {
    test("question-answering: the context comes first, and only it answers", async () => {
      const ask = await pipeline("question-answering", answers, {
        tokenizer: await tokenizerOf(side),
      });
      const context = "Anna met Bob in Paris. ".repeat(6);
      const options = { top_k: 5, max_seq_len: 40, doc_stride: 10 };
      const found = await ask({ question: "Who?", context }, options);
      const batched = await ask([{ question: "Who?", context }], { ...options, batch_size: 4 });
      expectClose(batched, [found]);
      const list = [found].flat();
      expect(list).toHaveLength(5);
      for (const { start, end, answer } of list) expect(context.slice(start, end)).toBe(answer);
    });
  }
});

describe("text-generation", () => {
  const load = (more: object = {}): ReturnType<typeof pipeline<"text-generation">> =>
    pipeline("text-generation", model("base-f32"), { tokenizer, ...more });

  test("greedy, as Transformers", async () => {
    const generate = await load();
    for (const name of ["text-generation", "text-generation stop"])
      for (const { inputs, options, outputs } of cases(name)) {
        expect(await (generate as Call)(inputs as never, options), JSON.stringify(options)).toEqual(
          outputs,
        );
      }
    await generate.dispose();
    const small = await load({ tokenizer: await tokenizerOf("right", { model_max_length: 20 }) });
    for (const { inputs, options, outputs } of cases("text-generation hole"))
      expect(await (small as Call)(inputs as never, options)).toEqual(outputs);
    const long = { max_new_tokens: 30, handle_long_generation: "hole" } as const;
    await expect(small("a", long)).rejects.toThrow(/leave no room for a prompt/);
    await small.dispose();
  });

  test("samples with its own defaults, unless the call, the pipeline or the model says otherwise", async () => {
    const generate = await load({ seed: 7 });
    const own = {
      max_new_tokens: 256,
      do_sample: true,
      temperature: 0.7,
      seed: 7,
      pad_token_id: 0,
    };
    const inputs = generate.tokenizer("Once", { return_tensors: "pt" });
    const expected = await generate.model.generate({ ...inputs, ...own });
    const [{ generated_token_ids }] = await generate("Once", { return_tensors: true });
    expect(generated_token_ids).toEqual([...expected.data]);
    const [one, two] = await generate("Once", { num_return_sequences: 2, max_new_tokens: 8 });
    expect(one.generated_text).not.toBe(two.generated_text);
    generate.model.generation_config.do_sample = false;
    generate.model.generation_config.max_length = 9;
    const greedy = await generate("Once", { return_tensors: true });
    expect(greedy[0].generated_token_ids).toHaveLength(9);
    await generate.dispose();
    await expect(generate("Once")).rejects.toThrow(/disposed/);
  });

  test("options of the chat template and of decoding reach them", async () => {
    const template =
      "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% if not loop.last %} {% endif %}{% endfor %}" +
      "{% if tools %} T{{ tools|length }}{% endif %}{% if documents %} D{{ documents[0].text }}{% endif %}{% if add_generation_prompt %} >{% endif %}";
    const own = await tokenizerOf("right", { chat_template: template });
    const generate = await load({ tokenizer: own, do_sample: false, max_new_tokens: 6 });
    const chat = [{ role: "user", content: "Hello there" }];
    const tools = [{ type: "function", function: { name: "f", description: "", parameters: {} } }];
    const documents = [{ title: "t", text: "page" }];
    const answered = { role: "assistant", content: "Oh" };
    for (const [options, text] of [
      [{ tools }, "[user] Hello there T1 >"],
      [{ documents }, "[user] Hello there Dpage >"],
      [{ continue_final_message: true }, "[user] Hello there"],
      [{}, "[user] Hello there >"],
    ] as const) {
      const { input_ids } = own(text, { add_special_tokens: false });
      const expected = await generate.model.generate([input_ids], {
        do_sample: false,
        max_new_tokens: 6,
      });
      const [{ generated_token_ids }] = await generate(chat, { ...options, return_tensors: true });
      expect(generated_token_ids, text).toEqual([...expected.data]);
    }
    const ids = async (options: object): Promise<unknown> =>
      (await generate([...chat, answered], { ...options, return_tensors: true }))[0]
        .generated_token_ids;
    expect(await ids({ continue_final_message: false })).not.toEqual(await ids({}));
    expect(await ids({ continue_final_message: true })).toEqual(await ids({}));

    expect(await generate("Hello", { return_text: true })).toEqual(await generate("Hello"));
    const { decode } = own;
    own.decode = ((...args: Parameters<typeof decode>) =>
      JSON.stringify(args[1] ?? null)) as typeof own.decode;
    const [{ generated_text }] = await generate("Hello", {
      ...{ clean_up_tokenization_spaces: true, return_full_text: false },
    });
    expect(JSON.parse(generated_text)).toMatchObject({ clean_up_tokenization_spaces: true });
    await generate.dispose();
  });

  test("refuses options that exclude each other, and what is no prompt", async () => {
    const generate = await load();
    await expect(generate("a", { return_full_text: true, return_tensors: true })).rejects.toThrow(
      /exclude each other/,
    );
    await expect(generate("a", { max_new_token: 3 } as object)).rejects.toThrow(
      /did you mean "max_new_tokens"/,
    );
    await expect((generate as Call)(3 as never, {})).rejects.toThrow(InputError);
    await expect((generate as Call)([3] as never, {})).rejects.toThrow(
      /expected a text, a conversation/,
    );
    await generate.dispose();
  });
});

describe("pipeline", () => {
  test("without a model: the embedded one", async () => {
    const generate = await pipeline("text-generation", null, {
      max_new_tokens: 5,
      do_sample: false,
    });
    const [{ generated_text }] = await generate("Once upon a time");
    expect(generated_text).toMatch(/^Once upon a time./);
    await generate.dispose();
  });

  test("batches need a padding token", async () => {
    const classify = await pipeline("text-classification", model("seqcls-f32"), {
      tokenizer: await tokenizerOf("right", { pad_token: null }),
      batch_size: 2,
    });
    classify.model.config.pad_token_id = null;
    await expect(classify(["a", "a longer text"])).rejects.toThrow(/need a padding token/);
    await classify.dispose();
  });
});
