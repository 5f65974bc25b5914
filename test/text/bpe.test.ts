// BPE against the plainest program for it (look at all pairs, merge the best, again), on random vocabularies and texts:
// cuts, remembered chunks and the heap change nothing. And its cost on long words.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bpe, type BpeModel } from "../../src/text/bpe.ts";
import { TokenBuffer } from "../../src/text/token-buffer.ts";

const BYTES = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);

type Setup = { letters: string[]; merges: [number, number][]; bytes: boolean; fuseUnk: boolean };

/** A vocabulary of letters, the unknown token, perhaps bytes, and what random merges of earlier tokens make. */
function modelOf({ letters, merges, bytes, fuseUnk }: Setup): BpeModel {
  const names = ["<unk>", ...(bytes ? BYTES : []), ...letters];
  const vocab = new Map(names.map((name, id) => [name, id]));
  const made: string[] = [...letters];
  const table: number[] = [];
  for (const [a, b] of merges) {
    const left = made[a % made.length];
    const right = made[b % made.length];
    if (!vocab.has(left + right)) {
      vocab.set(left + right, vocab.size);
      made.push(left + right);
    }
    table.push(...[left, right, left + right].map((token) => vocab.get(token) ?? -1));
  }
  const options = { byteFallback: bytes, fuseUnk, ignoreMerges: false, unk: 0 };
  return { vocab, merges: Int32Array.from(table), ...options };
}

function plainly(text: string, { vocab, merges, byteFallback, fuseUnk }: BpeModel): number[] {
  const ranks = new Map<string, [rank: number, id: number]>();
  for (let i = 0; i < merges.length; i += 3) {
    ranks.set(`${merges[i]} ${merges[i + 1]}`, [i, merges[i + 2]]);
  }
  const ids: number[] = [];
  let unknown = false;
  for (const character of text) {
    const id = vocab.get(character);
    const known = id !== undefined || byteFallback;
    if (id !== undefined) ids.push(id);
    else if (byteFallback) {
      for (const byte of new TextEncoder().encode(character))
        ids.push(vocab.get(BYTES[byte]) ?? -1);
    } else if (!(unknown && fuseUnk)) ids.push(0);
    unknown = !known;
  }
  for (;;) {
    let best: [rank: number, at: number, id: number] | undefined;
    for (let i = 0; i + 1 < ids.length; i++) {
      const merge = ranks.get(`${ids[i]} ${ids[i + 1]}`);
      if (merge !== undefined && (best === undefined || merge[0] < best[0])) {
        best = [merge[0], i, merge[1]];
      }
    }
    if (best === undefined) return ids;
    ids.splice(best[1], 2, best[2]);
  }
}

function encode(bpe: Bpe, text: string): { ids: number[]; spans: [number, number][] } {
  const out = new TokenBuffer(true);
  bpe.encode(text, out);
  const ids = [...out.ids.subarray(0, out.length)];
  return { ids, spans: ids.map((_, i) => [out.starts?.[i] ?? -1, out.ends?.[i] ?? -1]) };
}

const letters = ["a", "b", "c", "▁", "한", "é", "😀"];
const setups = fc.record({
  letters: fc.constant(letters),
  merges: fc.array(fc.tuple(fc.nat(60), fc.nat(60)), { maxLength: 25 }),
  bytes: fc.boolean(),
  fuseUnk: fc.boolean(),
});
const texts = fc.array(fc.constantFrom(...letters, "x", "中", "😁", "\u0000"), { maxLength: 70 });

test("the plainest program gives the same tokens", () => {
  fc.assert(
    fc.property(setups, fc.array(texts, { minLength: 1, maxLength: 4 }), (setup, list) => {
      const model = modelOf(setup);
      const bpe = new Bpe(model);
      // twice: the second time from remembered chunks
      for (const text of [...list, ...list].map((parts) => parts.join(""))) {
        const { ids, spans } = encode(bpe, text);
        expect(ids).toEqual(plainly(text, model));
        const names = new Map([...model.vocab].map(([name, id]) => [id, name]));
        const whole = ids.flatMap((id, i) => {
          const opaque = id === 0 || (setup.bytes && id <= 256);
          return opaque ? [] : [[names.get(id), text.slice(...spans[i])]];
        });
        expect(whole.map(([, covered]) => covered)).toEqual(whole.map(([name]) => name));
      }
    }),
    { numRuns: 300 },
  );
});

describe("a word of 50,000 characters takes well under a second", () => {
  const merges: [number, number][] = Array.from({ length: 15 }, (_, i) => [i, i]);
  const doubling = modelOf({
    letters: ["a"],
    merges: [[0, 0], ...merges],
    bytes: true,
    fuseUnk: true,
  });
  const words: [string, BpeModel, string][] = [
    ["one letter, which merges", doubling, "a".repeat(50_000)],
    ["bytes, which do not", doubling, "中".repeat(50_000)],
    [
      "two letters",
      modelOf({
        letters: ["a", "b"],
        merges: [
          [0, 1],
          [1, 0],
          [2, 2],
          [2, 3],
          [3, 3],
          [4, 4],
        ],
        bytes: true,
        fuseUnk: true,
      }),
      "abba".repeat(12_500),
    ],
  ];
  test.each(words)("%s", (_, model, text) => {
    const bpe = new Bpe(model);
    const start = performance.now();
    const { ids } = encode(bpe, text);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.length).toBeLessThanOrEqual(150_000);
  });
});

test("many different chunks: the memory of chunks is emptied and goes on", () => {
  const model = modelOf({
    letters,
    merges: [
      [0, 1],
      [1, 2],
      [7, 2],
    ],
    bytes: true,
    fuseUnk: true,
  });
  const bpe = new Bpe(model);
  const chunks = Array.from({ length: 70_000 }, (_, i) =>
    Array.from({ length: 11 }, (__, bit) => letters[(i >> (bit * 2)) & 3]).join(""),
  );
  const once = chunks.map((text) => encode(bpe, text).ids.length);
  const again = chunks.map((text) => encode(bpe, text).ids.length);
  expect(again).toEqual(once);
  expect(encode(bpe, "abc").ids).toEqual(plainly("abc", model));
});
