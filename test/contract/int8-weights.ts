// Random weights of each format of the int8 compute path, with what they mean as integers and scales. q4, q4r, q6r and q8 are packed
// from numbers and read back; q4k and q6k are written as GGUF blocks from chosen fields and regrouped.

import { INT8_BLOCK, type IntegerRow } from "../../src/formats/int8-compute-path.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import { q4k, regroupQ4K } from "../../src/formats/q4k.ts";
import { q6k, regroupQ6K } from "../../src/formats/q6k.ts";
import type { Random } from "../random.ts";
import type { Product, Sizes } from "./int8-compute-path.ts";

export type Weights = Pick<Product, "w" | "ofRows" | "rows">;

/** Makes weights [O, K]; `extreme`: the largest that the format holds, with scales of 1. */
type Make = (O: number, K: number, random: Random, extreme: boolean) => Weights;

/** Each format, with the multiple that its K must be of. */
export const int8Weights: Readonly<Record<string, { step: number; make: Make }>> = {
  q4: fromNumbers("q4", -8),
  // Under a row's scale of 1 the factors are 127.
  q4r: fromNumbers("q4r", -8 * 127),
  q6r: fromNumbers("q6r", -32 * 127),
  q8: fromNumbers("q8", 127),
  q4k: { step: 256, make: makeQ4K },
  q6k: { step: 256, make: makeQ6K },
};

type Packed = "q4" | "q4r" | "q6r" | "q8";

function fromNumbers(name: Packed, largest: number): { step: number; make: Make } {
  return {
    step: 1,
    make: (O, K, random, extreme) => packed(name, O, K, numbers(O * K, random, extreme && largest)),
  };
}

function numbers(count: number, random: Random, all: number | false): Float32Array {
  return all === false
    ? Float32Array.from(random.numbers(count), (v) => v * v * v)
    : new Float32Array(count).fill(all);
}

export function packed(name: Packed, O: number, K: number, values: Float32Array): Weights {
  const format = findWeightFormat(name);
  if (format === undefined) throw new Error(`no format is called ${name}`);
  const parts = format.parts(O, K).map((n) => new Uint8Array(n));
  format.packer?.(parts, { rows: O, columns: K }).rows(values, 0, O);
  const [w, ofRows] = parts;
  const blocks = Math.ceil(K / INT8_BLOCK);
  const blockBytes = w.length / (Math.ceil(O / 8) * blocks);
  const scaleBytes = ofRows === undefined ? 16 : 8;
  const view = new DataView(w.buffer);
  const rows = Array.from({ length: O }, (_, row): IntegerRow => {
    const integers = new Int8Array(blocks * INT8_BLOCK);
    const scales = new Float32Array(blocks);
    const r = row & 7;
    for (let block = 0; block < blocks; block++) {
      const at = ((row >> 3) * blocks + block) * blockBytes;
      scales[block] = ofRows ? view.getInt8(at + r) : view.getFloat16(at + 2 * r, true);
      for (let k = 0; k < INT8_BLOCK; k++)
        integers[block * INT8_BLOCK + k] = codeOf[name](w, at + scaleBytes + r * 4 + (k & 3), k);
    }
    return {
      integers,
      run: 32,
      scales,
      ...(ofRows && { ofRow: new Float32Array(ofRows.buffer)[row] }),
    };
  });
  return { w, ...(ofRows && { ofRows }), rows };
}

const nibble = (w: Uint8Array, at: number, k: number): number =>
  (w[at + ((k >> 2) & 3) * 32] >> (k < 16 ? 0 : 4)) & 15;
/** The integer of the k-th number of a block, its zero point taken off; `at`: where the row's codes of quad 0 are, + k & 3. */
const codeOf: Readonly<Record<Packed, (w: Uint8Array, at: number, k: number) => number>> = {
  q4: (w, at, k) => nibble(w, at, k) - 8,
  q4r: (w, at, k) => nibble(w, at, k) - 8,
  q6r: (w, at, k) =>
    nibble(w, at, k) + (((w[at + 128 + ((k >> 2) & 1) * 32] >> (2 * (k >> 3))) & 3) << 4) - 32,
  q8: (w, at, k) => w[at + (k >> 2) * 32] - 128,
};

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
    ...{ format, sizes, ...int8Weights[format].make(O, K, random, false) },
    x: Float32Array.from(random.numbers(T * K), (v) => 20 * v * v * v),
  };
}
