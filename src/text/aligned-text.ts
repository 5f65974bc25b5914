// A text while normalizers and pre-tokenizers change it. If offsets are wanted, each UTF-16 unit keeps the span of the original text
// that it came from. Spans follow Rust `tokenizers`: a replacement has the span of the last character that it replaces, a prefix
// that of the first character of the text. Knows nothing of tokens.

import { literalPattern } from "./pattern.ts";

/** A run of text cut out of an original; spans are UTF-16 units of the original. */
export class AlignedText {
  readonly text: string;
  /** Whether the text begins where the original begins: some pre-tokenizers treat that place differently. */
  readonly first: boolean;
  /** Unit i came from [starts[i], ends[i]) of the original. Both are undefined when no offsets are wanted. */
  readonly starts: Int32Array | undefined;
  readonly ends: Int32Array | undefined;

  constructor(text: string, first: boolean, starts?: Int32Array, ends?: Int32Array) {
    this.text = text;
    this.first = first;
    this.starts = starts;
    this.ends = ends;
  }

  /** A text as given. `aligned`: with spans; both units of a surrogate pair have the same one. */
  static of(text: string, aligned: boolean): AlignedText {
    if (!aligned) return new AlignedText(text, true);
    const starts = new Int32Array(text.length);
    const ends = new Int32Array(text.length);
    for (let i = 0; i < text.length;) {
      const width = (text.codePointAt(i) ?? 0) > 0xffff ? 2 : 1;
      starts.fill(i, i, i + width);
      ends.fill(i + width, i, i + width);
      i += width;
    }
    return new AlignedText(text, true, starts, ends);
  }

  slice(from: number, to: number): AlignedText {
    if (from === 0 && to === this.text.length) return this;
    return new AlignedText(
      this.text.slice(from, to),
      this.first && from === 0,
      this.starts?.subarray(from, to),
      this.ends?.subarray(from, to),
    );
  }

  /** `prefix` + text; nothing is put before an empty text. */
  prepend(prefix: string): AlignedText {
    if (this.text === "") return this;
    const text = prefix + this.text;
    const { starts, ends } = this;
    if (starts === undefined || ends === undefined) return new AlignedText(text, this.first);
    return new AlignedText(
      text,
      this.first,
      shifted(starts, prefix.length, starts[0] ?? 0),
      shifted(ends, prefix.length, ends[0] ?? 0),
    );
  }

  /** Every occurrence of `literal`, which is not empty, replaced by `content`. */
  replace(literal: string, content: string): AlignedText {
    if (!this.text.includes(literal)) return this;
    if (this.starts !== undefined) {
      return this.replaceSpans(literalPattern(literal).find(this.text), content);
    }
    return new AlignedText(
      this.text.replaceAll(literal, () => content),
      this.first,
    );
  }

  /** Each of the spans, in order and without overlap, replaced by `content`. */
  replaceSpans(spans: readonly (readonly [number, number])[], content: string): AlignedText {
    const edits = spans.map(([from, to]) => ({ from, to, content }));
    return this.#edited(edits);
  }

  /**
   * Every match of `split` (a regular expression with flag g) replaced by what `map` makes of it. Character i of the
   * result has the span of character i of the match; where the result is longer, the rest has that of the match's last.
   */
  mapPieces(split: RegExp, map: (piece: string) => string): AlignedText {
    if (this.starts === undefined) {
      return new AlignedText(this.text.replaceAll(split, map), this.first);
    }
    const edits: Edit[] = [];
    for (const { 0: piece, index } of this.text.matchAll(split)) {
      const content = map(piece);
      if (content === piece) continue;
      const sources = [...piece];
      const results = [...content];
      let from = index;
      sources.forEach((source, i) => {
        const last = i === sources.length - 1;
        const own = last ? results.slice(i).join("") : (results[i] ?? "");
        edits.push({ from, to: from + source.length, content: own });
        from += source.length;
      });
    }
    return this.#edited(edits);
  }

  #edited(edits: readonly Edit[]): AlignedText {
    if (edits.length === 0) return this;
    const { starts, ends } = this;
    const parts: string[] = [];
    const sources: number[] = [];
    const limits: number[] = [];
    let read = 0;
    const copy = (to: number): void => {
      parts.push(this.text.slice(read, to));
      if (starts === undefined || ends === undefined) return;
      for (let i = read; i < to; i++) {
        sources.push(starts[i]);
        limits.push(ends[i]);
      }
    };
    for (const { from, to, content } of edits) {
      copy(from);
      parts.push(content);
      const last = Math.max(to - 1, 0);
      for (let i = 0; i < content.length; i++) {
        sources.push(starts?.[last] ?? 0);
        limits.push(ends?.[last] ?? 0);
      }
      read = to;
    }
    copy(this.text.length);
    const text = parts.join("");
    if (starts === undefined) return new AlignedText(text, this.first);
    return new AlignedText(text, this.first, Int32Array.from(sources), Int32Array.from(limits));
  }
}

type Edit = { from: number; to: number; content: string };

function shifted(spans: Int32Array, by: number, front: number): Int32Array {
  const out = new Int32Array(spans.length + by).fill(front, 0, by);
  out.set(spans, by);
  return out;
}
