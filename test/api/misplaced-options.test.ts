// Options of from_pretrained that belong elsewhere, or have no effect here: what the user is told.

import { afterEach, expect, test, vi } from "vitest";
import { InputError } from "../../src/errors.ts";
import { checkLoadOptions, type LoadOptions } from "../../src/api/model/load-options.ts";

const check = (options: Record<string, unknown>): void =>
  checkLoadOptions("from_pretrained", options as LoadOptions);
afterEach(() => {
  vi.restoreAllMocks();
});

test.each<[Record<string, unknown>, string]>([
  [
    { load_in_4bit: true },
    "load_in_4bit: it is a field of BitsAndBytesConfig; write quantization_config: new BitsAndBytesConfig({ load_in_4bit: true })",
  ],
  [
    { load_in_8bit: true },
    "write quantization_config: new BitsAndBytesConfig({ load_in_8bit: true })",
  ],
  [
    { bnb_4bit_quant_type: "nf4" },
    'new BitsAndBytesConfig({ load_in_4bit: true, bnb_4bit_quant_type: "nf4" })',
  ],
  [{ use_flash_attention_2: true }, 'attn_implementation: "flash_attention_2"'],
  [{ use_auth_token: "t" }, "its name is token"],
  [{ max_memory: { 0: "4GB" } }, "use memoryLimit (bytes)"],
  [{ max_new_tokens: 20 }, "max_new_tokens: it is an option of generate()"],
  [{ do_sample: true }, "do_sample: it is an option of generate()"],
  [{ adapter_name: "a" }, "adapters are not supported yet"],
  [{ laod_in_4bit: true }, 'unknown option "laod_in_4bit"'],
])("%j", (options, message) => {
  expect(() => check(options)).toThrow(InputError);
  expect(() => check(options)).toThrow(message);
});

test("what is switched off may stand anywhere", () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  check({ load_in_4bit: false, load_in_8bit: null, use_auth_token: undefined, tp_plan: null });
  expect(warn).not.toHaveBeenCalled();
});

test.each(["weights_only", "trust_remote_code", "tp_plan", "offload_folder"])(
  "%s has no effect, and the user is told once",
  (name) => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    check({ [name]: true });
    check({ [name]: true });
    expect(warn.mock.calls.flat()).toEqual([
      expect.stringContaining(`from_pretrained: ${name} has no effect: `),
    ]);
  },
);
