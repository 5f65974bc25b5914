// The formats of plain numbers, found by any of their names. registry.ts finds those of matrices.

import { bf16 } from "./bf16.ts";
import { f16 } from "./f16.ts";
import { f32 } from "./f32.ts";
import type { NumberFormat } from "./number-format.ts";

/** Every format of plain numbers, by its name. */
export const formats: ReadonlyMap<NumberFormat["name"], NumberFormat> = new Map(
  [f32, f16, bf16].map((format) => [format.name, format]),
);

const byAnyName: ReadonlyMap<string, NumberFormat> = new Map(
  [...formats.values()].flatMap((format) =>
    [format.name, format.safetensors, format.torch, `torch.${format.torch}`].map(
      (name) => [name, format] as const,
    ),
  ),
);

/** The format of that name, in any spelling: `bf16`, `BF16` (safetensors), `bfloat16`, `torch.bfloat16`. */
export function findFormat(name: string): NumberFormat | undefined {
  return byAnyName.get(name);
}
