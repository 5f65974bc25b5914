// How single numbers lie in bytes: the type of f32.ts, f16.ts and bf16.ts. Bytes are little-endian, as in every file format that is
// read here and on every host that runs WebAssembly. Knows no matrices and no scales: those are in weight-format.ts.

export type NumberFormat = {
  /** The name by which plans and kernels know it. */
  readonly name: "f32" | "f16" | "bf16";
  /** Its dtype in a safetensors header. */
  readonly safetensors: string;
  /** Its dtype in config.json and in `dtype`/`torch_dtype` options. */
  readonly torch: string;
  /** Bytes that `elements` numbers take. */
  bytes(elements: number): number;
  /** Widens every number in `bytes` exactly to f32, into `out`, which has as many elements. */
  unpack(bytes: Uint8Array<ArrayBufferLike>, out: Float32Array<ArrayBufferLike>): void;
  /**
   * Rounds every number of `values` once, to the nearest and ties to even, into `bytes`, which has exactly bytes(values.length).
   * NaN, ±Inf and -0 stay what they are.
   */
  pack(values: Float32Array<ArrayBufferLike>, bytes: Uint8Array<ArrayBufferLike>): void;
};
