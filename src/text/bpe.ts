// Byte-pair encoding (Gage 1994; Sennrich et al. 2016) with byte fallback: text → token ids by a table of ranked merges.
// Gives exactly the tokens of Rust `tokenizers`' BPE model. For speed, text is cut between characters that no merge can join,
// and the tokens of the chunks between cuts are cached. Knows nothing of added tokens, normalizers or files.

import { ChunkCache, LONGEST_CHUNK } from "./chunk-cache.ts";
import { LinkedMerger } from "./linked-merger.ts";
import { PairTable } from "./pair-table.ts";
import { TokenBuffer } from "./token-buffer.ts";

/** What a BPE vocabulary consists of; ids are below 2^22, merges name tokens of the vocabulary. */
export type BpeModel = {
  vocab: ReadonlyMap<string, number>;
  /** (left, right, merged) ids in order of rank, flattened. */
  merges: Int32Array;
  /** Stands for characters that have no token; undefined: they are left out. */
  unk: number | undefined;
  /** Neighbouring characters without a token become one `unk`. */
  fuseUnk: boolean;
  /** A character without a token becomes the tokens of its UTF-8 bytes, <0x00> to <0xFF>. */
  byteFallback: boolean;
  /** A word that is in the vocabulary becomes that one token, without merges. */
  ignoreMerges: boolean;
  /** Whether a merge's rank is the id of the token that it makes, as in tiktoken. Default: its place in `merges`. */
  rankByToken?: boolean;
};

// Up to this many symbols, searching all pairs for the best one again and again is faster than a heap.
const SHORT = 40;

export class Bpe {
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #pairs: PairTable;
  // for each UTF-16 unit the id of the token that is this unit, −1 for none; characters of two units are looked up in the vocabulary
  readonly #unitIds = new Int32Array(0x10000).fill(-1);
  readonly #byteIds: Int32Array | undefined;
  readonly #unk: number | undefined;
  readonly #fuseUnk: boolean;
  readonly #ignoreMerges: boolean;
  readonly #junctions: Junctions | undefined;
  readonly #cache = new ChunkCache();
  readonly #scratch = new TokenBuffer(true);
  readonly #merger: LinkedMerger;
  readonly #ranks = new Int32Array(SHORT);

  constructor(model: BpeModel) {
    const { vocab, merges } = model;
    this.#vocab = vocab;
    this.#unk = model.unk;
    this.#fuseUnk = model.fuseUnk;
    this.#ignoreMerges = model.ignoreMerges;
    this.#byteIds = model.byteFallback ? byteTable(vocab) : undefined;
    for (const [token, id] of vocab) {
      if (token.length === 1) this.#unitIds[token.charCodeAt(0)] = id;
    }
    this.#pairs = new PairTable(merges.length / 3);
    for (let i = 0, rank = 0; i < merges.length; i += 3, rank++) {
      const merged = merges[i + 2];
      this.#pairs.set(merges[i], merges[i + 1], model.rankByToken === true ? merged : rank, merged);
    }
    this.#merger = new LinkedMerger(this.#pairs);
    this.#junctions = this.#everyCharacterHasTokens() ? this.#findJunctions(model) : undefined;
  }

  /** Appends the tokens of one word (all text between two cuts of the pre-tokenizer) to `out`. */
  encode(text: string, out: TokenBuffer): void {
    if (this.#ignoreMerges) {
      const whole = this.#vocab.get(text);
      if (whole !== undefined) {
        out.push(whole, 0, text.length);
        return;
      }
    }
    const junctions = this.#junctions;
    const length = text.length;
    for (let from = 0; from < length;) {
      let unit = text.charCodeAt(from);
      let hash = unit;
      let to = from + 1;
      for (; to < length; to++) {
        const next = text.charCodeAt(to);
        if (junctions?.cuts(unit, next)) break;
        hash = (Math.imul(hash, 0x01000193) ^ next) | 0;
        unit = next;
      }
      this.#chunk(text, from, to, hash, out);
      from = to;
    }
  }

  #chunk(text: string, from: number, to: number, hash: number, out: TokenBuffer): void {
    const short = to - from <= LONGEST_CHUNK;
    if (short && this.#cache.copy(text, from, to, hash, out)) return;
    const chunk = this.#scratch;
    chunk.length = 0;
    this.#symbols(text, from, to, chunk);
    if (chunk.length > SHORT) this.#merger.merge(chunk);
    else this.#mergeShort(chunk);
    if (short) this.#cache.keep(text, from, to, hash, chunk);
    out.append(chunk, from);
  }

