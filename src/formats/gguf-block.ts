// A GGUF type as a weight format: rows of whole blocks, which hold their own scales, in one part, with the file's bytes. The columns of
// a matrix are a multiple of the block. Does not know the blocks themselves: gguf-plain.ts, gguf-k.ts, gguf-iq.ts.

import { InputError } from "../errors.ts";
import { f16 } from "./f16.ts";
import type { WeightFormat } from "./weight-format.ts";

export type Bytes = Uint8Array<ArrayBufferLike>;

/** How numbers lie in one block. */
export type Block = {
  /** As GGUF's tools write it: "Q4_K". */
  readonly name: string;
  /** How many numbers a block holds. */
  readonly numbers: number;
  readonly bytes: number;
  /** The offsets of its f16 scales in bytes. */
  readonly scales: readonly number[];
  /** Unpacks the block at bytes[at …] into out[to …]. */
  unpack(bytes: Bytes, at: number, out: Float32Array, to: number): void;
  /** Quantises values[from …] as ggml's reference quantiser does. Only types that test files and benchmarks are made of have it. */
  pack?(values: Float32Array, from: number, bytes: Bytes, at: number): void;
};

/** A weight format whose matrices are rows of blocks. */
export type BlockFormat = WeightFormat & { readonly block: Block };

/** The weight format of these blocks. */
export function blockFormat(block: Block): BlockFormat {
  const { name, numbers, bytes: size, pack } = block;
  const rowBytes = (columns: number): number => (columns / numbers) * size;
  const format: BlockFormat = {
    name,
    family: name,
    param: numbers,
    block,
    parts(rows, columns) {
      if (columns % numbers !== 0) {
        throw new InputError(
          `${name} holds rows of whole blocks of ${numbers} numbers; ${columns} columns are no multiple of that`,
        );
      }
      return [rows * rowBytes(columns)];
    },
    step: () => 1,
    isFinite: ([bytes]) => finiteBlocks(block, bytes),
    unpack([bytes], { columns }, from, to, out) {
      const end = to * rowBytes(columns);
      let target = 0;
      for (let at = from * rowBytes(columns); at < end; at += size) {
        block.unpack(bytes, at, out, target);
        target += numbers;
      }
    },
  };
  if (pack === undefined) return format;
  return {
    ...format,
    packer: ([bytes], { columns }) => ({
      rows(values, from, to) {
        const end = to * rowBytes(columns);
        let source = 0;
        for (let at = from * rowBytes(columns); at < end; at += size) {
          pack(values, source, bytes, at);
          source += numbers;
        }
      },
      finish() {},
    }),
  };
}

// If no scale is NaN or infinite, no number is.
function finiteBlocks({ bytes: size, scales }: Block, bytes: Bytes): boolean {
  for (let at = 0; at < bytes.length; at += size) {
    // The second byte of an f16 has all its exponent bits.
    for (const scale of scales) if ((bytes[at + scale + 1] & 0x7c) === 0x7c) return false;
  }
  return true;
}

const halfBits = new Uint8Array(2);
const halfValue = new Float32Array(1);

/** Reads the f16 at bytes[at]. */
export function half(bytes: Bytes, at: number): number {
  halfBits[0] = bytes[at];
  halfBits[1] = bytes[at + 1];
  f16.unpack(halfBits, halfValue);
  return halfValue[0];
}

/** Rounds to f16, ties to even, and writes it at bytes[at]. */
export function storeHalf(value: number, bytes: Bytes, at: number): void {
  halfValue[0] = value;
  f16.pack(halfValue, halfBits);
  bytes[at] = halfBits[0];
  bytes[at + 1] = halfBits[1];
}
