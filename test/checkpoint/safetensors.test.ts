// The reader of headers against every malformed file of the list of attacks (A1 to A15), and against arbitrary mutations.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  MAX_TENSORS,
  readSafetensorsHeader,
  type SafetensorsHeader,
} from "../../src/checkpoint/safetensors.ts";
import { CheckpointError } from "../../src/errors.ts";
import { craft, f32Tensor, source } from "./craft.ts";

const read = (file: Uint8Array): Promise<SafetensorsHeader> =>
  readSafetensorsHeader("x.safetensors", source(file));

/** The message with which the reader refuses the file: a CheckpointError that names it. */
async function refusal(file: Uint8Array): Promise<string> {
  const result = await read(file).catch((error: unknown) => error);
  if (!(result instanceof CheckpointError)) throw new Error("not refused", { cause: result });
  if (!result.message.startsWith("x.safetensors: ")) throw new Error("the file is not named");
  if (result.message.length > 600) throw new Error("the message is too long");
  return result.message;
}

const shaped = (...shape: string[]): Uint8Array =>
  craft(`{"a":{"dtype":"F32","shape":[${shape.join(",")}],"data_offsets":[0,4]}}`, 4);

const one = { a: f32Tensor(0, 2, 3) };

describe("files that the reader takes", () => {
  test("names, dtypes, shapes, places and metadata", async () => {
    const { tensors, metadata } = await read(
      craft({ __metadata__: { format: "pt" }, b: f32Tensor(24, 4), a: f32Tensor(0, 2, 3) }, 40),
    );
    expect([...tensors.keys()]).toEqual(["a", "b"]);
    const dataBegin =
      8 +
      JSON.stringify({ __metadata__: { format: "pt" }, b: f32Tensor(24, 4), a: f32Tensor(0, 2, 3) })
        .length;
    expect(tensors.get("b")).toEqual({
      name: "b",
      dtype: "F32",
      shape: [4],
      bytes: 16,
      file: "x.safetensors",
      offset: dataBegin + 24,
    });
    expect(metadata).toEqual(new Map([["format", "pt"]]));
  });

  test("white space after the header, an unknown field of a tensor, metadata null, no tensors", async () => {
    expect((await read(craft(`${JSON.stringify(one)} \n\t  `, 24))).tensors.size).toBe(1);
    const extra = { a: { ...f32Tensor(0, 1), note: { deep: [1, "x", null, true, -1.5e3] } } };
    expect((await read(craft(extra, 4))).tensors.size).toBe(1);
    expect(
      (await read(craft(`{"__metadata__":null,${JSON.stringify(one).slice(1)}`, 24))).tensors.size,
    ).toBe(1);
    expect((await read(craft("{}", 0))).tensors.size).toBe(0);
  });

  test.each([640, 640 + 2 ** 16, 0xfeff])(
    "a header of %d bytes, whose length looks like the beginning of another format",
    async (length) => {
      expect((await read(craft(JSON.stringify(one).padEnd(length), 24))).tensors.size).toBe(1);
    },
  );

  test("A13 tensors without elements, scalars, and several of no size at one place", async () => {
    const header = {
      scalar: { dtype: "F32", shape: [], data_offsets: [0, 4] },
      empty: { dtype: "F32", shape: [0, 1000], data_offsets: [4, 4] },
      empty2: { dtype: "I64", shape: [0], data_offsets: [4, 4] },
      last: { dtype: "U8", shape: [1, 1, 3], data_offsets: [4, 7] },
    };
    const { tensors } = await read(craft(header, 7));
    expect(tensors.get("scalar")).toMatchObject({ shape: [], bytes: 4 });
    expect(tensors.get("empty")).toMatchObject({ shape: [0, 1000], bytes: 0 });
    expect(tensors.size).toBe(4);
  });

  test("A14 names that other maps trip over, and a name of 1 MB", async () => {
    const long = "n".repeat(1_000_000);
    const names = ["__proto__", "constructor", "hasOwnProperty", "", "名前 🙂", 'a"\\\n', long];
    const header = `{${names.map((name, i) => `${JSON.stringify(name)}:${JSON.stringify(f32Tensor(4 * i, 1))}`).join(",")}}`;
    const { tensors } = await read(craft(header, 4 * names.length));
    expect([...tensors.keys()]).toEqual(names);
    expect(tensors.get("constructor")?.bytes).toBe(4);
    expect(tensors.get("toString")).toBeUndefined();
  });

  test("dtypes of 4 and 6 bits when they fill whole bytes", async () => {
    const { tensors } = await read(
      craft(
        {
          a: { dtype: "F4", shape: [2, 3], data_offsets: [0, 3] },
          b: { dtype: "F6_E2M3", shape: [4], data_offsets: [3, 6] },
        },
        6,
      ),
    );
    expect(tensors.get("b")?.bytes).toBe(3);
    expect(
      await refusal(craft({ a: { dtype: "F4", shape: [3], data_offsets: [0, 2] } }, 2)),
    ).toMatch("no whole number of bytes");
  });
});

