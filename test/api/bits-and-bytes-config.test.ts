// BitsAndBytesConfig as Transformers has it, and what quantization_config may be: defaults, dictionaries, everything refused.

import { describe, expect, test, vi } from "vitest";
import {
  BitsAndBytesConfig,
  type BitsAndBytesOptions,
} from "../../src/api/quantization/bits-and-bytes-config.ts";
import {
  computeOf,
  planQuantization,
  type QuantizationConfig,
  storedCompute,
} from "../../src/api/quantization/quantization.ts";
import { isSkipped } from "../../src/engine/skipped-modules.ts";
import { InputError } from "../../src/errors.ts";
import { goldenJson } from "../golden-files.ts";

/** Options that no type allows. */
const wrong = (options: Record<string, unknown>): BitsAndBytesOptions =>
  options as BitsAndBytesOptions;
const plan = (config: unknown): ReturnType<typeof planQuantization> =>
  planQuantization("from_pretrained", config as QuantizationConfig);

test("the defaults are Transformers' own", () => {
  expect(new BitsAndBytesConfig().to_dict()).toEqual({
    _load_in_4bit: false,
    _load_in_8bit: false,
    bnb_4bit_compute_dtype: "float32",
    bnb_4bit_quant_storage: "uint8",
    bnb_4bit_quant_type: "fp4",
    bnb_4bit_use_double_quant: false,
    llm_int8_enable_fp32_cpu_offload: false,
    llm_int8_has_fp16_weight: false,
    llm_int8_skip_modules: null,
    llm_int8_threshold: 6,
    load_in_4bit: false,
    load_in_8bit: false,
    quant_method: "bitsandbytes",
  });
});

test.each(["base-bnb-nf4-dq", "base-bnb-int8"])(
  "%s: config.json's own, there and back",
  (model) => {
    const { quantization_config } = goldenJson<{ quantization_config: Record<string, unknown> }>(
      `models/${model}/config.json`,
    );
    const config = BitsAndBytesConfig.from_dict(quantization_config);
    expect(config.to_dict()).toEqual(quantization_config);
    expect(Object.keys(config.to_dict())).toEqual(Object.keys(quantization_config));
    expect(JSON.parse(JSON.stringify(config))).toEqual(quantization_config);
    expect(BitsAndBytesConfig.from_dict(config.to_dict())).toEqual(config);
  },
);

test("JSON in Python's style, all fields or those that differ", () => {
  const config = new BitsAndBytesConfig({ load_in_8bit: true, llm_int8_threshold: 5 });
  expect(config.to_json_string()).toBe(
    '{\n  "_load_in_8bit": true,\n  "llm_int8_threshold": 5.0,\n  "load_in_8bit": true\n}\n',
  );
  expect(config.to_json_string(false)).toContain('"llm_int8_threshold": 5.0,\n');
  expect(config.to_diff_dict()).toEqual({
    _load_in_8bit: true,
    load_in_8bit: true,
    llm_int8_threshold: 5,
  });
});

test("dtypes with and without torch; null means the default", () => {
  for (const dtype of ["float32", "float16", "bfloat16", "int8"] as const) {
    for (const name of [dtype, `torch.${dtype}`] as const)
      expect(new BitsAndBytesConfig({ bnb_4bit_compute_dtype: name }).bnb_4bit_compute_dtype).toBe(
        dtype,
      );
  }
  const config = new BitsAndBytesConfig({
    bnb_4bit_compute_dtype: null,
    bnb_4bit_quant_storage: "torch.bfloat16",
    llm_int8_threshold: undefined,
  });
  expect(config.bnb_4bit_compute_dtype).toBe("float32");
  expect(config.bnb_4bit_quant_storage).toBe("bfloat16");
  expect(config.llm_int8_threshold).toBe(6);
});

test("a list that was given is copied", () => {
  const skip = ["lm_head"];
  const config = new BitsAndBytesConfig({ llm_int8_skip_modules: skip });
  skip.push("q_proj");
  expect(config.llm_int8_skip_modules).toEqual(["lm_head"]);
  (config.to_dict().llm_int8_skip_modules as string[]).push("k_proj");
  expect(config.llm_int8_skip_modules).toEqual(["lm_head"]);
});

test("which method it is", () => {
  const method = (options: BitsAndBytesOptions): string | null =>
    new BitsAndBytesConfig(options).quantization_method();
  expect(method({})).toBeNull();
  expect(method({ load_in_8bit: true })).toBe("llm_int8");
  expect(method({ load_in_4bit: true })).toBe("fp4");
  expect(method({ load_in_4bit: true, bnb_4bit_quant_type: "nf4" })).toBe("nf4");
});

