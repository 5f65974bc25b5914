// The types of GGUF tensors: ggml's number and name of each, and the weight formats of those that are read. Knows no files.

import { type BlockFormat, blockFormat } from "./gguf-block.ts";
import { iqBlocks } from "./gguf-iq.ts";
import { kBlocks } from "./gguf-k.ts";
import { plainBlocks } from "./gguf-plain.ts";

/** ggml's number of each type → its name. Types that are not read are listed so that messages can name them. */
export const ggmlTypes: ReadonlyMap<number, string> = new Map(
  [
    "F32 F16 Q4_0 Q4_1 - - Q5_0 Q5_1 Q8_0 Q8_1",
    "Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S",
    "IQ4_NL IQ3_S IQ2_S IQ4_XS I8 I16 I32 I64 F64 IQ1_M",
    "BF16 - - - TQ1_0 TQ2_0 - - - MXFP4",
  ]
    .join(" ")
    .split(" ")
    .map((name, number): [number, string] => [number, name])
    .filter(([, name]) => name !== "-"),
);

/** The weight formats of block types, by GGUF's names: "Q4_0" … "IQ4_XS". */
export const ggufFormats: ReadonlyMap<string, BlockFormat> = new Map(
  [...plainBlocks, ...kBlocks, ...iqBlocks].map((block) => [block.name, blockFormat(block)]),
);

/** The names of the types that are read. */
export const readableTypes: readonly string[] = ["F32", "F16", "BF16", ...ggufFormats.keys()];

/** Finds a block format by its name. */
export function ggufFamily(name: string): BlockFormat | undefined {
  return ggufFormats.get(name);
}
