// 4-bit models on every compute path: how far logits are from those of Transformers in float32. A compute dtype names an accuracy, and
// what int8 costs is bounded too. Rows of 160 (down_proj of these models) have no fast compute path and stay exact.

import { describe, expect, onTestFinished, test } from "vitest";
import {
  AutoModelForCausalLM,
  BitsAndBytesConfig,
  type BitsAndBytesOptions,
} from "../../src/index.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type ModelCase = {
  id: string;
  from: string;
  quantization_config: BitsAndBytesOptions;
  input_ids: number[];
  logits?: string;
};

const { cases } = goldenJson<{ cases: ModelCase[] }>("quant/models.json");
const logitsOf = readSafetensors(goldenPath("quant/models.safetensors"));

/**
 * Of all logits of a method's cases, the largest difference, and the root of the mean square. Without a compute dtype: those of
 * the model before it was quantised.
 */
async function difference(
  method: string,
  compute: BitsAndBytesOptions["bnb_4bit_compute_dtype"],
): Promise<{ largest: number; rms: number }> {
  const chosen = cases.filter(({ id }) => id.split(".")[0] === method);
  const { from, quantization_config } = chosen[0];
  const model = await AutoModelForCausalLM.from_pretrained(goldenPath(`models/${from}`), {
    ...{ device: "cpu", threads: 1 },
    ...(compute !== undefined && {
      quantization_config: new BitsAndBytesConfig({
        ...quantization_config,
        bnb_4bit_compute_dtype: compute,
      }),
    }),
  });
  onTestFinished(() => model.dispose());
  let [largest, squares, count] = [0, 0, 0];
  for (const { logits, input_ids } of chosen) {
    if (logits === undefined) continue;
    const expected = logitsOf.get(logits)?.data ?? [];
    const { data } = (await model.forward({ input_ids: [input_ids] })).logits;
    expect(data.length).toBe(expected.length);
    for (let i = 0; i < data.length; i++) {
      const off = Math.abs(data[i] - expected[i]);
      largest = Math.max(largest, off);
      squares += off ** 2;
      count++;
    }
  }
  return { largest, rms: Math.sqrt(squares / count) };
}

// Logits have a standard deviation of about 2.4.
describe.each(["nf4", "nf4-dq", "fp4"])("%s", (method) => {
  test("float32: within the goldens' bound", async () => {
    expect((await difference(method, "float32")).largest).toBeLessThan(2e-4);
  });

  test.each(["float16", "bfloat16"] as const)(
    "%s: 16-bit fixed point, below float16's own rounding, 2⁻¹¹ of a logit",
    async (compute) => {
      const { largest, rms } = await difference(method, compute);
      expect(largest).toBeGreaterThan(0);
      expect(rms).toBeLessThan(2.4 * 2 ** -11);
    },
  );

  test("int8: more than fixed point's error, and below a fifth of what 4 bits cost", async () => {
    const int8 = await difference(method, "int8");
    expect(int8.rms).toBeGreaterThan((await difference(method, "float16")).rms);
    expect(int8.rms).toBeLessThan((await difference(method, undefined)).rms / 5);
  });
});
