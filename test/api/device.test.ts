// Names of devices and dtypes as PyTorch writes them: what each chooses, and what is refused.

import { afterEach, describe, expect, test, vi } from "vitest";
import { backendOf } from "../../src/api/device.ts";
import { choose, type LoadOptions } from "../../src/api/model/load-options.ts";
import { AutoTokenizer, BitsAndBytesConfig, torch } from "../../src/index.ts";
import { MistralConfig } from "../../src/models/config.ts";
import { goldenPath } from "../golden-files.ts";

const chosen = (options: LoadOptions) => choose("test", options, new MistralConfig());

afterEach(() => vi.restoreAllMocks());

test("a GPU's name means the CPU as long as no GPU can be used, with one warning", () => {
  const warn = vi.spyOn(console, "warn").mockReturnValue(undefined);
  for (const device of ["auto", "cpu", "cpu:0", "balanced", "sequential"])
    expect(backendOf("test", device)).toBe("wasm");
  expect(backendOf("test", { "": "cpu" })).toBe("wasm");
  expect(backendOf("test", "reference")).toBe("reference");
  expect(backendOf("test", { "": "reference" })).toBe("reference");
  expect(warn).not.toHaveBeenCalled();
  for (const device of ["cuda", "cuda:0", "cuda:3", "mps", "webgpu", 0, { "": 0 }])
    expect(backendOf("test", device)).toBe("wasm");
  expect(backendOf("test", { "model.embed_tokens": "cpu", lm_head: "cuda:0" })).toBe("wasm");
  expect(warn.mock.calls).toEqual([[expect.stringMatching(/^"cuda": .*the CPU takes its place/)]]);
});

test.each<[unknown, RegExp]>([
  ["cudda", /unknown device "cudda"; did you mean "cuda"\?/],
  ["cuda:x", /unknown device "cuda:x"/],
  ["disk", /unknown device "disk"/],
  [-1, /unknown device -1/],
  [null, /unknown device null/],
  [{ "": "cpu", lm_head: "reference" }, /expected one device for the whole model/],
  [{}, /expected one device for the whole model/],
])("refuses %j", (device, message) => {
  expect(() => backendOf("test", device)).toThrow(message);
});

describe("dtypes", () => {
  test("in every spelling, and under both options", () => {
    for (const dtype of ["float16", "torch.float16", torch.float16] as const) {
      expect(chosen({ dtype }).dtype).toBe("f16");
      expect(chosen({ torch_dtype: dtype }).dtype).toBe("f16");
      expect(chosen({ cacheDtype: dtype }).cacheDtype).toBe("f16");
      expect(chosen({ compute_dtype: dtype }).compute).toBe("fixed16");
      const config = new BitsAndBytesConfig({ bnb_4bit_compute_dtype: dtype });
      expect(config.bnb_4bit_compute_dtype).toBe("float16");
    }
    expect([chosen({}).dtype, chosen({ dtype: "auto" }).dtype]).toEqual(["auto", "auto"]);
    expect(chosen({ dtype: null, torch_dtype: "bfloat16" }).dtype).toBe("bf16");
    expect([torch.bfloat16, torch.float32]).toEqual(["bfloat16", "float32"]);
  });

  test("an unknown one names the nearest", () => {
    expect(() => chosen({ dtype: "flot16" as "float16" })).toThrow(/did you mean "float16"/);
    expect(() => chosen({ cacheDtype: "int4" as "int8" })).toThrow(/did you mean "int8"/);
  });
});

test("an encoding goes to every device, and nowhere else", async () => {
  const tokenizer = await AutoTokenizer.from_pretrained(goldenPath("tokenizers/tiny"));
  const inputs = tokenizer("a", { return_tensors: "pt" });
  for (const device of ["cuda", "cuda:1", "cpu", "mps", 0] as const)
    expect(inputs.to(device)).toBe(inputs);
  expect(() => inputs.to("cudda" as "cuda")).toThrow(/BatchEncoding.to: .*did you mean "cuda"/);
});