describe("refused", () => {
  test.each<[Record<string, unknown>, RegExp]>([
    [{ load_in_4bit: true, load_in_8bit: true }, /both true, but only one can be used/],
    [{ load_in_4bits: true }, /unknown option "load_in_4bits"; did you mean "load_in_4bit"\?/],
    [{ load_in_4bit: 1 }, /load_in_4bit is 1, expected true or false/],
    [{ load_in_8bit: "yes" }, /load_in_8bit is "yes", expected true or false/],
    [{ bnb_4bit_quant_type: "nf5" }, /bnb_4bit_quant_type is "nf5".*did you mean "nf4"\?/],
    [{ bnb_4bit_quant_type: 4 }, /bnb_4bit_quant_type is 4/],
    [{ bnb_4bit_compute_dtype: "float8" }, /bnb_4bit_compute_dtype is "float8".*"bfloat16"/],
    [{ bnb_4bit_compute_dtype: {} }, /bnb_4bit_compute_dtype is \{\}/],
    [{ bnb_4bit_quant_storage: "uint16" }, /bnb_4bit_quant_storage is "uint16"/],
    [{ bnb_4bit_use_double_quant: 0 }, /bnb_4bit_use_double_quant is 0/],
    [
      { llm_int8_threshold: -1 },
      /llm_int8_threshold is -1, expected a number that is not negative/,
    ],
    [{ llm_int8_threshold: NaN }, /llm_int8_threshold is NaN/],
    [{ llm_int8_threshold: "6" }, /llm_int8_threshold is "6"/],
    [{ llm_int8_skip_modules: "lm_head" }, /llm_int8_skip_modules is "lm_head", expected a list/],
    [{ llm_int8_skip_modules: [1] }, /llm_int8_skip_modules is \[1\]/],
    [{ llm_int8_has_fp16_weight: "no" }, /llm_int8_has_fp16_weight is "no"/],
    [{ llm_int8_enable_fp32_cpu_offload: 3 }, /llm_int8_enable_fp32_cpu_offload is 3/],
  ])("%j", (options, message) => {
    expect(() => new BitsAndBytesConfig(wrong(options))).toThrow(InputError);
    expect(() => new BitsAndBytesConfig(wrong(options))).toThrow(message);
  });

  test("a dictionary of another method", () => {
    expect(() => BitsAndBytesConfig.from_dict({ quant_method: "gptq", bits: 4 })).toThrow(
      /quant_method is "gptq", expected "bitsandbytes"/,
    );
  });

  test("a field that was assigned afterwards, when the config is used", () => {
    const config = new BitsAndBytesConfig({ load_in_4bit: true });
    config.load_in_8bit = true;
    expect(() => plan(config)).toThrow(/both true/);
    config.load_in_8bit = false;
    config.bnb_4bit_quant_type = "af4" as "nf4";
    expect(() => plan(config)).toThrow(/bnb_4bit_quant_type is "af4"/);
  });

  test.each<[unknown, RegExp]>([
    [{ method: "q5" }, /unknown method "q5"; did you mean "q4"\?/],
    [{ method: "nf4" }, /known: q4, q8; for nf4, fp4 and LLM.int8/],
    [{ method: "q4", compute: "int8" }, /unknown option "compute"/],
    [
      { method: "q4", compute_dtype: "int4" },
      /unknown compute_dtype "int4"; did you mean "int8"\?/,
    ],
    [{ method: "q4", skip_modules: "lm_head" }, /skip_modules/],
    [{ method: "q8", skip_modules: ["*"] }, /"\*" is no regular expression/],
    [{ load_in_4bit: true, llm_int8_skip_modules: ["("] }, /"\(" is no regular expression/],
    [{ load_in_4bti: true }, /unknown option "load_in_4bti"; did you mean "load_in_4bit"\?/],
    [{ method: "int4" }, /unknown method "int4"; did you mean "q4"\?/],
    [{ method: "8bit" }, /unknown method "8bit"; did you mean "q8"\?/],
    ["q4", /got "q4"; write \{ method: "q4" \}/],
    ["int8", /got "int8"; write \{ method: "q8" \}/],
    ["nf4", /got "nf4"; expected new BitsAndBytesConfig/],
    [4, /got 4/],
    [["q4"], /got \["q4"\]/],
    [false, /got false/],
    [{}, /\{\} names no method; give \{ load_in_4bit: true \}/],
    [{ load_in_4bit: false }, /names no method/],
  ])("quantization_config %j", (config, message) => {
    expect(() => plan(config)).toThrow(InputError);
    expect(() => plan(config)).toThrow(message);
  });
});

test("weights in 16 bits beside those in 8, which only training needs: accepted, and told of", () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  const eight = { load_in_8bit: true };
  const { quantisation, compute } = plan(eight) ?? {};
  expect(plan({ ...eight, llm_int8_has_fp16_weight: true })).toMatchObject({
    ...{ quantisation, compute },
  });
  expect(warn.mock.calls.flat()).toEqual([
    expect.stringContaining("llm_int8_has_fp16_weight has no effect"),
  ]);
  warn.mockRestore();
});

