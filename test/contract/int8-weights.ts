// Random weights of each format of the int8 road, with what they mean as integers and scales. q4 and q8 are packed from numbers
// and read back; q4k and q6k are written as GGUF blocks from chosen fields and regrouped.

import { INT8_BLOCK, type IntegerRow } from "../../src/formats/int8-road.ts";
import { q4 } from "../../src/formats/q4.ts";
import { q4k, regroupQ4K } from "../../src/formats/q4k.ts";
import { q6k, regroupQ6K } from "../../src/formats/q6k.ts";
import { q8 } from "../../src/formats/q8.ts";
import type { Random } from "../random.ts";
import type { Product, Sizes } from "./int8-road.ts";

export type Weights = { readonly w: Uint8Array; readonly rows: readonly IntegerRow[] };

/** Makes weights [O, K]; `extreme`: the largest that the format holds, with scales of 1. */
type Make = (O: number, K: number, random: Random, extreme: boolean) => Weights;

/** Each format, with the multiple that its K must be of. */
export const roadWeights: Readonly<Record<string, { step: number; make: Make }>> = {
  q4: {
    step: 1,
    make: (O, K, random, extreme) => packed("q4", O, K, numbers(O * K, random, extreme && -8)),
  },
  q8: {
    step: 1,
    make: (O, K, random, extreme) => packed("q8", O, K, numbers(O * K, random, extreme && 127)),
  },
  q4k: { step: 256, make: makeQ4K },
  q6k: { step: 256, make: makeQ6K },
};

function numbers(count: number, random: Random, all: number | false): Float32Array {
  return all === false
    ? Float32Array.from(random.numbers(count), (v) => v * v * v)
    : new Float32Array(count).fill(all);
}

export function packed(name: "q4" | "q8", O: number, K: number, values: Float32Array): Weights {
  const format = name === "q4" ? q4 : q8;
  const [w] = format.parts(O, K).map((n) => new Uint8Array(n));
  format.packer?.([w], { rows: O, columns: K }).rows(values, 0, O);
  const blocks = Math.ceil(K / INT8_BLOCK);
  const blockBytes = w.length / (Math.ceil(O / 8) * blocks);
  const view = new DataView(w.buffer);
  const rows = Array.from({ length: O }, (_, row): IntegerRow => {
    const integers = new Int8Array(blocks * INT8_BLOCK);
    const scales = new Float32Array(blocks);
    for (let block = 0; block < blocks; block++) {
      const at = ((row >> 3) * blocks + block) * blockBytes;
      scales[block] = view.getFloat16(at + 2 * (row & 7), true);
      for (let k = 0; k < INT8_BLOCK; k++) {
        const quad = k >> 2;
        const run = name === "q4" ? quad & 3 : quad;
        const byte = w[at + 16 + run * 32 + (row & 7) * 4 + (k & 3)];
        integers[block * INT8_BLOCK + k] =
          name === "q8" ? byte - 128 : (quad < 4 ? byte & 15 : byte >> 4) - 8;
      }
    }
    return { integers, run: 32, scales };
  });
  return { w, rows };
}

const f16 = (x: number): number => new Float16Array([x])[0];

function makeQ4K(O: number, K: number, random: Random, extreme: boolean): Weights {
  const blocks = new Uint8Array((O * K * 144) / 256);
  const view = new DataView(blocks.buffer);
  const rows = Array.from({ length: O }, (_, row): IntegerRow => {
    const integers = new Int8Array(K);
    const [scales, minima] = [new Float32Array(K / 32), new Float32Array(K / 32)];
    for (let k = 0; k < K; k += 256) {
      const at = ((row * K + k) / 256) * 144;
      const [d, dmin] = extreme ? [1, 0] : [1, 2].map(() => f16(random.uniform(-0.01, 0.02)));
      view.setFloat16(at, d, true);
      view.setFloat16(at + 2, dmin, true);
      for (let run = 0; run < 8; run++) {
        const [scale, minimum] = extreme ? [63, 63] : [random.below(64), random.below(64)];
        scales[k / 32 + run] = d * scale;
        minima[k / 32 + run] = dmin * minimum;
        const byte = at + 4 + (run & 3);
        if (run < 4) {
          blocks[byte] |= scale;
          blocks[byte + 4] |= minimum;
        } else {
          blocks[byte + 8] = (scale & 15) | ((minimum & 15) << 4);
          blocks[byte] |= (scale >> 4) << 6;
          blocks[byte + 4] |= (minimum >> 4) << 6;
        }
        for (let i = 0; i < 32; i++) {
          const code = extreme ? 15 : random.below(16);
          integers[k + run * 32 + i] = code;
          blocks[at + 16 + (run >> 1) * 32 + i] |= code << (4 * (run & 1));
        }
      }
    }
    return { integers, run: 32, scales, minima };
  });
  const [w] = q4k.parts(O, K).map((n) => new Uint8Array(n));
  regroupQ4K(blocks, w, { rows: O, columns: K });
  return { w, rows };
}

function makeQ6K(O: number, K: number, random: Random, extreme: boolean): Weights {
  const blocks = new Uint8Array((O * K * 210) / 256);
  const view = new DataView(blocks.buffer);
  const rows = Array.from({ length: O }, (_, row): IntegerRow => {
    const integers = new Int8Array(K);
    const scales = new Float32Array(K / 16);
    for (let k = 0; k < K; k += 256) {
      const at = ((row * K + k) / 256) * 210;
      const d = extreme ? 1 : f16(random.uniform(-0.001, 0.002));
      view.setFloat16(at + 208, d, true);
      for (let run = 0; run < 16; run++) {
        const scale = extreme ? -128 : random.below(256) - 128;
        view.setInt8(at + 192 + run, scale);
        scales[k / 16 + run] = d * scale;
        for (let i = 0; i < 16; i++) {
          const code = extreme ? 0 : random.below(64);
          integers[k + run * 16 + i] = code - 32;
          const low = at + (run >> 3) * 64 + (run & 3) * 16 + i;
          const high = at + 128 + (run >> 3) * 32 + (run & 1) * 16 + i;
          blocks[low] |= (code & 15) << (run & 4);
          blocks[high] |= (code >> 4) << (run & 6);
        }
      }
    }
    return { integers, run: 16, scales };
  });
  const [w] = q6k.parts(O, K).map((n) => new Uint8Array(n));
  regroupQ6K(blocks, w, { rows: O, columns: K });
  return { w, rows };
}

export function randomProduct(format: string, sizes: Sizes, random: Random): Product {
  const { T, K, O } = sizes;
  return {
    ...{ format, sizes, ...roadWeights[format].make(O, K, random, false) },
    x: Float32Array.from(random.numbers(T * K), (v) => 20 * v * v * v),
  };
}