describe("files that the reader refuses", () => {
  test("A1 header longer than the file", async () => {
    expect(await refusal(craft(one, 24, 1000n))).toMatch(/1000 bytes, but the file has only \d+/);
    expect(await refusal(craft(one, 0, BigInt(JSON.stringify(one).length + 1)))).toMatch(
      "but the file has only",
    );
  });

  test.each([2n ** 63n, 2n ** 64n - 1n, 2n ** 53n + 1n])("A2 header length %d", async (length) => {
    expect(await refusal(craft(one, 24, length))).toMatch(`${length} bytes, at most 100000000`);
  });

  test("A3 header above 100 MB: nothing is read but its length", async () => {
    const file = { ...source(craft(one, 24, 100_000_001n)), size: 2 ** 40 };
    await expect(readSafetensorsHeader("x.safetensors", file)).rejects.toThrow("at most 100000000");
    expect(file.largestRead).toBe(8);
  });

  test.each([0, 1, 7])("A4 a file of %d bytes", async (size) => {
    expect(await refusal(new Uint8Array(size))).toMatch(`the file has ${size} bytes`);
  });

  test.each([
    [[0x7b, 0xff, 0x7d]],
    [[0x7b, 0x22, 0xc0, 0xaf, 0x22]],
    [[0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22]],
  ])("A5 header not UTF-8: %j", async (bytes) =>
    expect(await refusal(craft(Uint8Array.from(bytes), 0))).toMatch("not UTF-8"),
  );

  test.each([
    ["a leading letter", 'x{"a":1}', /begins with/],
    ["a leading space of another kind", '\u00a0{"a":1}', /begins with/],
    ["a byte order mark", "\ufeff{}", /begins with/],
    ["a list", "[]", /begins with/],
    ["nothing", "", /begins with/],
    ["an open object", '{"a":', /malformed.*a tensor|malformed.*expected/],
    ["text after it", "{} x", /more text follows/],
    ["a second object", "{}{}", /more text follows/],
    ["NUL after it", "{}\0", /more text follows/],
    ["a comma too many", '{"a":{},}', /has no dtype|a string was expected/],
    ["single quotes", "{'a':1}", /a string was expected/],
    ["a comment", "{/**/}", /a string was expected/],
    ["a control character", '{"a\n":1}', /control character/],
    ["an open string", '{"a', /within a string/],
    ["half a surrogate pair", '{"\\ud800":{}}', /half a surrogate/],
    ["a bad escape", '{"\\x41":{}}', /no JSON string/],
    ["a number for a tensor", '{"a":1}', /an object was expected/],
    ["metadata that is no text", '{"__metadata__":{"a":1}}', /a string was expected/],
    ["nesting of 100,000", `{"a":{"x":${"[".repeat(100_000)}`, /nested deeper/],
  ])("A6 %s", async (_, text, what) => expect(await refusal(craft(text, 0))).toMatch(what));

  test("A7 a tensor, a field or metadata that comes twice", async () => {
    const tensor = JSON.stringify(f32Tensor(0, 1));
    expect(await refusal(craft(`{"a":${tensor},"a":${tensor}}`, 4))).toMatch(
      'the key "a" comes twice',
    );
    expect(await refusal(craft(`{"a":${tensor},"\\u0061":${tensor}}`, 4))).toMatch(
      'the key "a" comes twice',
    );
    expect(
      await refusal(
        craft(`{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}`, 4),
      ),
    ).toMatch('"dtype" comes twice');
    expect(await refusal(craft(`{"__metadata__":{},"__metadata__":{}}`, 0))).toMatch("comes twice");
  });

  test("A8 overlapping tensors", async () => {
    expect(await refusal(craft({ a: f32Tensor(0, 2), b: f32Tensor(4, 2) }, 12))).toMatch(
      /tensor "b" begins at byte \d+ and overlaps/,
    );
    expect(await refusal(craft({ a: f32Tensor(0, 2), b: f32Tensor(0, 2) }, 8))).toMatch("overlaps");
  });

  test("A9 a hole", async () => {
    expect(await refusal(craft({ a: f32Tensor(0, 1), b: f32Tensor(8, 1) }, 12))).toMatch(
      /tensor "b" .* leaves a hole/,
    );
    expect(await refusal(craft({ a: f32Tensor(4, 1) }, 8))).toMatch("leaves a hole");
  });

  test("A10 data cut short, or bytes after the last tensor", async () => {
    expect(await refusal(craft(one, 23))).toMatch(/ends at byte \d+, but the file has/);
    expect(await refusal(craft(one, 25))).toMatch("the 1 bytes after it belong to no tensor");
    expect(await refusal(craft("{}", 8))).toMatch("the 8 bytes after it");
  });

  test.each([
    "1e400",
    "-1",
    "1.5",
    '"4"',
    "1e2",
    "-0",
    "9007199254740993",
    "18446744073709551616",
    "99999999999999999999999",
    "null",
    "[4]",
    "{}",
    "true",
    "0x4",
    "01",
    "NaN",
  ])("A11 a size of %s", async (size) =>
    expect(
      await refusal(craft(`{"a":{"dtype":"F32","shape":[${size}],"data_offsets":[0,4]}}`, 4)),
    ).toMatch(/expected/),
  );

  test("A11 sizes whose product is above 2^53, or wraps at 2^64", async () => {
    expect(await refusal(shaped("94906266", "94906267"))).toMatch("overflows");
    expect(await refusal(shaped("4294967296", "4294967296"))).toMatch("overflows"); // 2^64: 0 in 64 bits
    expect(await refusal(shaped("2147483648", "4294967296", "2", "1"))).toMatch("overflows");
    expect(await refusal(shaped(...Array.from({ length: 5000 }, () => "2")))).toMatch("overflows");
    expect(
      await refusal(
        craft(
          '{"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551616]}}',
          4,
        ),
      ),
    ).toMatch("expected a whole number");
  });

  test("A12 an unknown dtype, bytes that are not shape × dtype, offsets that are no pair", async () => {
    expect(
      await refusal(craft({ a: { dtype: "F17", shape: [1], data_offsets: [0, 4] } }, 4)),
    ).toMatch('tensor "a" has dtype "F17"');
    expect(
      await refusal(craft({ a: { dtype: "__proto__", shape: [1], data_offsets: [0, 4] } }, 4)),
    ).toMatch("has dtype");
    expect(
      await refusal(craft({ a: { dtype: "F16", shape: [1], data_offsets: [0, 4] } }, 4)),
    ).toMatch(/takes 2 bytes, but data_offsets gives it 4/);
    expect(
      await refusal(craft({ a: { dtype: "F32", shape: [0], data_offsets: [0, 4] } }, 4)),
    ).toMatch("takes 0 bytes");
    for (const data_offsets of [[], [0], [0, 4, 8], [4, 0]]) {
      expect(await refusal(craft({ a: { dtype: "F32", shape: [1], data_offsets } }, 4))).toMatch(
        "expected [begin, end]",
      );
    }
    expect(await refusal(craft({ a: { shape: [1], data_offsets: [0, 4] } }, 4))).toMatch(
      "has no dtype",
    );
    expect(await refusal(craft({ a: { dtype: "F32", data_offsets: [0, 4] } }, 4))).toMatch(
      "has no shape",
    );
    expect(await refusal(craft({ a: { dtype: "F32", shape: [1] } }, 4))).toMatch(
      "has no data_offsets",
    );
  });

  test("A14 a long name is cut in the message", async () => {
    expect(await refusal(craft({ ["n".repeat(1_000_000)]: f32Tensor(4, 1) }, 8))).toMatch(
      "1000000 characters",
    );
  });

  test("A15 10^6 tensors: refused at the cap", async () => {
    const entry = JSON.stringify({ dtype: "F32", shape: [0], data_offsets: [0, 0] });
    const of = (count: number): Uint8Array =>
      craft(`{${Array.from({ length: count }, (_, i) => `"${i}":${entry}`).join(",")}}`, 0);
    expect(await refusal(of(1_000_000))).toMatch(`more than ${MAX_TENSORS} tensors`);
    expect((await read(of(20_000))).tensors.size).toBe(20_000);
  });
});

