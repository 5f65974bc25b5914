// Normal forms: offsets follow characters that are reordered, ids do not depend on whether offsets are wanted, and characters newer than
// Unicode 9 are left alone. (Random texts against Rust `tokenizers`: tokenizer-styles.test.ts.)

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AlignedText } from "../../src/text/aligned-text.ts";
import { normalForm, type NormalForm } from "../../src/text/normal-forms.ts";

const forms: NormalForm[] = ["NFC", "NFD", "NFKC", "NFKD"];

function spans(text: string, form: NormalForm): [string, number, number][] {
  const aligned = normalForm(AlignedText.of(text, true), form);
  return Array.from(aligned.text, (character) => {
    const at = aligned.text.indexOf(character);
    return [character, aligned.starts?.[at] ?? -1, aligned.ends?.[at] ?? -1];
  });
}

test("a mark that changed places", () => {
  // Rust `tokenizers` gives the mark the span (2, 3)
  expect(spans("a\u0315\u0300x", "NFC")).toEqual([
    ["à", 0, 1],
    ["\u0315", 2, 3],
    ["x", 3, 4],
  ]);
});

test.each([
  ["a composed letter of Unicode 16", "\u{105d2}\u{307}"],
  ["a mark of Unicode 16 between two that would change places", "a\u{315}\u{10d69}\u{300}"],
  ["a square of Unicode 12.1", "\u{32ff}"],
  ["a modifier letter of Unicode 14", "\u{10781}"],
])("%s stays", (_, text) => {
  for (const form of forms) expect(normalForm(AlignedText.of(text, false), form).text).toBe(text);
});

describe.each(forms)("%s", (form) => {
  const character = fc.oneof(
    fc.integer({ min: 0x20, max: 0x2ff }),
    fc.integer({ min: 0x300, max: 0x36f }),
    fc.integer({ min: 0xa0, max: 0xd7ff }),
    fc.constantFrom(0x1100, 0x1161, 0x11a8, 0xac00, 0x3099, 0xfb01, 0x1d400, 0x105d2, 0x32ff),
  );
  const texts = fc
    .array(character, { maxLength: 12 })
    .map((points) => String.fromCodePoint(...points));

  test("the text does not depend on whether spans are wanted, and there is one span for each unit", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const plain = normalForm(AlignedText.of(text, false), form);
        const aligned = normalForm(AlignedText.of(text, true), form);
        expect(aligned.text).toBe(plain.text);
        expect([aligned.starts?.length, aligned.ends?.length]).toEqual([
          plain.text.length,
          plain.text.length,
        ]);
        aligned.starts?.forEach((start, i) => expect(start).toBeLessThan(aligned.ends?.[i] ?? 0));
      }),
      { numRuns: 500 },
    );
  });
});
