// Normalizers of tokenizer.json: text → text, spans kept where asked for. A kind that is not known here is refused by
// name: a tokenizer that skipped one would give other tokens in silence. Knows nothing of tokens.

import { CheckpointError } from "../errors.ts";
import { AlignedText } from "./aligned-text.ts";
import { Fields } from "./json-fields.ts";
import { readPattern } from "./pattern.ts";

export type Normalizer = (text: AlignedText) => AlignedText;

/** The normalizer a file describes; none when it says null. @throws CheckpointError */
export function readNormalizer(value: unknown, where: string): Normalizer | undefined {
  if (value === null || value === undefined) return undefined;
  const fields = new Fields(value, where);
  const type = fields.string("type");
  switch (type) {
    case "Sequence": {
      const steps = fields
        .array("normalizers")
        .map((step, i) => readNormalizer(step, `${where}[${i}]`));
      return (text) => steps.reduce((t, step) => step?.(t) ?? t, text);
    }
    case "Prepend": {
      const prefix = fields.string("prepend");
      return (text) => text.prepend(prefix);
    }
    case "Replace": {
      const content = fields.string("content");
      const pattern = fields.object("pattern");
      if (pattern.has("String")) {
        const literal = pattern.string("String");
        return (text) => (literal === "" ? text : text.replace(literal, content));
      }
      const expression = readPattern(fields);
      return (text) => text.replaceSpans(expression.find(text.text), content);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) =>
        text.starts === undefined
          ? new AlignedText(text.text.normalize(type), text.first)
          : text.mapPieces(COMPOSED, (piece) => piece.normalize(type));
    case "Lowercase":
      return (text) => text.mapPieces(CHARACTER, (piece) => piece.toLowerCase());
    case "StripAccents":
      return (text) => text.mapPieces(/\p{M}/gu, () => "");
    case "Strip": {
      const left = fields.boolean("strip_left", true);
      const right = fields.boolean("strip_right", true);
      return (text) => strip(text, left, right);
    }
    default:
      throw new CheckpointError(
        `${where}: normalizer "${type}" is not supported; known are ${KINDS.join(", ")}`,
      );
  }
}

const KINDS = ["Sequence", "Prepend", "Replace", "NFC", "NFD", "NFKC", "NFKD", "Lowercase"].concat(
  "StripAccents",
  "Strip",
);

const CHARACTER = /[\s\S]/gu;
// A character with all that may compose with it: marks, and the letters of Hangul in all their forms. Normalising such
// pieces one by one gives the normal form of the whole.
const COMPOSED =
  /[\s\S][\p{M}\u{1100}-\u{11ff}\u{3131}-\u{318e}\u{d7b0}-\u{d7ff}\u{ff9e}-\u{ffdc}]*/gu;

function strip(text: AlignedText, left: boolean, right: boolean): AlignedText {
  const whole = text.text;
  const from = left ? (/^\p{White_Space}*/u.exec(whole)?.[0].length ?? 0) : 0;
  let to = whole.length;
  if (right) while (to > from && /\p{White_Space}/u.test(whole.charAt(to - 1))) to--;
  return text.slice(from, to);
}