describe("whatever the file", () => {
  const dtypes = [
    ["F32", 4],
    ["F16", 2],
    ["BF16", 2],
    ["U8", 1],
    ["I64", 8],
  ] as const;
  const tensor = fc.record({
    name: fc.string({ maxLength: 12 }).filter((name) => name !== "__metadata__"),
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
  });
  const valid = fc
    .uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 })
    .map((list) => {
      let offset = 0;
      const entries = list.map(({ name, dtype: [dtype, bytes], shape }) => {
        const begin = offset;
        offset += bytes * shape.reduce((product, size) => product * size, 1);
        return [name, { dtype, shape, data_offsets: [begin, offset] }] as const;
      });
      const text = `{${entries.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(",")}}`;
      return { entries, file: craft(text, offset) };
    });

  test("a right one is read as it was written", async () => {
    await fc.assert(
      fc.asyncProperty(valid, async ({ entries, file }) => {
        const { tensors } = await read(file);
        expect(tensors.size).toBe(entries.length);
        for (const [name, { dtype, shape, data_offsets }] of entries) {
          const entry = tensors.get(name);
          expect(entry).toMatchObject({ dtype, shape, bytes: data_offsets[1] - data_offsets[0] });
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a mutated one is a CheckpointError, or what was read still fits the file", async () => {
    const mutation = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), at: fc.nat(), byte: fc.nat(255) }),
      fc.record({ kind: fc.constant("cut" as const), at: fc.nat(), byte: fc.nat(64) }),
      fc.record({ kind: fc.constant("insert" as const), at: fc.nat(), byte: fc.nat(255) }),
      fc.record({ kind: fc.constant("digit" as const), at: fc.nat(), byte: fc.nat(9) }),
    );
    const verdicts = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        valid,
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        async ({ file }, mutations) => {
          verdicts.add(await judge(mutations.reduce(mutate, file)));
        },
      ),
      { numRuns: 3000 },
    );
    // Changes of data, of names or of a dtype of the same size leave a right file.
    expect([...verdicts].toSorted()).toEqual(["read", "refused"]);
  });
});

