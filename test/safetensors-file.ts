// Reads a whole .safetensors file for tests: header and tensors, no checks beyond what a test needs.
// Independent of src/checkpoint, so that a golden does not pass through the code that it tests.

import { readGolden } from "./golden-files.ts";

export type TensorOnFile = {
  dtype: string;
  shape: number[];
  /** F32, F64 and integer types as they are (I64 as numbers); F16 and BF16 widened to f32 */
  data: Float32Array | Float64Array | Int32Array | Uint8Array | Int8Array;
};

/** All tensors of a file by name. @throws Error on a dtype that no golden uses */
export function readSafetensors(path: string): Map<string, TensorOnFile> {
  const file = readGolden(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, TensorOnFile>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = data_offsets.map((offset) => offset + 8 + headerBytes);
    // A copy of its own: tensors may lie at unaligned offsets.
    const bytes = new Uint8Array(file.subarray(begin, end)).buffer;
    tensors.set(name, { dtype, shape, data: decode(dtype, bytes, path) });
  }
  return tensors;
}

function decode(dtype: string, bytes: ArrayBuffer, path: string): TensorOnFile["data"] {
  switch (dtype) {
    case "F32":
      return new Float32Array(bytes);
    case "F64":
      return new Float64Array(bytes);
    case "I32":
      return new Int32Array(bytes);
    case "I64":
      return Float64Array.from(new BigInt64Array(bytes), Number);
    case "I8":
      return new Int8Array(bytes);
    case "U8":
    case "BOOL":
      return new Uint8Array(bytes);
    case "F16":
      return Float32Array.from(new Float16Array(bytes));
    case "BF16":
      return new Float32Array(
        Uint32Array.from(new Uint16Array(bytes), (bits) => bits << 16).buffer,
      );
    default:
      throw new Error(`${path}: no decoder for ${dtype}`);
  }
}
