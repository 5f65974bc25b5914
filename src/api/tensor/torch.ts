// The names of dtypes as PyTorch writes them, so that `torch.float16` of an example runs as it stands. Knows no tensors.

/** A dtype's name with or without PyTorch's prefix: "float16" or "torch.float16". */
export type Spelled<Name extends string> = Name | `torch.${Name}`;

/** How weights may be kept. */
export type WeightDType = "float32" | "float16" | "bfloat16";

/** How products with quantised weights are computed, and how keys and values are kept. */
export type ComputeDType = WeightDType | "int8";

/** PyTorch's dtypes by name, for options that take one: `{ dtype: torch.float16 }` is `{ dtype: "float16" }`. */
export const torch = {
  float64: "float64",
  float32: "float32",
  float16: "float16",
  bfloat16: "bfloat16",
  int64: "int64",
  int32: "int32",
  int8: "int8",
  uint8: "uint8",
  bool: "bool",
} as const;

/** "torch.float16" → "float16". What is no text stays as it is, for the check that follows. */
export function withoutTorch<T>(dtype: T): T | string {
  return typeof dtype === "string" ? dtype.replace(/^torch\./, "") : dtype;
}
