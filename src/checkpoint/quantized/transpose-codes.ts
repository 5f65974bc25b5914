// Transposes packed codes. GPTQ and AWQ store a matrix [inputs, outputs]; format int4 wants [outputs, inputs], the even input in the
// low nibble. K inputs, O outputs; a band holds some of the inputs and all outputs. Works in blocks of cache lines, so that it is as
// fast as memory. Knows words of eight 4-bit codes, not whose they are.

/** How many inputs' codes fill a cache line (64 bytes) of the target. */
export const LINE_INPUTS = 128;

/** Where codes go: rows [from, to) of a matrix, in `words`, whose rows have `stride` words. */
export type CodeTarget = {
  readonly words: Uint32Array<ArrayBufferLike>;
  readonly stride: number;
  readonly from: number;
  readonly to: number;
};

/**
 * Transposes a band [count, O] of words, each of which holds eight inputs of one output: words move as they are.
 * @param at the word of each target row where the band's first input goes
 */
export function transposeWords(
  band: Uint32Array,
  count: number,
  O: number,
  at: number,
  { words, stride, from, to }: CodeTarget,
): void {
  for (let begin = from; begin < to; begin += BLOCK) {
    const end = Math.min(begin + BLOCK, to);
    for (let i = 0; i < count; i++) {
      let place = (begin - from) * stride + at + i;
      for (let o = begin; o < end; o++) {
        words[place] = band[i * O + o];
        place += stride;
      }
    }
  }
}

/** How many outputs are transposed at a time: their cache lines stay in the first-level cache. */
const BLOCK = 64;

/**
 * Transposes a band [8 · count, O / 8] of words, each of which holds eight outputs of one input.
 * @param at    the word of each target row where the band's first input goes
 * @param order for each nibble of a word, from the lowest on, which of the word's eight outputs it belongs to
 */
export function transposeNibbles(
  band: Uint32Array,
  count: number,
  O: number,
  at: number,
  order: readonly number[],
  { words, stride, from, to }: CodeTarget,
): void {
  const width = O >>> 3;
  const tile = new Uint32Array(8);
  for (let column = from >>> 3; column < Math.ceil(to / 8); column++) {
    for (let i = 0; i < count; i++) {
      loadTurned(band, i * 8 * width + column, width, tile);
      for (let nibble = 0; nibble < 8; nibble++) {
        const o = column * 8 + order[nibble];
        if (o >= from && o < to) words[(o - from) * stride + at + i] = tile[nibble];
      }
    }
  }
}

/** Transposes eight words, `step` apart: nibble i of word j becomes nibble j of word i. Exchanges halves, then bytes, then nibbles. */
function loadTurned(words: Uint32Array, at: number, step: number, tile: Uint32Array): void {
  const a0 = words[at];
  const a1 = words[at + step];
  const a2 = words[at + 2 * step];
  const a3 = words[at + 3 * step];
  const a4 = words[at + 4 * step];
  const a5 = words[at + 5 * step];
  const a6 = words[at + 6 * step];
  const a7 = words[at + 7 * step];
  const b0 = (a0 & 0xffff) | (a4 << 16);
  const b1 = (a1 & 0xffff) | (a5 << 16);
  const b2 = (a2 & 0xffff) | (a6 << 16);
  const b3 = (a3 & 0xffff) | (a7 << 16);
  const b4 = (a0 >>> 16) | (a4 & 0xffff0000);
  const b5 = (a1 >>> 16) | (a5 & 0xffff0000);
  const b6 = (a2 >>> 16) | (a6 & 0xffff0000);
  const b7 = (a3 >>> 16) | (a7 & 0xffff0000);
  turnBytes(b0, b1, b2, b3, 0, tile);
  turnBytes(b4, b5, b6, b7, 4, tile);
}

function turnBytes(
  b0: number,
  b1: number,
  b2: number,
  b3: number,
  to: number,
  tile: Uint32Array,
): void {
  const c0 = (b0 & 0x00ff00ff) | ((b2 & 0x00ff00ff) << 8);
  const c1 = (b1 & 0x00ff00ff) | ((b3 & 0x00ff00ff) << 8);
  const c2 = ((b0 >>> 8) & 0x00ff00ff) | (b2 & 0xff00ff00);
  const c3 = ((b1 >>> 8) & 0x00ff00ff) | (b3 & 0xff00ff00);
  tile[to] = (c0 & 0x0f0f0f0f) | ((c1 & 0x0f0f0f0f) << 4);
  tile[to + 1] = ((c0 >>> 4) & 0x0f0f0f0f) | (c1 & 0xf0f0f0f0);
  tile[to + 2] = (c2 & 0x0f0f0f0f) | ((c3 & 0x0f0f0f0f) << 4);
  tile[to + 3] = ((c2 >>> 4) & 0x0f0f0f0f) | (c3 & 0xf0f0f0f0);
}
