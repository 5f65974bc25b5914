// One encoded sequence: token ids and, if details are wanted, the place of each token in its text. What truncation cuts off is kept
// as more encodings, in `overflowing`. Joining, truncation and padding follow Rust `tokenizers`. Knows nothing of text.

import { InputError } from "../errors.ts";

/** Tokens in a row that have the same flags. */
export type Run = {
  length: number;
  typeId: number;
  /** 1 for tokens that the post-processor put in, and for padding. */
  special: 0 | 1;
  /** 1 for tokens, 0 for padding. */
  attention: 0 | 1;
  /** Which of the two texts, −1 for none. */
  sequence: -1 | 0 | 1;
};

/** Computed only if details are wanted. */
export type Details = {
  /** [length] number of each token's word in its text, −1 for none */
  words: Int32Array;
  /** [length, 2] where each token begins and ends, in code points of its text */
  offsets: Int32Array;
};

export type Side = "left" | "right";
export type Strategy = "longest_first" | "only_first" | "only_second";

const NO_TEXTS: ReadonlyMap<number, string> = new Map();

export class Encoding {
  readonly ids: Int32Array;
  readonly runs: readonly Run[];
  readonly details: Details | undefined;
  readonly overflowing: readonly Encoding[];
  /** For some tokens, by their index: the text, where it is not the vocabulary's, as `lstrip` and `rstrip` make added tokens longer. */
  readonly texts: ReadonlyMap<number, string>;

  constructor(
    ids: Int32Array,
    runs: readonly Run[],
    details: Details | undefined,
    overflowing: readonly Encoding[] = [],
    texts: ReadonlyMap<number, string> = NO_TEXTS,
  ) {
    this.ids = ids;
    this.runs = runs;
    this.details = details;
    this.overflowing = overflowing;
    this.texts = texts;
  }

  /** The tokens of one text. */
  static of(ids: Int32Array, details?: Details, texts?: ReadonlyMap<number, string>): Encoding {
    const run: Run = { length: ids.length, typeId: 0, special: 0, attention: 1, sequence: 0 };
    return new Encoding(ids, [run], details, [], texts);
  }

  /** Tokens that stand for no text: what the post-processor puts in, or padding. */
  static special(
    ids: ArrayLike<number>,
    flags: { typeId: number; attention: 0 | 1 },
    details: boolean,
  ): Encoding {
    const { length } = ids;
    return new Encoding(
      Int32Array.from(ids),
      [{ length, special: 1, sequence: -1, ...flags }],
      details
        ? { words: new Int32Array(length).fill(-1), offsets: new Int32Array(length * 2) }
        : undefined,
    );
  }

  get length(): number {
    return this.ids.length;
  }

  /** One flag of every token. */
  column(flag: Exclude<keyof Run, "length">): number[] {
    const values: number[] = [];
    for (const run of this.runs) for (let i = 0; i < run.length; i++) values.push(run[flag]);
    return values;
  }

  /** The same tokens as text number `sequence` with another type, overflow included. */
  as(sequence: 0 | 1, typeId: number): Encoding {
    const runs = this.runs.map((run): Run => ({ ...run, sequence, typeId }));
    const overflowing = this.overflowing.map((part) => part.as(sequence, typeId));
    return new Encoding(this.ids, runs, this.details, overflowing, this.texts);
  }

  /** This and then `other`. Each part that was cut off from one is joined with the other, and with each part cut off from it. */
  followedBy(other: Encoding): Encoding {
    const overflowing = [
      ...this.overflowing.flatMap((part) => [
        part.joined(other),
        ...other.overflowing.map((more) => part.joined(more)),
      ]),
      ...other.overflowing.map((more) => this.joined(more)),
    ];
    const { ids, runs, details, texts } = this.joined(other);
    return new Encoding(ids, runs, details, overflowing, texts);
  }

  /** This and then `other`, without what was cut off. */
  joined(other: Encoding): Encoding {
    const { details: a } = this;
    const { details: b } = other;
    return new Encoding(
      concat(this.ids, other.ids),
      [...this.runs, ...other.runs],
      a && b && { words: concat(a.words, b.words), offsets: concat(a.offsets, b.offsets) },
      [],
      this.#texts(other),
    );
  }

  /**
   * The first `most` tokens, or the last ones with side "left". The others become `overflowing`, in parts of `most` tokens that
   * repeat `stride` tokens of the part before. @throws InputError `stride` is not below `most`
   */
  truncated(most: number, stride: number, side: Side): Encoding {
    if (most >= this.length) return this;
    if (most === 0) return this.#slice(0, 0).#over([this]);
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
    return parts[0].#over(parts.slice(1));
  }

  /** Filled to `length` on one side, overflow included. */
  padded(length: number, side: Side, padId: number, padTypeId: number): Encoding {
    const overflowing = this.overflowing.map((p) => p.padded(length, side, padId, padTypeId));
    const missing = length - this.length;
    if (missing <= 0) return this.#over(overflowing);
    const ids = new Int32Array(missing).fill(padId);
    const flags = { typeId: padTypeId, attention: 0 } as const;
    const pad = Encoding.special(ids, flags, this.details !== undefined);
    return (side === "left" ? pad.joined(this) : this.joined(pad)).#over(overflowing);
  }

  /** The same tokens with other offsets, overflow included; undefined: as before. */
  withOffsets(offsetsOf: (encoding: Encoding) => Int32Array | undefined): Encoding {
    const { ids, runs, details, texts } = this;
    const offsets = offsetsOf(this);
    const changed = details && offsets ? { ...details, offsets } : details;
    const overflowing = this.overflowing.map((part) => part.withOffsets(offsetsOf));
    return new Encoding(ids, runs, changed, overflowing, texts);
  }

  /** The same tokens with other overflow. */
  #over(overflowing: readonly Encoding[]): Encoding {
    return new Encoding(this.ids, this.runs, this.details, overflowing, this.texts);
  }

  #slice(from: number, to: number): Encoding {
    const { details } = this;
    const runs: Run[] = [];
    let begin = 0;
    for (const run of this.runs) {
      const end = begin + run.length;
      const length = Math.min(end, to) - Math.max(begin, from);
      if (length > 0) runs.push({ ...run, length });
      begin = end;
    }
    const texts = [...this.texts].filter(([at]) => at >= from && at < to);
    return new Encoding(
      this.ids.subarray(from, to),
      runs,
      details && {
        words: details.words.subarray(from, to),
        offsets: details.offsets.subarray(from * 2, to * 2),
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

/** Both cut so that together they have at most `most` tokens. @throws InputError the strategy cannot reach that, or `stride` is too large */
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

/** The lengths to which two texts are cut: a longer one loses tokens first; when both are long, each keeps half of `most`. */
function longestFirst(first: number, second: number, most: number): [number, number] {
  const short = Math.min(first, second);
  const long = short > most ? short : Math.max(short, most - short);
  const [a, b] = short + long > most ? [most >> 1, (most >> 1) + (most % 2)] : [short, long];
  return first > second ? [b, a] : [a, b];
}

function concat(a: Int32Array, b: Int32Array): Int32Array {
  const out = new Int32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