describe("what is quantised, and how it is computed", () => {
  test.each<[BitsAndBytesOptions, string, string]>([
    [{ load_in_4bit: true }, "fp4-64", "float32"],
    [
      { load_in_4bit: true, bnb_4bit_quant_type: "nf4", bnb_4bit_use_double_quant: true },
      "nf4-64-dq",
      "float32",
    ],
    [{ load_in_4bit: true, bnb_4bit_compute_dtype: "torch.float16" }, "fp4-64", "fixed16"],
    [{ load_in_4bit: true, bnb_4bit_compute_dtype: "bfloat16" }, "fp4-64", "fixed16"],
    [{ load_in_4bit: true, bnb_4bit_compute_dtype: "int8" }, "fp4-64", "int8"],
    [{ load_in_8bit: true }, "int8-6", "float32"],
    [{ load_in_8bit: true, llm_int8_threshold: 5.5 }, "int8-5.5", "float32"],
  ])("%j", (options, linear, compute) => {
    for (const config of [new BitsAndBytesConfig(options), options]) {
      const made = plan(config);
      expect(made?.quantisation).toMatchObject({ linear, head: linear });
      expect(made?.quantisation.skip).toContain("lm_head");
      expect(made?.compute).toBe(compute);
    }
  });

  test("names that are given are the only ones", () => {
    const made = plan(
      new BitsAndBytesConfig({ load_in_4bit: true, llm_int8_skip_modules: ["q_proj"] }),
    );
    expect(made?.quantisation.skip).toEqual(["q_proj"]);
  });

  test("our own methods", () => {
    expect(plan({ method: "q4" })).toMatchObject({
      quantisation: { linear: "q4r", head: "q6r", skip: ["score", "qa_outputs"] },
      compute: "int8",
    });
    expect(plan({ method: "q8", compute_dtype: "float32" })).toMatchObject({
      quantisation: { linear: "q8" },
      compute: "float32",
    });
  });

  test("nothing asked for, nothing done", () => {
    expect(plan(null)).toBeUndefined();
    expect(plan(new BitsAndBytesConfig())).toBeUndefined();
  });

  test("true is nf4 in float16, and says so once", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const made = plan(true);
    expect(plan(true)).toEqual(made);
    expect(made).toMatchObject({ quantisation: { linear: "nf4-64" }, compute: "fixed16" });
    expect(warn.mock.calls).toHaveLength(1);
    expect(warn.mock.calls[0][0]).toMatch(/load_in_4bit: true, .*"nf4", .*"float16"/);
    warn.mockRestore();
  });

  test("a compute dtype by any of its names", () => {
    expect(computeOf("x", "torch.bfloat16")).toBe("fixed16");
    expect(() => computeOf("x", "float64")).toThrow(InputError);
    expect(() => computeOf("x", 16)).toThrow(/unknown compute_dtype 16/);
  });

  test("what a quantised checkpoint asks for itself", () => {
    const settings = new BitsAndBytesConfig({
      load_in_4bit: true,
      bnb_4bit_compute_dtype: "bfloat16",
    });
    expect(storedCompute(settings.to_dict())).toBe("fixed16");
    expect(storedCompute(new BitsAndBytesConfig({ load_in_4bit: true }).to_dict())).toBe("float32");
    expect(storedCompute(new BitsAndBytesConfig({ load_in_8bit: true }).to_dict())).toBeUndefined();
    expect(storedCompute({ load_in_4bit: true, bnb_4bit_compute_dtype: "float16" })).toBe(
      "fixed16",
    );
    for (const other of [undefined, null, "x", { quant_method: "gptq" }])
      expect(storedCompute(other)).toBeUndefined();
  });
});

test.each([
  ["lm_head", ["lm_head"], true],
  ["model.layers.1.mlp.up_proj", ["up_proj"], true],
  ["model.layers.1.mlp.up_proj", ["model.layers.1"], true],
  ["model.layers.11.mlp.up_proj", ["model.layers.1"], false],
  ["model.layers.11.mlp.up_proj", ["model.layers.*"], true],
  ["model.layers.3.mlp.gate_proj", ["model.layers.3.mlp.gate"], false],
  ["model.layers.3.mlp.gate_proj", ["model\\.layers\\.[0-4]|lm_head"], true],
  ["model.layers.5.mlp.gate_proj", ["model\\.layers\\.[0-4]|lm_head"], false],
  ["model.layers.5.mlp.gate_proj", [], false],
  ["model.layers.5.mlp.gate_proj", ["mlp"], false],
])("module %s is kept by %j: %j", (module, names, kept) => {
  expect(isSkipped(module, names)).toBe(kept);
});
