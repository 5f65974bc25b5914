// A model goes to its dtype before it is quantised, as in Transformers: base-f32 in bfloat16 gives the codes and scales of the
// rounded weights.

import { describe, expect, onTestFinished, test } from "vitest";
import { openWeights } from "../../src/checkpoint/weight-source.ts";
import { fill } from "../../src/engine/fill.ts";
import { roundedTo } from "../../src/engine/rounded-weight.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import { floats32 } from "../../src/formats/words.ts";
import { AutoModelForCausalLM, BitsAndBytesConfig, type LoadOptions } from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const Q_PROJ = "model.layers.0.self_attn.q_proj.weight";
const BASE = goldenPath("models/base-f32");

// From Transformers 5.23 and bitsandbytes 0.50.2: the first scales of Q_PROJ.
test.each([
  ["bf16", [0.4765625, 0.470703125, 0.41015625, 0.5859375]],
  ["f16", [0.477294921875, 0.47119140625, 0.4091796875, 0.58642578125]],
])("scales of base-f32 in %s", async (dtype, scales) => {
  const source = await openWeights(BASE);
  onTestFinished(() => source.close());
  const [stored, format] = [source.weights.get(Q_PROJ), findWeightFormat("nf4-64")];
  if (stored === undefined || format === undefined) throw new Error("no weight, or no format");
  const parts = format.parts(64, 64).map((bytes) => new Uint8Array(bytes));
  await fill(parts, format, roundedTo(dtype, stored), () => {});
  expect([...floats32(parts[1]).subarray(0, 4)]).toEqual(scales);
  for (const same of ["auto", "f32"]) expect(roundedTo(same, stored)).toBe(stored);
});

describe("through from_pretrained", () => {
  test("the dtype changes what 4 bits hold", async () => {
    const logits = async (dtype: LoadOptions["dtype"]): Promise<number[]> => {
      const model = await AutoModelForCausalLM.from_pretrained(BASE, {
        ...{ dtype, threads: 1 },
        quantization_config: new BitsAndBytesConfig({ load_in_4bit: true }),
      });
      onTestFinished(() => model.dispose());
      const out = await model.forward({ input_ids: [[1, 424, 473]] });
      return Array.from(out.logits.data, Number);
    };
    const [plain, wide, narrow] = [
      await logits("auto"),
      await logits("float32"),
      await logits("bfloat16"),
    ];
    expect(wide).toEqual(plain);
    expect(narrow).not.toEqual(plain);
  });
});
