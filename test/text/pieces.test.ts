// Normalizers, pre-tokenizers and decoders one by one against Rust `tokenizers` 0.23.3, whose results are in pieces.json:
// the text, and where each word comes from in code points.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AlignedText } from "../../src/text/aligned-text.ts";
import { readDecoder } from "../../src/text/decoder.ts";
import { readNormalizer } from "../../src/text/normalizer.ts";
import { readPreTokenizer } from "../../src/text/pre-tokenizer.ts";

type Spec = { type: string };
const pieces = JSON.parse(readFileSync(join(import.meta.dirname, "pieces.json"), "utf8")) as {
  normalizers: [Spec, text: string, normalized: string][];
  text: string;
  pre_tokenizers: [Spec, words: [word: string, span: [number, number]][]][];
  decoders: [Spec, tokens: string[], text: string][];
};

const title = (spec: Spec): string => JSON.stringify(spec).slice(0, 100);

test.each(pieces.normalizers.map(([spec, ...rest]) => [title(spec), spec, ...rest] as const))(
  "normalizer %s",
  (_, spec, text, normalized) => {
    const normalize = readNormalizer(spec, "normalizer");
    for (const aligned of [false, true]) {
      const result = normalize?.(AlignedText.of(text, aligned));
      expect(result?.text).toBe(normalized);
      expect(result?.starts?.length).toBe(aligned ? normalized.length : undefined);
    }
  },
);

test.each(pieces.pre_tokenizers.map(([spec, words]) => [title(spec), spec, words] as const))(
  "pre-tokenizer %s",
  (_, spec, words) => {
    const { text } = pieces;
    const cut = readPreTokenizer(spec, "pre_tokenizer");
    const plain = cut?.(AlignedText.of(text, false)).map((word) => word.text);
    expect(plain).toEqual(words.map(([word]) => word));
    const spans = cut?.(AlignedText.of(text, true)).map(({ starts, ends }) => [
      starts?.[0],
      ends?.at(-1),
    ]);
    // the text has no characters beyond 16 bits, so units are code points
    expect(spans).toEqual(words.map(([, span]) => span));
  },
);

test.each(pieces.decoders.map(([spec, ...rest]) => [title(spec), spec, ...rest] as const))(
  "decoder %s",
  (_, spec, tokens, text) => {
    expect(readDecoder(spec, "decoder").decode(tokens)).toBe(text);
  },
);
