// The plain number formats f32, f16 and bf16: how single numbers lie in bytes, little endian, as in every file read here and on
// every host that runs WebAssembly. `unpack` widens to f32 exactly; `pack` rounds once, to nearest even, and keeps NaN, ±Inf and -0.
// Knows nothing of matrices: weight-format.ts.

import { bf16 } from "./bf16.ts";
import { f16 } from "./f16.ts";
import { f32 } from "./f32.ts";

/** The names by which plans and kernels know a format. */
export type FormatName = "f32" | "f16" | "bf16";

/** One number format; see the file of its name. */
export type Format = {
  readonly name: FormatName;
  /** Its dtype in a safetensors header. */
  readonly safetensors: string;
  /** Its dtype in config.json and in `dtype`/`torch_dtype` options. */
  readonly torch: string;
  /** Bytes that `elements` numbers take. */
  bytes(elements: number): number;
  /** Widens every number in `bytes` into `out`, which has exactly as many elements. */
  unpack(bytes: Uint8Array<ArrayBufferLike>, out: Float32Array<ArrayBufferLike>): void;
  /** Rounds every number of `values` into `bytes`, which has exactly bytes(values.length). */
  pack(values: Float32Array<ArrayBufferLike>, bytes: Uint8Array<ArrayBufferLike>): void;
};

/** Every format, by its name. */
export const formats: ReadonlyMap<FormatName, Format> = new Map(
  [f32, f16, bf16].map((format) => [format.name, format]),
);

const byAnyName: ReadonlyMap<string, Format> = new Map(
  [...formats.values()].flatMap((format) =>
    [format.name, format.safetensors, format.torch, `torch.${format.torch}`].map(
      (name) => [name, format] as const,
    ),
  ),
);

/** The format of that name, in any spelling: `bf16`, `BF16` (safetensors), `bfloat16`, `torch.bfloat16`. */
export function findFormat(name: string): Format | undefined {
  return byAnyName.get(name);
}
