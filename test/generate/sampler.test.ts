// Choosing a token: known answers of Philox, frequencies of draws, and independence from neighbours.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EngineError, InputError } from "../../src/errors.ts";
import { greedy, multinomial, philox, seedOf, uniform } from "../../src/generate/sampler.ts";
import { exp, kthLargest, lastKept, softmax } from "../../src/ops/softmax.ts";
import { topPProcessor } from "../../src/generate/processors-distribution.ts";

describe("Philox 4x32-10", () => {
  // The known answers that come with Random123.
  test.each([
    {
      counter: [0, 0, 0, 0],
      key: [0, 0],
      answer: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    },
    {
      counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      key: [0xffffffff, 0xffffffff],
      answer: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      answer: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ])("$answer", ({ counter, key, answer }) => {
    const [c0, c1, c2, c3] = counter;
    expect(philox([c0, c1, c2, c3], [key[0], key[1]])).toEqual(answer);
  });

  test("uniform numbers are even, and differ by seed, sequence and step", () => {
    const numbers = Array.from({ length: 4096 }, (_, step) => uniform(7, 3, step));
    const bins = Array.from({ length: 16 }, () => 0);
    for (const u of numbers) bins[Math.floor(u * 16)]++;
    const chi2 = bins.reduce((sum, count) => sum + (count - 256) ** 2 / 256, 0);
    expect(chi2).toBeLessThan(38); // 15 degrees of freedom: exceeded once in a thousand seeds
    expect(
      new Set([uniform(7, 3, 0), uniform(8, 3, 0), uniform(7, 4, 0), uniform(2 ** 40, 3, 0)]).size,
    ).toBe(4);
  });
});

describe("multinomial", () => {
  test("draws as often as the probabilities say", () => {
    const scores = Float32Array.of(1, -Infinity, 2, 0, 0.5);
    const counts = [0, 0, 0, 0, 0];
    for (let step = 0; step < 20_000; step++) counts[multinomial(scores, uniform(1, 0, step))]++;
    expect(counts[1]).toBe(0);
    softmax(scores).forEach((p, id) => expect(counts[id] / 20_000).toBeCloseTo(p, 1.9));
  });

  test("takes the id at which the running sum passes u", () => {
    const scores = Float32Array.of(-Infinity, 0, 0, -Infinity, 0, 0);
    expect(
      [0, 0.2499, 0.25, 0.5, 0.75, 0.9999999999999999].map((u) => multinomial(scores, u)),
    ).toEqual([1, 1, 2, 4, 5, 5]);
  });

  test("needs one finite score", () => {
    const one = new Float32Array(40).fill(-Infinity);
    expect(() => multinomial(one, 0.5)).toThrow("left no token to choose");
    one[17] = -3e38;
    expect([multinomial(one, 0.999), greedy(one)]).toEqual([17, 17]);
  });
});

test("greedy takes the first of equals", () => {
  expect(greedy(Float32Array.of(-1, 3, 0, 3))).toBe(1);
});

test.each([NaN, Infinity])("%s is an EngineError that names the weights", (value) => {
  const scores = Float32Array.of(1, value, 2);
  expect(() => greedy(scores)).toThrow(EngineError);
  expect(() => multinomial(scores, 0.3)).toThrow(
    "the weights or inputs_embeds hold NaN or Infinity",
  );
});

test("seeds: integers, or a fresh one", () => {
  expect(seedOf(0)).toBe(0);
  expect(seedOf(2 ** 53 - 1)).toBe(2 ** 53 - 1);
  for (const wrong of [-1, 1.5, NaN, 2 ** 53]) expect(() => seedOf(wrong)).toThrow(InputError);
  expect(Number.isSafeInteger(seedOf(undefined))).toBe(true);
  expect(seedOf(null)).not.toBe(seedOf(null));
});

describe("exp and selection", () => {
  test("exp is within 2e-15 of the platform's", () => {
    fc.assert(
      fc.property(fc.double({ min: -700, max: 0, noNaN: true }), (x) => {
        expect(Math.abs(exp(x) / Math.exp(x) - 1)).toBeLessThan(2e-15);
      }),
      { numRuns: 3000 },
    );
    expect([exp(-Infinity), exp(-746), exp(0), exp(-0)]).toEqual([0, 0, 1, 1]);
    expect(exp(NaN)).toBeNaN();
  });

  const many = fc
    .record({ seed: fc.nat(), size: fc.constantFrom(1, 7, 300, 2049, 6000), coarse: fc.boolean() })
    .map(({ seed, size, coarse }) =>
      Float32Array.from({ length: size }, (_, i) => {
        const score = (uniform(seed, 0, i) + uniform(seed, 1, i) - 1) * 12;
        return coarse ? Math.round(score) + 0 : score;
      }),
    );

  test("kthLargest is what sorting gives", () => {
    fc.assert(
      fc.property(many, fc.double({ min: 0, max: 1, noNaN: true }), (values, part) => {
        const k = 1 + Math.floor(part * (values.length - 1));
        expect(kthLargest(values, k)).toBe(values.toSorted()[values.length - k]);
      }),
    );
  });

  test("lastKept and top_p are what sorting gives", () => {
    fc.assert(
      fc.property(many, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (values, p) => {
        const weights = softmax(values);
        const order = [...values.keys()].toSorted((a, b) => values[b] - values[a] || b - a);
        let sum = 0;
        const kept = order.filter((id) => {
          const keep = sum < p;
          sum += weights[id];
          return keep;
        });
        expect(lastKept(values, weights, (above) => above < p)).toBe(kept.at(-1));
        // Near the border float32 and float64 may differ by one token.
        const cut = values.slice();
        void topPProcessor(p)(
          { ids: new Int32Array(1), padding: 0, promptLength: 1, step: 0, sequence: 0 },
          cut,
        );
        const left = cut.filter((score) => score > -Infinity).length;
        expect(Math.abs(left - kept.length)).toBeLessThanOrEqual(1 + values.length / 1000);
      }),
    );
  });
});
