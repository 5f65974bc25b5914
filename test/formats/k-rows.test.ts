// q4k and q6k: the numbers of GGUF's Q4_K and Q6_K, in groups of 8 rows.

import { describe, expect, test } from "vitest";
import { ggufFormats } from "../../src/formats/gguf-types.ts";
import { q4k, regroupQ4K } from "../../src/formats/q4k.ts";
import { q6k, regroupQ6K } from "../../src/formats/q6k.ts";
import { seeded } from "../random.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath } from "../golden-files.ts";

const golden = readSafetensors(goldenPath("quant/gguf.safetensors"));

describe.each([
  { format: q4k, gguf: "Q4_K", regroup: regroupQ4K },
  { format: q6k, gguf: "Q6_K", regroup: regroupQ6K },
])("$format.name", ({ format, gguf, regroup }) => {
  test("the reference's blocks mean the same numbers", () => {
    const blocks = golden.get(`${gguf}.bytes`)?.data as Uint8Array;
    const expected = golden.get(`${gguf}.dequantized`)?.data as Float32Array;
    const columns = 256;
    const rows = expected.length / columns;
    const parts = format.parts(rows, columns).map((n) => new Uint8Array(n));
    regroup(blocks, parts[0], { rows, columns });
    const out = new Float32Array(expected.length);
    format.unpack(parts, { rows, columns }, 0, rows, out);
    expect(out).toEqual(expected);
  });

  test("any bits at any address; rows that fill up the last group are zeros", () => {
    const reference = ggufFormats.get(gguf);
    if (reference === undefined) throw new Error(`no format ${gguf}`);
    const random = seeded(7);
    for (const rows of [1, 7, 8, 19]) {
      const shape = { rows, columns: 768 };
      const blocks = Uint8Array.from({ length: reference.parts(rows, 768)[0] + 1 }, () =>
        random.below(256),
      ).subarray(1);
      const grouped = new Uint8Array(format.parts(rows, 768)[0] + 1).fill(255).subarray(1);
      regroup(blocks, grouped, shape);
      const [expected, out] = [new Float32Array(rows * 768), new Float32Array(rows * 768)];
      reference.unpack([blocks], shape, 0, rows, expected);
      format.unpack([grouped], shape, 0, rows, out);
      expect(out).toEqual(expected);
      const padded = Math.ceil(rows / 8) * 8;
      const rest = new Float32Array((padded - rows) * 768).fill(1);
      format.unpack([grouped], { rows: padded, columns: 768 }, rows, padded, rest);
      expect(rest.every((value) => value === 0)).toBe(true);
    }
  });

  test("a scale that is not finite is seen; rows of part of a block are refused", () => {
    const [bytes] = format.parts(8, 512).map((n) => new Uint8Array(n));
    expect(format.isFinite?.([bytes])).toBe(true);
    bytes[bytes.length / 2 + 3] = 0x7c; // the second row's d, in the second 256 k
    expect(format.isFinite?.([bytes])).toBe(false);
    expect(() => format.parts(8, 320)).toThrow(`${format.name} holds rows of whole blocks of 256`);
  });
});
