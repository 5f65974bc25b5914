import { afterEach, expect, test, vi } from "vitest";
import { AutoModelForCausalLM, type LoadOptions } from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
afterEach(() => warn.mockClear());

async function warnings(name: string, options: LoadOptions): Promise<string[]> {
  const model = await AutoModelForCausalLM.from_pretrained(goldenPath(`models/${name}`), options);
  await model.dispose();
  return warn.mock.calls.map(([text]) => String(text));
}

test("quantising what is quantised already is said to change nothing", async () => {
  const [text, ...more] = await warnings("base-gptq", { quantization_config: { method: "q4" } });
  expect(text).toMatch(/base-gptq: another quantisation changes nothing .* \(gptq\)/);
  expect(more).toEqual([]);
});

test("a compute dtype for which a format has no kernels is said to be computed exactly", async () => {
  const [text] = await warnings("base-awq", { compute_dtype: "int8" });
  expect(text).toMatch(/base-awq: the weights \(awq\) have no kernels .* computed exactly/);
});

test.each([
  ["base-gptq", { compute_dtype: "int8" }],
  ["base-bnb-nf4-dq", { compute_dtype: "float16" }],
  ["base-bnb-int8", {}],
  ["base-f32", { quantization_config: { method: "q8" } }],
  ["base-f32", { dtype: "bfloat16" }],
] as const)("nothing is said where the options hold: %s %j", async (name, options) => {
  expect(await warnings(name, options)).toEqual([]);
});
