// The classes with heads, on both devices: every case of forward/{seqcls,tokcls,qa}-f32.json through the public classes, the losses
// under their labels' own names and shapes, and what users get wrong.

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  type ForwardInputs,
  InputError,
  MistralForCausalLM,
  MistralForQuestionAnswering,
  MistralForSequenceClassification,
  MistralForTokenClassification,
  MistralModel,
  type PreTrainedModel,
  Tensor,
} from "../../src/index.ts";
import { goldenJson, goldenPath } from "../golden-files.ts";
import { readSafetensors } from "../safetensors-file.ts";

type Case = {
  id: string;
  input_ids: number[] | number[][];
  attention_mask?: number[][];
  position_ids?: number[][] | null;
  tensors?: Record<string, string>;
  losses?: {
    problem_type?: "regression" | "single_label_classification" | "multi_label_classification";
    labels?: number[] | number[][];
    start_positions?: number[];
    end_positions?: number[];
    loss: number;
  }[];
};

/** goldens/README.md: |difference| ≤ 2e-4 for logits, 1e-4 relative for losses. */
const TOLERANCE = 2e-4;
const LOSS_TOLERANCE = 1e-4;

const devices = ["cpu", "reference"] as const;
const folder = (model: string): string => goldenPath(`models/${model}`);

function inputsOf(c: Case): {
  input_ids: number[][];
  attention_mask?: number[][];
  position_ids?: number[][];
} {
  const input_ids = (Array.isArray(c.input_ids[0]) ? c.input_ids : [c.input_ids]) as number[][];
  return {
    input_ids,
    ...(c.attention_mask && { attention_mask: c.attention_mask }),
    ...(c.position_ids && { position_ids: c.position_ids }),
  };
}

/** Compares a tensor with a golden one; places that the mask hides do not count where there is a result for each token. */
function expectClose(
  got: Tensor,
  want: { shape: readonly number[]; data: ArrayLike<number> },
  c?: Case,
): void {
  expect(got.dims).toEqual(want.shape);
  const mask = c?.attention_mask?.flat();
  const width = mask === undefined ? 1 : got.data.length / mask.length;
  const worst = Array.from(got.data, (x, i) =>
    mask?.[Math.floor(i / width)] === 0 ? 0 : Math.abs(x - want.data[i]),
  );
  expect(Math.max(...worst)).toBeLessThanOrEqual(TOLERANCE);
}

