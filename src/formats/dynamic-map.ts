// The dynamic 8-bit type, and quantising blocks of numbers to it: Dettmers 2015 (arXiv:1511.04561); Dettmers et al. 2021, "8-bit
// Optimizers via Block-wise Quantization" (arXiv:2110.02861). Gives the bits that bitsandbytes gives on the CPU. It rounds a number
// to one of 65,536 points in [-1, 1] and looks up that point's code, so the border between two codes lies at such a point.
// Knows numbers, not what they are the scales of.

/** The 256 values, ascending; map[127] is 0 and map[255] is 1. */
export const dynamicMap: Float32Array = makeMap();

// Beside 0 and 1: for each factor 10⁻⁶, 10⁻⁵ … 1, the middles of 1, 2, 4 … 64 equal parts of [0.1, 1] times that factor, with both
// signs.
function makeMap(): Float32Array {
  const values = [0, 1];
  for (let bits = 0; bits < 7; bits++) {
    const parts = 2 ** bits;
    const [first, last] = [Math.fround(0.1), 1];
    const step = Math.fround((last - first) / parts);
    // From both ends inwards, each number rounded once, as torch.linspace computes it.
    const border = (i: number): number =>
      Math.fround(2 * i < parts ? first + step * i : last - step * (parts - i));
    const scale = Math.fround(10 ** (bits - 6));
    for (let i = 0; i < parts; i++) {
      const middle = Math.fround(scale * (Math.fround(border(i) + border(i + 1)) / 2));
      values.push(middle, -middle);
    }
  }
  return Float32Array.from(values).toSorted();
}

const LATTICE = 65535;
let lattice: Uint8Array | undefined;

/** The code of each of the 65,536 points in [-1, 1]. Computed at the first call. */
function latticeCodes(): Uint8Array {
  if (lattice !== undefined) return lattice;
  lattice = new Uint8Array(LATTICE + 1);
  let code = 0;
  for (let i = 0; i <= LATTICE; i++) {
    const value = Math.fround(Math.fround((2 * i) / LATTICE) - 1);
    while (code < 255 && value > Math.fround(dynamicMap[code] + dynamicMap[code + 1]) / 2) code++;
    lattice[i] = code;
  }
  return lattice;
}

/** Quantises blocks of `block` numbers (the last may be shorter): a code for each number, the largest magnitude of each block. */
export function quantizeDynamic8(
  values: Float32Array,
  block: number,
  codes: Uint8Array,
  scales: Float32Array,
): void {
  const table = latticeCodes();
  for (let from = 0, i = 0; from < values.length; from += block, i++) {
    const to = Math.min(from + block, values.length);
    let largest = 0;
    for (let j = from; j < to; j++) largest = Math.max(largest, Math.abs(values[j]));
    scales[i] = largest;
    const inverse = Math.fround(1 / largest);
    for (let j = from; j < to; j++) {
      // In a block of zeros any code will do, since its scale is 0.
      if (largest === 0) codes[j] = 0;
      else {
        const scaled = Math.min(1, Math.max(-1, Math.fround(values[j] * inverse)));
        codes[j] = table[Math.trunc(Math.fround((Math.fround(scaled + 1) / 2) * LATTICE + 0.5))];
      }
    }
  }
}

/** Into out[i]: map[code i] · the scale of its block. */
export function dequantizeDynamic8(
  codes: Uint8Array,
  block: number,
  scales: Float32Array,
  out: Float32Array,
  map: Float32Array = dynamicMap,
): void {
  for (let i = 0; i < codes.length; i++) out[i] = map[codes[i]] * scales[Math.floor(i / block)];
}