  /** The characters of text[from, to) as tokens, those outside the vocabulary as bytes or as the unknown token. */
  #symbols(text: string, from: number, to: number, out: TokenBuffer): void {
    let unknownFrom = -1;
    let unknownTo = -1;
    for (let i = from; i < to;) {
      const point = text.codePointAt(i) as number;
      const width = point > 0xffff ? 2 : 1;
      const start = i - from;
      const end = start + width;
      const id = width === 1 ? this.#unitIds[point] : (this.#vocab.get(text.slice(i, i + 2)) ?? -1);
      i += width;
      if (id < 0 && this.#pushBytes(point, start, end, out)) continue;
      if (unknownFrom >= 0 && (id >= 0 || !this.#fuseUnk)) {
        out.push(this.#unk as number, unknownFrom, unknownTo);
        unknownFrom = -1;
      }
      if (id >= 0) out.push(id, start, end);
      else if (this.#unk !== undefined) {
        if (unknownFrom < 0) unknownFrom = start;
        unknownTo = end;
      }
    }
    if (unknownFrom >= 0) out.push(this.#unk as number, unknownFrom, unknownTo);
  }

  /** The UTF-8 bytes of a character, each with the whole character's span; false when a byte has no token. */
  #pushBytes(point: number, start: number, end: number, out: TokenBuffer): boolean {
    const ids = this.#byteIds;
    if (ids === undefined) return false;
    const before = out.length;
    const push = (byte: number): void => out.push(ids[byte], start, end);
    if (point < 0x80) push(point);
    else {
      if (point < 0x800) push(0xc0 | (point >> 6));
      else {
        if (point < 0x10000) push(0xe0 | (point >> 12));
        else {
          push(0xf0 | (point >> 18));
          push(0x80 | ((point >> 12) & 63));
        }
        push(0x80 | ((point >> 6) & 63));
      }
      push(0x80 | (point & 63));
    }
    for (let i = before; i < out.length; i++) {
      if (out.ids[i] < 0) {
        out.length = before;
        return false;
      }
    }
    return true;
  }

  /** Merges by searching all pairs for the best one, again and again: fastest for a few symbols. */
  #mergeShort(chunk: TokenBuffer): void {
    const pairs = this.#pairs;
    const { ids } = chunk;
    const ranks = this.#ranks;
    let count = chunk.length;
    const handleRank = (i: number): number => {
      const handle = pairs.find(ids[i], ids[i + 1]);
      return handle < 0 ? NO_RANK : pairs.rankAt(handle);
    };
    for (let i = 0; i + 1 < count; i++) ranks[i] = handleRank(i);
    for (;;) {
      let best = NO_RANK;
      let at = -1;
      for (let i = 0; i + 1 < count; i++) {
        if (ranks[i] < best) {
          best = ranks[i];
          at = i;
        }
      }
      if (at < 0) break;
      ids[at] = pairs.mergedAt(pairs.find(ids[at], ids[at + 1]));
      chunk.closeGap(at, count);
      count--;
      for (let i = at + 1; i + 1 < count; i++) ranks[i] = ranks[i + 1];
      if (at > 0) ranks[at - 1] = handleRank(at - 1);
      if (at + 1 < count) ranks[at] = handleRank(at);
    }
    chunk.length = count;
  }

  // Chunks can be encoded one by one only if this holds. A character without tokens is left out or fused with its neighbours:
  // then the tokens on both sides of it become neighbours, and those of one chunk depend on the next chunk.
  #everyCharacterHasTokens(): boolean {
    return this.#byteIds !== undefined && this.#byteIds.every((id) => id >= 0);
  }

  #findJunctions({ merges, vocab }: BpeModel): Junctions | undefined {
    const texts: string[] = [];
    for (const [token, id] of vocab) texts[id] = token;
    const opaque = new Set(this.#byteIds);
    if (this.#unk !== undefined) opaque.add(this.#unk);
    const junctions = new Junctions(merges.length / 3);
    for (let i = 0; i < merges.length; i += 3) {
      const left = merges[i];
      const right = merges[i + 1];
      // The name of a byte token is not its text, so the characters where such a merge joins are not known: text is not cut.
      if (opaque.has(left) || opaque.has(right)) return undefined;
      const a = texts[left] as string;
      junctions.add(a.charCodeAt(a.length - 1), (texts[right] as string).charCodeAt(0));
    }
    return junctions;
  }
}

const NO_RANK = 0x7fffffff;

function byteTable(vocab: ReadonlyMap<string, number>): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    const hex = byte.toString(16).toUpperCase().padStart(2, "0");
    return vocab.get(`<0x${hex}>`) ?? -1;
  });
}

/**
 * The pairs of UTF-16 units at which some merge joins: the last unit of its left token, the first of its right one. Between two
 * units that are no such pair, text can be cut: a merge across the cut would have to join at exactly this pair.
 */
class Junctions {
  readonly #ascii = new Uint8Array(128 * 128);
  // a hash table of pairs: left in the upper 16 bits, right in the lower; 0 is an empty slot, since the pair (0, 0) is ASCII
  readonly #keys: Uint32Array;

  constructor(merges: number) {
    let slots = 64;
    while (slots < merges * 2) slots *= 2;
    this.#keys = new Uint32Array(slots);
  }

  add(left: number, right: number): void {
    if (left < 128 && right < 128) this.#ascii[(left << 7) | right] = 1;
    else this.#keys[this.#slot(left, right)] = ((left << 16) | right) >>> 0;
  }

  /** Whether text may be cut between these units; never inside a surrogate pair. */
  cuts(left: number, right: number): boolean {
    if (left < 128 && right < 128) return this.#ascii[(left << 7) | right] === 0;
    return (right & 0xfc00) !== 0xdc00 && this.#keys[this.#slot(left, right)] === 0;
  }

  #slot(left: number, right: number): number {
    const keys = this.#keys;
    const mask = keys.length - 1;
    const key = ((left << 16) | right) >>> 0;
    let hash = Math.imul(key, 0x9e3779b1);
    hash ^= hash >>> 15;
    let slot = hash & mask;
    while (keys[slot] !== 0 && keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }
}