describe.each(devices)("on %s", (device) => {
  const golden = (
    model: string,
  ): {
    cases: Case[];
    tensor(name: string): { shape: readonly number[]; data: ArrayLike<number> };
  } => {
    const { cases } = goldenJson<{ cases: Case[] }>(`forward/${model}.json`);
    const tensors = readSafetensors(goldenPath(`forward/${model}.safetensors`));
    return {
      cases: cases.filter((c) => c.tensors !== undefined),
      tensor: (name) => {
        const found = tensors.get(name);
        if (found === undefined) throw new Error(`the golden has no tensor ${name}`);
        return found;
      },
    };
  };

  describe("MistralForSequenceClassification", () => {
    const { cases, tensor } = golden("seqcls-f32");
    let model: MistralForSequenceClassification;
    beforeAll(async () => {
      model = await AutoModelForSequenceClassification.from_pretrained(folder("seqcls-f32"), {
        device,
      });
    });
    afterAll(() => model.dispose());

    test.each(cases)("$id", async (c) => {
      const pad = model.config.pad_token_id;
      if (c.id.startsWith("no_pad_token")) model.config.pad_token_id = null;
      const { logits } = await model({ ...inputsOf(c), use_cache: false });
      model.config.pad_token_id = pad;
      const want = tensor(c.tensors?.logits ?? "");
      expectClose(logits, { ...want, shape: [want.data.length / 3, 3] });
      for (const { problem_type = null, labels = [], loss } of c.losses ?? []) {
        // As users write them: whole numbers where targets are 0.0 and 1.0.
        for (const type of problem_type === "regression" ? [problem_type] : [problem_type, null]) {
          model.config.problem_type = type;
          const judged = await model({ ...inputsOf(c), labels });
          expect(Math.abs((judged.loss?.item() ?? NaN) / loss - 1)).toBeLessThanOrEqual(
            LOSS_TOLERANCE,
          );
        }
        model.config.problem_type = null;
      }
    });

    test("a batch without pad_token_id is refused, until the config has one", async () => {
      const rows = {
        input_ids: [
          [5, 9, 12],
          [7, 8, 0],
        ],
      };
      const padded = await model(rows);
      model.config.pad_token_id = null;
      await expect(model(rows)).rejects.toThrow(/the config has no pad_token_id/);
      model.config.pad_token_id = 0;
      expect((await model(rows)).logits.data).toEqual(padded.logits.data);
    });

    test("the output has a cache, but for labels and hidden tokens that classify", async () => {
      const ids = [[5, 9, 12, 30]];
      const first = await model({ input_ids: ids });
      expect(first.past_key_values?.get_seq_length()).toBe(4);
      await first.past_key_values?.dispose();
      expect((await model({ input_ids: ids, labels: [1] })).past_key_values).toBeUndefined();
      const hidden = { input_ids: ids, attention_mask: [[1, 1, 1, 0]] };
      expect((await model(hidden)).past_key_values).toBeUndefined();
      await expect(model({ ...hidden, use_cache: true })).rejects.toThrow(InputError);
    });

    test("embeddings are classified by their last column, with one warning", async () => {
      const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
      const { hidden_states = [] } = await model({
        input_ids: [[5, 9, 12]],
        output_hidden_states: true,
      });
      const { logits } = await model({ input_ids: [[5, 9, 12]] });
      for (let i = 0; i < 2; i++) {
        const again = await model({ inputs_embeds: hidden_states[0] });
        expectClose(again.logits, { shape: [1, 3], data: logits.data });
      }
      expect(
        warn.mock.calls.filter(([text]) => /inputs_embeds/.test(String(text))).length,
      ).toBeLessThanOrEqual(1);
      warn.mockRestore();
    });

    test("labels that do not fit are refused", async () => {
      const input_ids = [
        [5, 9, 12],
        [7, 8, 3],
      ];
      for (const [labels, message] of [
        [[0, 3], /labels: 3: expected classes from 0 to 2/],
        [[0], /labels/],
        [
          [
            [0, 1],
            [1, 0],
          ],
          /labels/,
        ],
        [[0.5, 1], /expected float32 \[2, 3\]/],
      ] as const) {
        await expect(model({ input_ids, labels: Tensor.from(labels) })).rejects.toThrow(message);
      }
    });
  });

  describe("MistralForTokenClassification", () => {
    const { cases, tensor } = golden("tokcls-f32");
    let model: MistralForTokenClassification;
    beforeAll(async () => {
      model = await AutoModelForTokenClassification.from_pretrained(folder("tokcls-f32"), {
        device,
      });
    });
    afterAll(() => model.dispose());

    test.each(cases)("$id", async (c) => {
      const output = await model(inputsOf(c));
      const { input_ids } = inputsOf(c);
      const want = tensor(c.tensors?.logits ?? "");
      expectClose(output.logits, { ...want, shape: [input_ids.length, input_ids[0].length, 5] }, c);
      expect(output).not.toHaveProperty("past_key_values");
      for (const { labels = [], loss } of c.losses ?? []) {
        const judged = await model({ ...inputsOf(c), labels });
        expect(Math.abs((judged.loss?.item() ?? NaN) / loss - 1)).toBeLessThanOrEqual(
          LOSS_TOLERANCE,
        );
      }
    });
  });

  describe("MistralForQuestionAnswering", () => {
    const { cases, tensor } = golden("qa-f32");
    let model: MistralForQuestionAnswering;
    beforeAll(async () => {
      model = await AutoModelForQuestionAnswering.from_pretrained(folder("qa-f32"), { device });
    });
    afterAll(() => model.dispose());

    test.each(cases)("$id", async (c) => {
      const output = await model(inputsOf(c));
      const { input_ids } = inputsOf(c);
      const shape = [input_ids.length, input_ids[0].length];
      for (const side of ["start_logits", "end_logits"] as const)
        expectClose(output[side], { shape, data: tensor(c.tensors?.[side] ?? "").data }, c);
      for (const { start_positions = [], end_positions = [], loss } of c.losses ?? []) {
        const column = (positions: number[]): number[][] => positions.map((at) => [at]);
        for (const spans of [
          { start_positions, end_positions },
          { start_positions: column(start_positions), end_positions: column(end_positions) },
        ]) {
          const judged = await model({ ...inputsOf(c), ...spans });
          expect(Math.abs((judged.loss?.item() ?? NaN) / loss - 1)).toBeLessThanOrEqual(
            LOSS_TOLERANCE,
          );
        }
      }
    });

    test("one position without the other is refused", async () => {
      const call = model({ input_ids: [[5, 9]], start_positions: [0] });
      await expect(call).rejects.toThrow(/only start_positions came/);
    });
  });
});

test("every class loads its own folder", async () => {
  const loads = [
    () => MistralForSequenceClassification.from_pretrained(folder("seqcls-f32")),
    () => MistralForTokenClassification.from_pretrained(folder("tokcls-f32")),
    () => MistralForQuestionAnswering.from_pretrained(folder("qa-f32")),
    () => MistralForCausalLM.from_pretrained(folder("base-f32")),
    () => MistralModel.from_pretrained(folder("base-f32")),
  ];
  for (const [i, load] of loads.entries()) {
    const model: PreTrainedModel<ForwardInputs, unknown> = await load();
    expect(model).toBeInstanceOf(
      [
        MistralForSequenceClassification,
        MistralForTokenClassification,
        MistralForQuestionAnswering,
        MistralForCausalLM,
        MistralModel,
      ][i],
    );
    await model.dispose();
  }
  const wrong = MistralForSequenceClassification.from_pretrained(folder("seqcls-f32"), {
    device: "gpu2" as "cpu",
  });
  await expect(wrong).rejects.toThrow(
    /^MistralForSequenceClassification.from_pretrained: unknown device/,
  );
});

// Transformers divides the summed loss of tokens, and each of the two sums of an answer's ends, by it.
test("num_items_in_batch takes the place of the number of labels", async () => {
  const input_ids = [[5, 6, 7, 8]];
  await using tokens = await MistralForTokenClassification.from_pretrained(folder("tokcls-f32"));
  const labels = [[1, -100, 2, 0]];
  const mean = (await tokens({ input_ids, labels })).loss?.item() ?? NaN;
  const part = (await tokens({ input_ids, labels, num_items_in_batch: 12 })).loss?.item();
  expect(part).toBeCloseTo((mean * 3) / 12, 5);

  await using answers = await MistralForQuestionAnswering.from_pretrained(folder("qa-f32"));
  const span = { input_ids, start_positions: [1], end_positions: [2] };
  const both = (await answers(span)).loss?.item() ?? NaN;
  const half = (await answers({ ...span, num_items_in_batch: 2 })).loss?.item();
  expect(half).toBeCloseTo(both / 2, 5);
});
