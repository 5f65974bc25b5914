// nf4 and fp4 with the bytes of bitsandbytes. A block is 32 to 4096 neighbouring numbers of the flattened matrix: it may begin in one
// row and end in the next. Names: "nf4-64" is nf4 in blocks of 64; "fp4-128-dq" has double quantisation, scales quantised themselves.
// Does not know files.

import { fourBitRanks, fourBitValues, type FourBitType } from "./four-bit-codes.ts";
import { fourBitPacker } from "./four-bit-pack.ts";
import { NESTED_BLOCK, NESTED_VALUES, nestedScales, packNestedScales } from "./four-bit-scales.ts";
import { areFinite, exponents, FINITE_RUN } from "./finite.ts";
import type { Parts, WeightFormat } from "./weight-format.ts";
import { floats32 } from "./words.ts";

/** The block sizes of bitsandbytes. */
export const FOUR_BIT_BLOCKS: readonly number[] = [32, 64, 128, 256, 512, 1024, 2048, 4096];

/** The parameters of a 4-bit format. `nested`: with double quantisation. */
export type FourBitSettings = { type: FourBitType; block: number; nested: boolean };

/** The name of a 4-bit format. */
export function fourBitName({ type, block, nested }: FourBitSettings): string {
  return `${type}-${block}${nested ? "-dq" : ""}`;
}

/** The parameters in the name of a 4-bit format; undefined for another name. */
export function fourBitSettings(name: string): FourBitSettings | undefined {
  const [, type, size, nested] = /^(nf4|fp4)-(\d+)(-dq)?$/.exec(name) ?? [];
  const block = Number(size);
  if (!FOUR_BIT_BLOCKS.includes(block)) return undefined;
  return { type: type as FourBitType, block, nested: nested !== undefined };
}

/**
 * The 4-bit format of that name, or undefined. Its family is "nf4", "nf4-dq", "fp4" or "fp4-dq", its parameter the block's size. The parts
 * of a matrix of n numbers, in N = ⌈n / block⌉ blocks:
 *
 * | part | bytes        | content                                                                                    |
 * | ---- | ------------ | ------------------------------------------------------------------------------------------ |
 * | 0    | ⌈n / 2⌉      | codes, two in a byte, the first one in the high half                                       |
 * | 1    | 4N           | the scale of each block, its largest magnitude: f32. With -dq: N bytes, a code for each   |
 * | 2    | 4 · ⌈N / 256⌉ | with -dq: f32 scales of 256 scales each                                                    |
 * | 3    | 4 · 257      | with -dq: f32 values of the 256 codes of scales, then the mean that was subtracted        |
 */
export function fourBitFormat(name: string): WeightFormat | undefined {
  const settings = fourBitSettings(name);
  if (settings === undefined || fourBitName(settings) !== name) return undefined;
  const { type, block, nested } = settings;
  const values = fourBitValues[type];
  return {
    name,
    family: nested ? `${type}-dq` : type,
    param: block,

    parts(rows, columns) {
      const numbers = rows * columns;
      const blocks = Math.ceil(numbers / block);
      const codes = Math.ceil(numbers / 2);
      if (!nested) return [codes, blocks * 4];
      return [codes, blocks, Math.ceil(blocks / NESTED_BLOCK) * 4, NESTED_VALUES * 4];
    },

    step: () => 1,

    unpack(parts, { columns }, from, to, out) {
      const [begin, end] = [from * columns, to * columns];
      const firstBlock = Math.floor(begin / block);
      const scales = blockScales(parts, nested, firstBlock, Math.ceil(end / block));
      const scaled = new Float32Array(16);
      for (let i = begin, b = 0; i < end; b++) {
        const stop = Math.min(end, (firstBlock + b + 1) * block);
        for (let code = 0; code < 16; code++) scaled[code] = values[code] * scales[b];
        unpackRun(parts[0], i, stop, scaled, out, i - begin);
        i = stop;
      }
    },

    isFinite: (parts, look = areFinite) =>
      parts.slice(nested ? 2 : 1).every((part) => look(part, exponents.f32, FINITE_RUN)),

    ...(nested && {
      single: {
        format: fourBitFormat(fourBitName({ type, block, nested: false })) as WeightFormat,
        nest: (scales, parts) => packNestedScales(floats32(scales), parts),
      },
    }),

    packer: (parts, shape) =>
      fourBitPacker({ name, block, nested, ranks: fourBitRanks[type] }, parts, shape),
  };
}

function blockScales(parts: Parts, nested: boolean, from: number, to: number): Float32Array {
  return nested ? nestedScales(parts, from, to) : floats32(parts[1]).subarray(from, to);
}

/** Unpacks numbers [from, to) of the flattened matrix, all of one block, into out[at …]. `scaled`: value · scale of each code. */
function unpackRun(
  codes: Uint8Array,
  from: number,
  to: number,
  scaled: Float32Array,
  out: Float32Array,
  at: number,
): void {
  let i = from;
  if (i % 2 === 1 && i < to) out[at++] = scaled[codes[i++ >>> 1] & 15];
  let byte = i >>> 1;
  for (; i + 1 < to; i += 2) {
    const pair = codes[byte++];
    out[at++] = scaled[pair >>> 4];
    out[at++] = scaled[pair & 15];
  }
  if (i < to) out[at] = scaled[codes[byte] >>> 4];
}
