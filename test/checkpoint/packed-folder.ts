// Folders of packed checkpoints for tests: tensors given by dtype, shape and bytes, written as model.safetensors.

import { onTestFinished } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/weights.ts";
import { readGolden } from "../golden-files.ts";
import { craft, folder } from "./craft.ts";

export type RawTensor = { dtype: string; shape: number[]; bytes: Uint8Array };

/** All tensors of a file, as they lie. */
export function readRaw(path: string): Map<string, RawTensor> {
  const file = readGolden(path);
  const begin = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, begin)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => [
          name,
          { dtype, shape, bytes: new Uint8Array(file.subarray(begin + from, begin + to)) },
        ],
      ),
  );
}

/** The bytes of a safetensors file with these tensors. */
export function safetensors(tensors: Readonly<Record<string, RawTensor>>): Uint8Array {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, (end += bytes.length)] };
  }
  const data = new Uint8Array(end);
  let at = 0;
  for (const { bytes } of Object.values(tensors)) {
    data.set(bytes, at);
    at += bytes.length;
  }
  return craft(header, data);
}

/** An open checkpoint of these tensors, in a folder that is gone after the test. */
export async function checkpointOf(
  tensors: Readonly<Record<string, RawTensor>>,
): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(folder({ "model.safetensors": safetensors(tensors) }));
  onTestFinished(() => checkpoint.close());
  return checkpoint;
}

/** A tensor of these numbers; F16 and BF16 are given as bits. */
export function tensor(
  dtype: "I32" | "F32" | "F16" | "BF16" | "I8" | "I64",
  shape: number[],
  values: readonly number[] | ((i: number) => number),
): RawTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const numbers = Array.from({ length: count }, (_, i) =>
    typeof values === "function" ? values(i) : values[i],
  );
  const make = {
    I32: () => Int32Array.from(numbers),
    F32: () => Float32Array.from(numbers),
    F16: () => Uint16Array.from(numbers),
    BF16: () => Uint16Array.from(numbers),
    I8: () => Int8Array.from(numbers),
    I64: () => BigInt64Array.from(numbers, BigInt),
  }[dtype]();
  return { dtype, shape, bytes: new Uint8Array(make.buffer) };
}
