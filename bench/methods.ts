// The ways to keep a model's weights that benchmarks compare, by the names that `mistral quantize --to` knows.

import { BitsAndBytesConfig, type LoadOptions } from "../src/index.ts";

type Fields = ConstructorParameters<typeof BitsAndBytesConfig>[0];

const four = (bnb_4bit_quant_type: "nf4" | "fp4", bnb_4bit_use_double_quant = false): Fields => ({
  load_in_4bit: true,
  bnb_4bit_quant_type,
  bnb_4bit_use_double_quant,
});

const bitsAndBytes: Readonly<Record<string, Fields>> = {
  nf4: four("nf4"),
  "nf4-dq": four("nf4", true),
  fp4: four("fp4"),
  int8: { load_in_8bit: true },
};

export const methods: readonly string[] = ["q4", "q8", ...Object.keys(bitsAndBytes)];

/** What `from_pretrained` takes to keep the weights so: a method's name, or a dtype's. */
export function keptAs(name: string): Pick<LoadOptions, "dtype" | "quantization_config"> {
  if (name === "q4" || name === "q8") return { quantization_config: { method: name } };
  if (Object.hasOwn(bitsAndBytes, name))
    return { quantization_config: new BitsAndBytesConfig(bitsAndBytes[name]) };
  return { dtype: name as LoadOptions["dtype"] };
}
