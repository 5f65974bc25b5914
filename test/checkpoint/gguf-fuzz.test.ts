// GGUF files with random damage: whatever is made of one is a CheckpointError or a header, soon, and no read goes beyond it.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ggufConfig } from "../../src/checkpoint/gguf-config.ts";
import { readGgufHeader } from "../../src/checkpoint/gguf-header.ts";
import { ggufWeights } from "../../src/checkpoint/gguf-weights.ts";
import { CheckpointError } from "../../src/errors.ts";
import { readGgufTokenizer } from "../../src/text/gguf-tokenizer.ts";
import { goldenPath } from "../golden-files.ts";
import { source } from "./craft.ts";

const whole = readFileSync(goldenPath("models/base-gguf/model-q8_0.gguf"));
/** Bytes before the first tensor. */
const HEADER = 15_584;

/** All that is made of a file but its numbers: what failed, or undefined. */
async function outcome(file: Uint8Array): Promise<unknown> {
  const from = source(file);
  let failure: unknown;
  try {
    const header = await readGgufHeader("x.gguf", from);
    ggufConfig(header);
    ggufWeights(header, from);
    readGgufTokenizer(header.metadata, "x.gguf", { legacy: false });
  } catch (error) {
    failure = error;
  }
  expect(from.largestRead).toBeLessThanOrEqual(file.length);
  return failure;
}

/** Every damaged file is read, or refused by a CheckpointError; both happen. */
async function survives<T>(
  damage: fc.Arbitrary<T>,
  make: (damage: T) => Uint8Array,
  numRuns: number,
): Promise<void> {
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(damage, async (value) => {
      const error = await outcome(make(value));
      if (error === undefined) return;
      expect(error).toBeInstanceOf(CheckpointError);
      refused++;
    }),
    { numRuns },
  );
  expect(refused).toBeGreaterThan(numRuns / 20);
}

test("the file itself is read", async () => {
  expect(await outcome(whole)).toBeUndefined();
});

test("bytes flipped in the header", async () => {
  const at = fc.integer({ min: 0, max: HEADER - 1 });
  const flip = fc.tuple(at, fc.integer({ min: 1, max: 255 }));
  await survives(
    fc.array(flip, { minLength: 1, maxLength: 8 }),
    (flips) => {
      const file = new Uint8Array(whole);
      for (const [place, bits] of flips) file[place] ^= bits;
      return file;
    },
    400,
  );
  expect.hasAssertions();
});

test("words of any size in place of any others", async () => {
  const word = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 0n, max: 300_000n }),
  );
  await survives(
    fc.tuple(fc.integer({ min: 4, max: HEADER - 8 }), word),
    ([at, value]) => {
      const file = new Uint8Array(whole);
      new DataView(file.buffer).setBigUint64(at, value, true);
      return file;
    },
    400,
  );
  expect.hasAssertions();
});

test("cut anywhere, and followed by anything", async () => {
  await survives(
    fc.tuple(fc.integer({ min: 0, max: whole.length }), fc.uint8Array({ maxLength: 64 })),
    ([length, tail]) => Buffer.concat([whole.subarray(0, length), tail]),
    200,
  );
  expect.hasAssertions();
});
