// Normalizers of tokenizer.json: text → text, spans kept where asked for. A kind that is not known here is refused by
// name: a tokenizer that skipped one would give other tokens in silence. Knows nothing of tokens.

import { CheckpointError } from "../errors.ts";
import type { AlignedText } from "./aligned-text.ts";
import { toByteLevel } from "./byte-level.ts";
import { Fields } from "./json-fields.ts";
import { normalForm } from "./normal-forms.ts";
import { readPattern } from "./pattern.ts";
import { pinned, rangeSource } from "./regex/char-set.ts";
import { KEPT_MARKS } from "./unicode-9.ts";

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
      if (pattern.has("String") && pattern.string("String") !== "") {
        const literal = pattern.string("String");
        return (text) => text.replace(literal, content);
      }
      const expression = readPattern(fields);
      return (text) => text.replaceSpans(expression.find(text.text), content);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => normalForm(text, type);
    case "Lowercase":
      return (text) => text.mapCharacters(CHARACTER, (piece) => piece.toLowerCase());
    case "StripAccents": {
      const accents = marks();
      return (text) => text.mapCharacters(accents, () => "");
    }
    case "Strip": {
      const left = fields.boolean("strip_left", true);
      const right = fields.boolean("strip_right", true);
      return (text) => strip(text, left, right);
    }
    case "ByteLevel":
      return toByteLevel;
    default:
      throw new CheckpointError(
        `${where}: normalizer "${type}" is not supported; known are ${KINDS.join(", ")}`,
      );
  }
}

const KINDS = ["Sequence", "Prepend", "Replace", "NFC", "NFD", "NFKC", "NFKD", "Lowercase"].concat(
  "StripAccents",
  "Strip",
  "ByteLevel",
);

const CHARACTER = /[\s\S]/gu;

/** The marks that StripAccents takes away: those of Unicode 9. */
function marks(): RegExp {
  const kept = KEPT_MARKS.map(([from, to]) => rangeSource(from, to)).join("");
  return new RegExp(pinned(`[\\p{M}--[${kept}]]`), "gv");
}

function strip(text: AlignedText, left: boolean, right: boolean): AlignedText {
  const whole = text.text;
  const from = left ? (/^\p{White_Space}*/u.exec(whole)?.[0].length ?? 0) : 0;
  let to = whole.length;
  if (right) while (to > from && /\p{White_Space}/u.test(whole.charAt(to - 1))) to--;
  return text.slice(from, to);
}
