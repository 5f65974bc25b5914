// `trim_offsets` of the post-processor ByteLevel: the white space at both ends of a token does not count as its place in the text.
// Only offsets change, as in Rust `tokenizers`. Knows nothing of special tokens around a text.

import type { Encoding } from "./encoding.ts";

export type Trim = {
  /** One space in front of a text's first token stays: the pre-tokenizer may have put it there. */
  readonly keepFirst: boolean;
  /** Whether offsets are trimmed before special tokens are put around the text. */
  readonly before: boolean;
};

// Ġ is a space in GPT-2's alphabet
const LEADING = /^[\p{White_Space}\u{120}]*/u;
const TRAILING = /[\p{White_Space}\u{120}]*$/u;

/** The same tokens with trimmed offsets, what truncation cut off included. `textOf`: the token of an id. */
export function trimOffsets(
  encoding: Encoding,
  { keepFirst }: Trim,
  textOf: (id: number) => string | undefined,
): Encoding {
  const trimmed = (one: Encoding): Int32Array | undefined => {
    if (one.details === undefined) return undefined;
    const offsets = one.details.offsets.slice();
    for (let i = 0; i < one.length; i++) {
      const token = one.texts.get(i) ?? textOf(one.ids[i]) ?? "";
      let leading = countPoints(LEADING.exec(token)?.[0] ?? "");
      const trailing = countPoints(TRAILING.exec(token)?.[0] ?? "");
      if (leading === 0 && trailing === 0) continue;
      let start = offsets[2 * i];
      let end = offsets[2 * i + 1];
      if (keepFirst && leading === 1 && (i === 0 || start === 0)) leading = 0;
      if (leading > 0) start = Math.min(start + leading, end);
      if (trailing > 0 && end >= trailing) end = Math.max(end - trailing, start);
      offsets[2 * i] = start;
      offsets[2 * i + 1] = end;
    }
    return offsets;
  };
  return encoding.withOffsets(trimmed);
}

function countPoints(text: string): number {
  return Array.from(text).length;
}
