import { describe, expect, test } from "vitest";
import { readGgufHeader, type GgufHeader } from "../../src/checkpoint/gguf-header.ts";
import { CheckpointError } from "../../src/errors.ts";
import { source } from "./craft.ts";
import {
  bool,
  craftGguf,
  type CraftedGguf,
  type CraftedGgufTensor,
  f32,
  i32,
  list,
  tensor,
  text,
  type Typed,
  u32,
  u8,
} from "./craft-gguf.ts";

const read = (file: CraftedGguf | Uint8Array): Promise<GgufHeader> =>
  readGgufHeader("x.gguf", source(file instanceof Uint8Array ? file : craftGguf(file)));

/** What a wrong file is refused with. */
async function refusal(file: CraftedGguf | Uint8Array): Promise<string> {
  const error: unknown = await read(file).then(
    () => new Error("the file was accepted"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  const { message } = error as CheckpointError;
  expect(message).toMatch(/^x\.gguf: .*; .*/s);
  expect(message.length).toBeLessThan(700);
  return message;
}

describe("what a header says", () => {
  test("every type of value, lists and lists of lists", async () => {
    const metadata: [string, Typed][] = [
      ["u8", u8(255)],
      ["i8", { type: 1, value: -128 }],
      ["u16", { type: 2, value: 65535 }],
      ["i16", { type: 3, value: -32768 }],
      ["u32", u32(2 ** 32 - 1)],
      ["i32", i32(-(2 ** 31))],
      ["f32", f32(0.1)],
      ["true", bool(true)],
      ["text", text("zwölf ▁")],
      ["u64", { type: 10, value: 2n ** 64n - 1n }],
      ["i64", { type: 11, value: -7 }],
      ["f64", { type: 12, value: 0.1 }],
      ["texts", list(8, ["a", "", "ü"])],
      ["floats", list(6, [1, 0.5])],
      ["bools", list(7, [1, 0])],
      ["i64s", list(11, [-1n, 2n ** 62n])],
      ["nested", list(9, [list(5, [1, -2]), list(8, ["b"])])],
      ["__proto__", u32(1)],
    ];
    const header = await read({ metadata });
    expect(Object.fromEntries([...header.metadata].filter(([key]) => key !== "__proto__"))).toEqual(
      {
        ...{ u8: 255, i8: -128, u16: 65535, i16: -32768, u32: 2 ** 32 - 1, i32: -(2 ** 31) },
        ...{
          f32: Math.fround(0.1),
          true: true,
          text: "zwölf ▁",
          u64: 2n ** 64n - 1n,
          i64: -7,
          f64: 0.1,
        },
        ...{ texts: ["a", "", "ü"], floats: Float32Array.of(1, 0.5), bools: Uint8Array.of(1, 0) },
        i64s: BigInt64Array.of(-1n, 2n ** 62n),
        nested: [Int32Array.of(1, -2), ["b"]],
      },
    );
    expect(header.metadata.get("__proto__")).toBe(1);
  });

  test.each([2, 3])("version %i: tensors with their shapes, types and places", async (version) => {
    const file = craftGguf({
      version,
      alignment: 64,
      metadata: [["general.alignment", u32(64)]],
      tensors: [
        tensor("a", 24, 3, 2),
        { name: "b", dimensions: [64, 5], type: 8, data: new Uint8Array(5 * 2 * 34) },
        tensor("none", 0, 0),
        { name: "c", dimensions: [256], type: 12, data: new Uint8Array(144) },
      ],
    });
    const { tensors } = await read(file);
    const rows = [...tensors.values()].map(({ format, ...rest }) => ({
      ...rest,
      format: format.name,
    }));
    const begin = rows[0].offset;
    expect(begin % 64).toBe(0);
    expect(rows).toEqual([
      { name: "a", type: "F32", shape: [2, 3], bytes: 24, offset: begin, format: "f32" },
      { name: "b", type: "Q8_0", shape: [5, 64], bytes: 340, offset: begin + 64, format: "Q8_0" },
      { name: "none", type: "F32", shape: [0], bytes: 0, offset: begin + 448, format: "f32" },
      { name: "c", type: "Q4_K", shape: [256], bytes: 144, offset: begin + 448, format: "Q4_K" },
    ]);
  });

  test("values longer than the window, and values across its end", async () => {
    const long = "long ".repeat(500_000);
    const floats = Array.from({ length: 300_000 }, (_, i) => i);
    const pieces = Array.from({ length: 40_000 }, (_, i) => `piece ${i} ${"x".repeat(i % 50)}`);
    const file = craftGguf({
      metadata: [
        ["long", text(long)],
        ["pieces", list(8, pieces)],
        ["floats", list(6, floats)],
        ["last", u32(7)],
      ],
    });
    const from = source(file);
    const { metadata } = await readGgufHeader("x.gguf", from);
    expect(metadata.get("long")).toBe(long);
    expect(metadata.get("pieces")).toEqual(pieces);
    expect(metadata.get("floats")).toEqual(Float32Array.from(floats));
    expect(metadata.get("last")).toBe(7);
    expect(from.largestRead).toBe(long.length);
  });
});

describe("malformed files", () => {
  const key = (value: Typed): CraftedGguf => ({ metadata: [["k", value]] });
  const one = (change: Partial<CraftedGgufTensor>): CraftedGguf => ({
    tensors: [{ ...tensor("t", 64, 16), ...change }],
  });
  const nested = (depth: number): Typed => list(9, depth === 1 ? [] : [nested(depth - 1)]);
  // 24: length of the key, 41: length of the tensor's name, 50: its number of dimensions
  const wholeFile = craftGguf({ metadata: [["k", u32(1)]], tensors: [tensor("t", 64, 16)] });
  const patched = (at: number, bytes: 4 | 8, value: bigint): Uint8Array => {
    const file = wholeFile.slice();
    const view = new DataView(file.buffer);
    if (bytes === 4) view.setUint32(at, Number(value), true);
    else view.setBigUint64(at, value, true);
    return file;
  };

  const cases: [name: string, file: CraftedGguf | Uint8Array, message: RegExp][] = [
    ["empty", new Uint8Array(0), /0 bytes, a GGUF file has at least 24/],
    ["23 bytes", wholeFile.slice(0, 23), /23 bytes/],
    [
      "36 bytes of a header that promises more",
      patched(8, 8, 5n).slice(0, 36),
      /number of tensors is 5/,
    ],
    ["another magic", { magic: "GGJT" }, /begins with "GGJT"/],
    ["version 1", { version: 1 }, /version 1, whose counts have 32 bits/],
    ["version 4", { version: 4 }, /its version is 4;/],
    ["big endian", { version: 3 << 24 }, /50331648, which is 3 in big endian/],
    [
      "2^63 tensors",
      { tensorCount: 2n ** 63n },
      /number of tensors is 9223372036854775808, but the \d+ bytes/,
    ],
    ["2^64 - 1 keys", { keyCount: 2n ** 64n - 1n }, /metadata keys is 18446744073709551615/],
    [
      "a key of 2^63 bytes",
      patched(24, 8, 2n ** 63n),
      /length of metadata key 0 is 9223372036854775808/,
    ],
    ["a key of 2^64 - 1 bytes", patched(24, 8, 2n ** 64n - 1n), /length of metadata key 0/],
    [
      "a key longer than the file",
      patched(24, 8, 200n),
      /length of metadata key 0 is 200, but the \d+ bytes left/,
    ],
    ["a name of 2^63 bytes", patched(41, 8, 2n ** 63n), /length of the name of tensor 0/],
    [
      "a key that comes twice",
      {
        metadata: [
          ["k", u32(1)],
          ["k", u32(2)],
        ],
      },
      /key "k" comes twice/,
    ],
    [
      "a key that is not UTF-8",
      { metadata: [[Uint8Array.of(0xff), u32(1)]] },
      /key 0 is not UTF-8/,
    ],
    ["a type that there is not", key({ type: 13, value: 0 }), /"k" has type number 13/],
    ["a list of such a type", key(list(77, [])), /type number 77/],
    ["a boolean of 2", key({ type: 7, value: 2 }), /boolean of value 2/],
    [
      "a list of 2^61 numbers",
      key({ ...list(10, []), count: 2n ** 61n } as Typed),
      /length of "k" is 2305843009213693952/,
    ],
    [
      "a list of 2^64 - 1 texts",
      key({ ...list(8, []), count: 2n ** 64n - 1n } as Typed),
      /length of "k"/,
    ],
    ["lists in lists in lists", key(nested(5)), /nested deeper than 4/],
    ["a key without a name", { metadata: [["", u32(1)]] }, /metadata key 0 has no name/],
    [
      "an alignment of a signed type, which ggml does not take",
      { metadata: [["general.alignment", i32(32)]] },
      /general.alignment is 32 of type number 5, expected 4 \(UINT32\)/,
    ],
    ["alignment 0", { metadata: [["general.alignment", u32(0)]] }, /general.alignment is 0/],
    [
      "alignment 48",
      { metadata: [["general.alignment", u32(48)]] },
      /general.alignment is 48, expected a power of two/,
    ],
    [
      "alignment as text",
      { metadata: [["general.alignment", text("32")]] },
      /general.alignment is 32/,
    ],
    [
      "alignment of half a byte",
      { metadata: [["general.alignment", f32(0.5)]] },
      /general.alignment is 0.5 of type number 6/,
    ],
    [
      "a tensor that comes twice",
      { tensors: [tensor("t", 64, 16), tensor("t", 64, 16)] },
      /"t" comes twice/,
    ],
    ["5 dimensions", one({ dimensions: [1, 1, 1, 1, 16] }), /5 dimensions, at most 4/],
    ["2^31 dimensions of a tensor", patched(50, 4, 2n ** 31n), /2147483648 dimensions/],
    ["dimensions whose product is 2^64", one({ dimensions: [2 ** 32, 2 ** 32] }), /overflow/],
    ["a dimension of 2^63", one({ dimensions: [2n ** 63n] }), /overflow/],
    ["0 times 2^63", one({ dimensions: [0, 2n ** 63n] }), /overflow/],
    [
      "an unknown type",
      one({ type: 99 }),
      /"t" is of type number 99, which is not read; types that are: F32, .*Q4_K/,
    ],
    ["a removed type", one({ type: 4 }), /type number 4,/],
    ["a type that is not read", one({ type: 16 }), /is of type IQ2_XXS, which is not read/],
    [
      "rows of half a block",
      one({ type: 8, dimensions: [16, 2] }),
      /Q8_0 has blocks of 32 numbers, and rows of 16/,
    ],
    ["rows of a block and a half", one({ type: 14, dimensions: [384] }), /Q6_K has blocks of 256/],
    [
      "an offset after the file",
      one({ offset: 2n ** 40n }),
      /64 bytes from byte \d+ on\) ends after the file/,
    ],
    [
      "an offset of 2^64 - 32",
      one({ offset: 2n ** 64n - 32n }),
      /from byte 18446744073709551\d+ on\) ends after/,
    ],
    [
      "an offset between two units",
      { tensors: [tensor("a", 64, 16), { ...tensor("t", 64, 4), offset: 24n }] },
      /begins at byte 24 of the data, expected a multiple of 32/,
    ],
    [
      "a tensor in another",
      { tensors: [tensor("a", 128, 32), { ...tensor("t", 64, 16), offset: 32n }] },
      /"t" begins at byte \d+, within "a"/,
    ],
    [
      "two at one place",
      { tensors: [tensor("a", 64, 16), { ...tensor("t", 64, 16), offset: 0n }] },
      /within "a"/,
    ],
    ["more data than the file has", one({ dimensions: [17] }), /ends after the file/],
  ];

  test.each(cases)("%s", async (_, file, message) => {
    expect(await refusal(file)).toMatch(message);
  });

  test("cut short anywhere", async () => {
    const end = wholeFile.length;
    expect((await read(wholeFile)).tensors.size).toBe(1);
    for (let length = 0; length < end; length++) await refusal(wholeFile.slice(0, length));
  });

  test("counts that a large file could hold are bounded as well, and nothing is read for them", async () => {
    const huge = (head: Uint8Array): ReturnType<typeof source> => ({
      size: 2 ** 40,
      largestRead: 0,
      async readInto(target, offset) {
        this.largestRead = Math.max(this.largestRead, target.length);
        target.set(head.subarray(offset, offset + target.length));
      },
    });
    for (const [head, message] of [
      [patched(8, 8, 10n ** 6n), /1000000 tensors and 1 metadata keys, at most/],
      [patched(16, 8, 10n ** 9n), /1 tensors and 1000000000 metadata keys/],
      [patched(24, 8, 10n ** 9n), /metadata key 0 of 1000000000\), at most 100000000 are read/],
    ] as const) {
      const from = huge(head);
      await expect(readGgufHeader("x.gguf", from)).rejects.toThrow(message);
      expect(from.largestRead).toBeLessThanOrEqual(2 ** 20);
    }
  });
});
