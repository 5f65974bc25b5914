// IEEE 754 binary32: 4 bytes a number, copied bit by bit (NaN payloads too). Knows nothing of matrices.

import type { NumberFormat } from "./number-format.ts";
import { bytesOf } from "./words.ts";

export const f32: NumberFormat = {
  name: "f32",
  safetensors: "F32",
  torch: "float32",
  bytes: (elements) => elements * 4,
  unpack: (bytes, out) => bytesOf(out).set(bytes),
  pack: (values, bytes) => bytes.set(bytesOf(values)),
};
