// Targets of compressed-tensors as expressions: the same answers as JavaScript's own engine where both know the syntax, the ones
// that published models use, and an end in time where that engine would not come to one.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { targetPattern } from "../../src/checkpoint/quantized/target-pattern.ts";

const LAYER = "model.layers.12.self_attn.q_proj";

describe("as published models have them", () => {
  test.for([
    [".*lm_head", "lm_head", true],
    [".*lm_head", "model.lm_head_2", true],
    [".*\\.(q|k|v)_proj$", LAYER, true],
    [".*\\.(gate|up)_proj$", LAYER, false],
    ["model\\.layers\\.\\d+\\.self_attn\\..*", LAYER, true],
    ["model\\.layers\\.[0-9]{1,2}\\..*", LAYER, true],
    ["model\\.layers\\.[0-9]{3}\\..*", LAYER, false],
    ["layers", LAYER, false],
    ["^(?!.*self_attn).*$", LAYER, false],
    ["^(?!.*mlp).*$", LAYER, true],
    ["", LAYER, true],
  ] as const)("%s on %s", ([source, text, expected]) => {
    expect(targetPattern(source)?.(text)).toBe(expected);
  });
});

test.for([
  "(",
  ")",
  "a)",
  "[",
  "[]",
  "a**",
  "a*+",
  "(?<n>a)",
  "(?i)a",
  "\\1",
  "\\b",
  "a{2,1}",
  "a{999}",
  "x".repeat(501),
])("%s is refused", (source) => expect(targetPattern(source)).toBeUndefined());

const atom = fc.constantFrom("a", "b", ".", "[ab]", "[^a]", "\\d", "\\.", "a|b", "^", "$");
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    atom,
    fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => `${a}${b}`),
    fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => `(${a}|${b})`),
    tie("expression").map((a) => `(?!${a})`),
    fc
      .tuple(tie("expression"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"))
      .map(([a, sign]) => `(?:${a})${sign}`),
  ),
}));

test("the same answers as the engine's own", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", ".", "1"), maxLength: 8 });
  fc.assert(
    fc.property(expression, fc.array(text, { minLength: 1, maxLength: 5 }), (source, texts) => {
      const ours = targetPattern(source);
      const theirs = new RegExp(`^(?:${source})`);
      for (const one of texts) expect(ours?.(one), `${source} on ${one}`).toBe(theirs.test(one));
    }),
    { numRuns: 2000 },
  );
});

test("what would take for ever ends", () => {
  const text = "a".repeat(200);
  for (const source of [
    "(a+)+b",
    "(a|a)*b",
    "((a*)*)*b",
    `${".*".repeat(20)}b`,
    "(.*){50}b",
    "((.{0,50}){50}){50}b",
  ]) {
    expect(targetPattern(source)?.(text)).toBe(false);
  }
  expect(targetPattern(".*")?.("a".repeat(201))).toBe(false);
});