/** "refused", "read" when the tensors cover the file, or what is wrong. */
async function judge(file: Uint8Array<ArrayBuffer>): Promise<string> {
  const result = await read(file).catch((error: unknown) => error);
  if (result instanceof CheckpointError) return "refused";
  if (result instanceof Error) return `another error: ${String(result)}`;
  let end = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
  for (const { offset, bytes, name } of (result as SafetensorsHeader).tensors.values()) {
    if (offset !== end) return `${name} begins at ${offset}, not ${end}`;
    end += bytes;
  }
  return end === file.length ? "read" : `the tensors end at ${end} of ${file.length}`;
}

function mutate(
  file: Uint8Array<ArrayBuffer>,
  { kind, at, byte }: { kind: "set" | "cut" | "insert" | "digit"; at: number; byte: number },
): Uint8Array<ArrayBuffer> {
  const place = at % Math.max(1, file.length);
  const out = file.slice();
  if (kind === "cut") return file.slice(0, Math.max(0, file.length - byte));
  if (kind === "insert")
    return Uint8Array.from([...file.subarray(0, place), byte, ...file.subarray(place)]);
  if (kind === "set") {
    out[place] = byte;
    return out;
  }
  const digit = out.findIndex((c, i) => i >= Math.max(8, place) && c >= 0x30 && c <= 0x39);
  if (digit >= 0) out[digit] = 0x30 + byte;
  return out;
}
