// Stop strings against the golden continuations of base-f32, and the other criteria.

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { Stopping, StopStrings, type TokenBytes } from "../../src/generate/stopping.ts";
import { goldenJson } from "../golden-files.ts";

type Generation = {
  cases: {
    id: string;
    input_ids: number[][];
    kwargs: { stop_strings?: string[]; max_new_tokens: number; num_beams?: number };
    sequences: number[][];
  }[];
};

/** The bytes of the tiny tokenizer's pieces: byte tokens, and ▁ for a space. */
const pieces = goldenJson<{ model: { vocab: Record<string, number> } }>(
  "tokenizers/tiny/tokenizer.json",
);
const table = new Map<number, Uint8Array>();
for (const [piece, id] of Object.entries(pieces.model.vocab)) {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
  const text = new TextEncoder().encode(piece.replaceAll("▁", " "));
  table.set(id, byte ? Uint8Array.of(Number.parseInt(byte[1], 16)) : text);
}
const bytesOf: TokenBytes = (id) => table.get(id);

describe("golden continuations", () => {
  const PAD = 0;
  const cases = ["base-f32", "sw8-f32", "v03-f32"].flatMap((model) =>
    goldenJson<Generation>(`generation/${model}.json`)
      .cases.filter(({ kwargs }) => kwargs.stop_strings && (kwargs.num_beams ?? 1) === 1)
      .map((golden) => ({ ...golden, model })),
  );

  test.each(cases)(
    "$model $id stops where Transformers stops",
    ({ input_ids, kwargs, sequences }) => {
      const promptLength = input_ids[0].length;
      const stopping = new Stopping({ eos_token_id: null, ...kwargs }, { promptLength, bytesOf });
      input_ids.forEach((prompt, sequence) => {
        const { check } = stopping.start(sequence, Int32Array.from(prompt));
        const ids = sequences[sequence];
        let length = promptLength;
        let reason: string | undefined;
        while (reason === undefined) reason = check(Int32Array.from(ids.slice(0, ++length)));
        assert.ok(ids.slice(length).every((id) => id === PAD));
        assert.equal(reason === "length", length === promptLength + kwargs.max_new_tokens);
      });
      expect(cases.length).toBeGreaterThan(10);
    },
  );
});

const letters = ["a", "b", "ab", "bab", "é"];
const letterBytes: TokenBytes = (id) => new TextEncoder().encode(letters[id]);
const byteItself: TokenBytes = (id) => Uint8Array.of(id);

function checkOnce(stopping: Stopping, ...ids: number[]): string | undefined {
  return stopping.start(0, new Int32Array()).check(Int32Array.from(ids));
}

describe("stop strings", () => {
  test("end anywhere inside the last token, begin anywhere, and reach into the prompt", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(4), { minLength: 1, maxLength: 30 }),
        fc.nat(30),
        fc.array(fc.constantFrom("a", "ba", "abb", "bé", "éé", "abab"), { minLength: 1 }),
        (ids, prompt, strings) => {
          const cut = Math.min(prompt, ids.length - 1);
          const matcher = new StopStrings(strings, letterBytes).matcher(
            Int32Array.from(ids.slice(0, cut)),
          );
          const text = (count: number): string =>
            ids
              .slice(0, count)
              .map((id) => letters[id])
              .join("");
          for (let count = cut + 1; count <= ids.length; count++) {
            const before = text(count - 1).length;
            const expected = strings.some((string) => {
              const at = text(count).indexOf(string, Math.max(0, before - string.length + 1));
              return at >= 0;
            });
            expect(matcher.push(ids[count - 1])).toBe(expected);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("an id without bytes ends every match", () => {
    const { push } = new StopStrings("ab", (id) =>
      id === 9 ? undefined : letterBytes(id),
    ).matcher(new Int32Array());
    expect([0, 9, 1, 0, 1].map(push)).toEqual([false, false, false, false, true]);
  });

  test("a stop string inside the bytes of a character's tokens", () => {
    const { push } = new StopStrings("é", byteItself).matcher(Int32Array.of(65));
    expect([0xc3, 0xa9, 0xc3].map(push)).toEqual([false, true, false]);
  });

  test("none, or an empty one, is an InputError", () => {
    for (const wrong of ["", [], ["a", ""]]) {
      expect(() => new StopStrings(wrong, letterBytes)).toThrow(InputError);
    }
    expect(
      () => new Stopping({ eos_token_id: null, stop_strings: "a" }, { promptLength: 1 }),
    ).toThrow("pass the model's tokenizer");
  });
});

describe("length, end of sequence, time", () => {
  test("max_new_tokens counts after the prompt, max_length with it", () => {
    const fresh = new Stopping(
      { eos_token_id: null, max_new_tokens: 2, max_length: 20 },
      { promptLength: 3 },
    );
    expect(fresh.maxLength).toBe(5);
    expect(checkOnce(fresh, 1, 2, 3, 4)).toBeUndefined();
    expect(checkOnce(fresh, 1, 2, 3, 4, 5)).toBe("length");
    expect(
      new Stopping({ eos_token_id: null, max_length: 20 }, { promptLength: 3 }).maxLength,
    ).toBe(20);
    expect(new Stopping({ eos_token_id: null }, { promptLength: 3 }).maxLength).toBe(Infinity);
    for (const wrong of [{ max_new_tokens: 0 }, { max_new_tokens: 1.5 }, { max_length: 3 }]) {
      expect(() => new Stopping({ eos_token_id: null, ...wrong }, { promptLength: 3 })).toThrow(
        InputError,
      );
    }
  });

  test("one end-of-sequence token, or a list; it is named before the length", () => {
    const one = new Stopping({ eos_token_id: 2, max_length: 2 }, { promptLength: 1 });
    expect([checkOnce(one, 1, 2), checkOnce(one, 2, 1)]).toEqual(["eos", "length"]);
    const list = new Stopping({ eos_token_id: [7, 2] }, { promptLength: 1 });
    expect([checkOnce(list, 1, 7), checkOnce(list, 1, 3)]).toEqual(["eos", undefined]);
  });

  test("max_time, in seconds from the start", () => {
    let now = 500;
    const stopping = new Stopping(
      { eos_token_id: null, max_time: 1.5 },
      { promptLength: 1, now: () => now },
    );
    expect(checkOnce(stopping, 1, 2)).toBeUndefined();
    now = 2001;
    expect(checkOnce(stopping, 1, 2)).toBe("time");
    expect(() => new Stopping({ eos_token_id: null, max_time: -1 }, { promptLength: 1 })).toThrow(
      InputError,
    );
  });

  test("a criterion of the caller sees the ids and the sequence", () => {
    const seen: unknown[] = [];
    const criterion = (ids: Int32Array, sequence: number): boolean => {
      seen.push([...ids, sequence]);
      return ids.length > 2;
    };
    const stopping = new Stopping(
      { eos_token_id: null },
      { promptLength: 1, stopping_criteria: [criterion] },
    );
    const { check: next } = stopping.start(4, Int32Array.of(1));
    expect([next(Int32Array.of(1, 5)), next(Int32Array.of(1, 5, 6))]).toEqual([
      undefined,
      "criteria",
    ]);
    expect(seen).toEqual([
      [1, 5, 4],
      [1, 5, 6, 4],
    ]);
  });
});
