// One encoded sequence: ids and, where asked for, what each token stands for; what was cut off hangs below it as more
// encodings. Merging, truncation and padding follow Rust `tokenizers`. Knows nothing of text.

import { InputError } from "../errors.ts";

/** `offsets` and `words` are there when details were asked for; −1 in `words` and `sequences` means none. */
export type EncodingArrays = {
  ids: Int32Array;
  typeIds: Int32Array;
  /** 1 for tokens that the post-processor put in, and for padding. */
  special: Int32Array;
  /** 1 for tokens, 0 for padding. */
  attention: Int32Array;
  /** Which of the two texts a token comes from. */
  sequences: Int32Array;
  /** Which word of the text. */
  words: Int32Array | undefined;
  /** (start, end) a token, in code points of its text. */
  offsets: Int32Array | undefined;
};

export type Side = "left" | "right";
export type Strategy = "longest_first" | "only_first" | "only_second";

export class Encoding {
  readonly arrays: EncodingArrays;
  readonly overflowing: readonly Encoding[];
  /** Tokens whose text in this place is not the vocabulary's: added ones that swallowed spaces beside them. */
  readonly texts: ReadonlyMap<number, string>;

  constructor(
    arrays: EncodingArrays,
    overflowing: readonly Encoding[] = [],
    texts: ReadonlyMap<number, string> = new Map(),
  ) {
    this.arrays = arrays;
    this.overflowing = overflowing;
    this.texts = texts;
  }

  /** The tokens of one text; `words` and `offsets` make the details. */
  static of(
    ids: Int32Array,
    details?: { words: Int32Array; offsets: Int32Array },
    texts?: ReadonlyMap<number, string>,
  ): Encoding {
    const zeros = (): Int32Array => new Int32Array(ids.length);
    const arrays = {
      ids,
      typeIds: zeros(),
      special: zeros(),
      attention: new Int32Array(ids.length).fill(1),
      sequences: zeros(),
      words: details?.words,
      offsets: details?.offsets,
    };
    return new Encoding(arrays, [], texts);
  }

  /** Tokens that the post-processor puts in. */
  static special(ids: readonly number[], typeId: number, details: boolean): Encoding {
    const filled = (value: number): Int32Array => new Int32Array(ids.length).fill(value);
    return new Encoding({
      ids: Int32Array.from(ids),
      typeIds: filled(typeId),
      special: filled(1),
      attention: filled(1),
      sequences: filled(-1),
      words: details ? filled(-1) : undefined,
      offsets: details ? new Int32Array(ids.length * 2) : undefined,
    });
  }

  get length(): number {
    return this.arrays.ids.length;
  }

  /** The same tokens as text number `sequence` with another type, overflow included. */
  as(sequence: number, typeId: number): Encoding {
    const arrays = {
      ...this.arrays,
      typeIds: new Int32Array(this.length).fill(typeId),
      sequences: new Int32Array(this.length).fill(sequence),
    };
    const overflowing = this.overflowing.map((part) => part.as(sequence, typeId));
    return new Encoding(arrays, overflowing, this.texts);
  }

