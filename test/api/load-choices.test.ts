// What from_pretrained's options choose where they are silent.

import { expect, test } from "vitest";
import { choose, type LoadOptions } from "../../src/api/model/load-options.ts";
import { MistralConfig } from "../../src/models/config.ts";

const cacheOf = (
  options: LoadOptions,
  config: ConstructorParameters<typeof MistralConfig>[0] = {},
) => choose("test", options, new MistralConfig(config)).cacheDtype;

test("the cache is float32, and float16 where activations have 8 bits", () => {
  const nf4 = { load_in_4bit: true, bnb_4bit_quant_type: "nf4" } as const;
  for (const options of [
    {},
    { dtype: "bfloat16" },
    { quantization_config: nf4 },
    { quantization_config: { ...nf4, bnb_4bit_compute_dtype: "float16" } },
    { quantization_config: { method: "q4", compute_dtype: "float32" } },
  ] satisfies LoadOptions[])
    expect(cacheOf(options), JSON.stringify(options)).toBe("f32");
  for (const options of [
    { quantization_config: { method: "q4" } },
    { quantization_config: { method: "q8" } },
    { quantization_config: nf4, compute_dtype: "int8" },
    { compute_dtype: "int8" },
  ] satisfies LoadOptions[])
    expect(cacheOf(options), JSON.stringify(options)).toBe("f16");
  const stored = { quant_method: "mistral_q4", version: 2, compute_dtype: "int8" };
  expect(cacheOf({}, { quantization_config: stored })).toBe("f16");
  expect(cacheOf({ compute_dtype: "float32" }, { quantization_config: stored })).toBe("f32");
});

test("what is said counts", () => {
  const quantization_config = { method: "q4" } as const;
  expect(cacheOf({ quantization_config, cacheDtype: "float32" })).toBe("f32");
  expect(cacheOf({ cacheDtype: "bfloat16" })).toBe("bf16");
  expect(() => cacheOf({ cacheDtype: "float15" as "float16" })).toThrow(/did you mean "float16"/);
});
