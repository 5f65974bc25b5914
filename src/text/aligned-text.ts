// A text while normalizers and pre-tokenizers change it. If offsets are wanted, each UTF-16 unit keeps the span of the original text
// that it came from. Spans follow Rust `tokenizers`: a replacement has the span of the last character that it replaces, a prefix
// that of the first character of the text. Knows nothing of tokens.

import { literalPattern } from "./pattern.ts";

/** A run of text cut out of an original; spans are UTF-16 units of the original. */
export class AlignedText {
  readonly text: string;
  /** Whether the first character came from the original's first one: some pre-tokenizers treat that place differently. */
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

  /** The same place with another text, when no spans are wanted. */
  withText(text: string): AlignedText {
    return new AlignedText(text, this.first);
  }

  /** The text that consists of these characters, with spans that follow from how each came about. */
  transformed(changes: readonly Change[]): AlignedText {
    const { starts, ends } = this;
    const text = changes.map(([character]) => character).join("");
    if (starts === undefined || ends === undefined) return this.withText(text);
    const newStarts = new Int32Array(text.length);
    const newEnds = new Int32Array(text.length);
    let read = 0;
    let write = 0;
    for (const [character, change] of changes) {
      const from = change > 0 ? read - 1 : read;
      newStarts.fill(starts[from] ?? 0, write, write + character.length);
      newEnds.fill(ends[from] ?? 0, write, write + character.length);
      write += character.length;
      for (let i = change; i <= 0; i++) read += (this.text.codePointAt(read) ?? 0) > 0xffff ? 2 : 1;
    }
    return new AlignedText(text, this.first, newStarts, newEnds);
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
    const text = this.text.replaceAll(literal, () => content);
    const front = this.text.startsWith(literal) ? [{ from: 0, to: literal.length, content }] : [];
    return new AlignedText(text, this.#staysFirst(front));
  }

  /** Each of the spans, in order and without overlap, replaced by `content`. */
  replaceSpans(spans: readonly (readonly [number, number])[], content: string): AlignedText {
    const edits = spans.map(([from, to]) => ({ from, to, content }));
    return this.#edited(edits);
  }

  /** Each character that `which` matches (with flag g) replaced by what `map` makes of it; all of that has the character's span. */
  mapCharacters(which: RegExp, map: (character: string) => string): AlignedText {
    if (this.starts === undefined) {
      let gone = false;
      const text = this.text.replaceAll(which, (character, at: number) => {
        const content = map(character);
        if (at === 0 && content === "") gone = true;
        return content;
      });
      return new AlignedText(text, this.first && !gone);
    }
    const edits: Edit[] = [];
    for (const { 0: character, index } of this.text.matchAll(which)) {
      const content = map(character);
      if (content !== character) edits.push({ from: index, to: index + character.length, content });
    }
    return this.#edited(edits);
  }

  /** Whether the first character still comes from the original's first one after these edits. What replaces several has the last one's place. */
  #staysFirst([edit]: readonly Edit[]): boolean {
    if (!this.first || edit === undefined || edit.from > 0 || edit.to === 0) return this.first;
    const width = (this.text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1;
    return edit.content !== "" && edit.to === width;
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
      // what is put in before the first character has the place before it
      for (let i = 0; i < content.length; i++) {
        sources.push(starts?.[Math.max(to - 1, 0)] ?? 0);
        limits.push((to > 0 ? ends?.[to - 1] : starts?.[0]) ?? 0);
      }
      read = to;
    }
    copy(this.text.length);
    const text = parts.join("");
    const first = this.#staysFirst(edits);
    if (starts === undefined) return new AlignedText(text, first);
    return new AlignedText(text, first, Int32Array.from(sources), Int32Array.from(limits));
  }
}

/**
 * A character of a changed text, and how it came about: 0, it replaces the next character of the old text; −n, it replaces that and n
 * more; 1, it is put in, and has the span of the character before.
 */
export type Change = readonly [character: string, change: number];

type Edit = { from: number; to: number; content: string };

function shifted(spans: Int32Array, by: number, front: number): Int32Array {
  const out = new Int32Array(spans.length + by).fill(front, 0, by);
  out.set(spans, by);
  return out;
}