  /** This and then `other`; what is cut off from either is combined with all of the other. */
  followedBy(other: Encoding): Encoding {
    const overflowing = [
      ...this.overflowing.flatMap((part) => [
        part.joined(other),
        ...other.overflowing.map((more) => part.joined(more)),
      ]),
      ...other.overflowing.map((more) => this.joined(more)),
    ];
    return new Encoding(joinedArrays(this.arrays, other.arrays), overflowing, this.#texts(other));
  }

  /** This and then `other`, without what was cut off. */
  joined(other: Encoding): Encoding {
    return new Encoding(joinedArrays(this.arrays, other.arrays), [], this.#texts(other));
  }

  /** The first (or last) `most` tokens; the others hang below, in parts of `most` that share `stride` tokens. */
  truncated(most: number, stride: number, side: Side): Encoding {
    if (most >= this.length) return this;
    if (most === 0) return new Encoding(this.#slice(0, 0).arrays, [this]);
    if (stride >= most) {
      throw new InputError(
        `tokenizer: stride ${stride} must be smaller than the ${most} tokens that max_length leaves for the text`,
      );
    }
    const parts: Encoding[] = [];
    if (side === "right") {
      for (let from = 0; ; from += most - stride) {
        const to = Math.min(from + most, this.length);
        parts.push(this.#slice(from, to));
        if (to === this.length) break;
      }
    } else {
      for (let to = this.length; ; to -= most - stride) {
        const from = Math.max(to - most, 0);
        parts.push(this.#slice(from, to));
        if (from === 0) break;
      }
    }
    return new Encoding(parts[0].arrays, parts.slice(1), parts[0].texts);
  }

  /** Filled to `length` on one side, overflow included. */
  padded(length: number, side: Side, padId: number, padTypeId: number): Encoding {
    const overflowing = this.overflowing.map((p) => p.padded(length, side, padId, padTypeId));
    const missing = length - this.length;
    if (missing <= 0) return new Encoding(this.arrays, overflowing, this.texts);
    const filled = (value: number): Int32Array => new Int32Array(missing).fill(value);
    const pad = new Encoding({
      ids: filled(padId),
      typeIds: filled(padTypeId),
      special: filled(1),
      attention: filled(0),
      sequences: filled(-1),
      words: this.arrays.words && filled(-1),
      offsets: this.arrays.offsets && new Int32Array(missing * 2),
    });
    const whole = side === "left" ? pad.joined(this) : this.joined(pad);
    return new Encoding(whole.arrays, overflowing, whole.texts);
  }

  #slice(from: number, to: number): Encoding {
    const { arrays } = this;
    const texts = [...this.texts].filter(([at]) => at >= from && at < to);
    return new Encoding(
      {
        ids: arrays.ids.subarray(from, to),
        typeIds: arrays.typeIds.subarray(from, to),
        special: arrays.special.subarray(from, to),
        attention: arrays.attention.subarray(from, to),
        sequences: arrays.sequences.subarray(from, to),
        words: arrays.words?.subarray(from, to),
        offsets: arrays.offsets?.subarray(from * 2, to * 2),
      },
      [],
      new Map(texts.map(([at, text]) => [at - from, text])),
    );
  }

  #texts(other: Encoding): ReadonlyMap<number, string> {
    if (other.texts.size === 0) return this.texts;
    const moved = [...other.texts].map(([at, text]): [number, string] => [at + this.length, text]);
    return new Map([...this.texts, ...moved]);
  }
}

/** Both cut so that together they have at most `most` tokens. @throws InputError */
export function truncatePair(
  first: Encoding,
  second: Encoding | undefined,
  most: number,
  { strategy, stride, side }: { strategy: Strategy; stride: number; side: Side },
): [Encoding, Encoding | undefined] {
  const length = first.length + (second?.length ?? 0);
  if (most === 0) return [first.truncated(0, stride, side), second?.truncated(0, stride, side)];
  if (length <= most) return [first, second];
  if (strategy === "longest_first") {
    if (second === undefined) return [first.truncated(most, stride, side), undefined];
    const [a, b] = longestFirst(first.length, second.length, most);
    return [first.truncated(a, stride, side), second.truncated(b, stride, side)];
  }
  const target = strategy === "only_first" ? first : second;
  if (target === undefined) {
    throw new InputError('tokenizer: truncation "only_second" needs a second text (text_pair)');
  }
  const left = target.length - (length - most);
  if (left <= 0) {
    throw new InputError(
      `tokenizer: truncation "${strategy}" cannot reach max_length: ${length - most} tokens are too many ` +
        `and that text has ${target.length}; use "longest_first" or a larger max_length`,
    );
  }
  const cut = target.truncated(left, stride, side);
  return strategy === "only_first" ? [cut, second] : [first, cut];
}

function longestFirst(first: number, second: number, most: number): [number, number] {
  const short = Math.min(first, second);
  const long = short > most ? short : Math.max(short, most - short);
  const [a, b] = short + long > most ? [most >> 1, (most >> 1) + (most % 2)] : [short, long];
  return first > second ? [b, a] : [a, b];
}

function joinedArrays(a: EncodingArrays, b: EncodingArrays): EncodingArrays {
  return {
    ids: concat(a.ids, b.ids),
    typeIds: concat(a.typeIds, b.typeIds),
    special: concat(a.special, b.special),
    attention: concat(a.attention, b.attention),
    sequences: concat(a.sequences, b.sequences),
    words: a.words && b.words && concat(a.words, b.words),
    offsets: a.offsets && b.offsets && concat(a.offsets, b.offsets),
  };
}

function concat(a: Int32Array, b: Int32Array): Int32Array {
  const out = new Int32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
