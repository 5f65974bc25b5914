// `trim_offsets` of the post-processor ByteLevel: the white space at both ends of a token does not count as its place in the text.
// Only offsets change, as in Rust `tokenizers`. Knows nothing of special tokens around a text.

import type { Encoding } from "./encoding.ts";

export type Trim = {
  /** One space in front of a text's first token stays: the pre-tokenizer may have put it there. */
  readonly keepFirst: boolean;
  /** Whether offsets are trimmed before special tokens are put around the text. */
  readonly before: boolean;
};

// Ġ is a space in GPT-2's alphabet. All of White_Space are characters of one UTF-16 unit.
const SPACE = /[\p{White_Space}\u{120}]/u;

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
      let leading = spaces(token, 0, 1);
      const trailing = spaces(token, token.length - 1, -1);
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

/** How many spaces stand in a row from unit `from` on, in steps of 1 or -1. */
function spaces(text: string, from: number, step: 1 | -1): number {
  let at = from;
  while (SPACE.test(text.charAt(at))) at += step;
  return Math.abs(at - from);
}
