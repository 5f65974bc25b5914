// Folders of weights: the goldens' checkpoints read and compared, and the wrong folders of the list of attacks (A16, A17,
// A20, A21).

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/weights.ts";
import { CheckpointError, InputError } from "../../src/errors.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath } from "../golden-files.ts";
import { craft, f32Tensor, folder } from "./craft.ts";

const models =
  "base-f32 base-bf16 base-f16 base-sharded sw8-f32 sw5-mqa-f32 v03-f32 mha-gelu-f32 draft-f32 seqcls-f32 tokcls-f32 qa-f32 base-bnb-nf4-dq base-gptq base-awq base-ct-w4a16".split(
    " ",
  );

async function using<T>(dir: string, use: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(dir);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The message with which the folder is refused. */
async function refusal(dir: string, options = {}): Promise<string> {
  const result = await openCheckpoint(dir, options).catch((error: unknown) => error);
  if (!(result instanceof CheckpointError)) throw new Error("not refused", { cause: result });
  return result.message;
}

describe("the goldens' checkpoints", () => {
  test.each(models)(
    "%s: names, shapes and bytes, by an independent reading of the files",
    async (name) => {
      const dir = goldenPath(`models/${name}`);
      await using(dir, async ({ tensors, read, bytes }) => {
        let total = 0;
        for (const [tensor, entry] of tensors) {
          const file = readFileSync(entry.file);
          const length = Number(file.readBigUInt64LE(0));
          const header = JSON.parse(file.toString("utf8", 8, 8 + length)) as Record<
            string,
            { dtype: string; shape: number[]; data_offsets: [number, number] }
          >;
          const {
            dtype,
            shape,
            data_offsets: [begin, end],
          } = header[tensor];
          expect(entry).toMatchObject({ name: tensor, dtype, shape, bytes: end - begin });
          const target = new Uint8Array(entry.bytes);
          await read(tensor, target);
          expect(sha(target)).toBe(sha(file.subarray(8 + length + begin, 8 + length + end)));
          total += target.length;
        }
        expect(tensors.size).toBeGreaterThan(10);
        expect(bytes).toBe(total);
      });
    },
  );

  test("base-sharded holds the values of base-f32", async () => {
    const [whole, parts] = await Promise.all(
      ["base-f32", "base-sharded"].map((name) => openCheckpoint(goldenPath(`models/${name}`))),
    );
    expect([...parts.tensors.keys()].toSorted()).toEqual([...whole.tensors.keys()].toSorted());
    expect(new Set([...parts.tensors.values()].map(({ file }) => file)).size).toBe(3);
    for (const name of whole.tensors.keys()) {
      expect(await parts.readValues(name)).toEqual(await whole.readValues(name));
    }
    await Promise.all([whole.close(), parts.close()]);
  });

  test.each(["base-f32", "base-bf16", "base-f16"])(
    "%s: values widened as an independent reader does",
    async (name) => {
      const dir = goldenPath(`models/${name}`);
      const expected = readSafetensors(join(dir, "model.safetensors"));
      await using(dir, async (checkpoint) => {
        expect(checkpoint.tensors.size).toBe(expected.size);
        for (const [tensor, { data }] of expected)
          expect(await checkpoint.readValues(tensor)).toEqual(data);
      });
    },
  );
});

describe("reading by range", () => {
  const data = Uint8Array.from({ length: 64 }, (_, i) => i);
  const files = { "model.safetensors": craft({ a: f32Tensor(0, 4), b: f32Tensor(16, 12) }, data) };

  test("a part of a tensor, into shared memory, at any address", async () => {
    await using(folder(files), async ({ read }) => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      const target = new Uint8Array(memory.buffer, 13, 7);
      await read("b", target, 5, 12);
      expect([...new Uint8Array(memory.buffer, 12, 9)]).toEqual([0, 21, 22, 23, 24, 25, 26, 27, 0]);
      await read("a", new Uint8Array(0), 16);
    });
  });

  test("an unknown name, a range outside, a target of another length", async () => {
    await using(folder(files), async ({ read }) => {
      const reads: [() => Promise<void>, string][] = [
        [() => read("c", new Uint8Array(1)), 'no tensor "c"'],
        [() => read("b", new Uint8Array(49), 0, 49), "bytes 0 to 49, but the tensor has 48"],
        [() => read("b", new Uint8Array(1), -1, 0), "bytes -1 to 0"],
        [() => read("b", new Uint8Array(1), 0.5, 1.5), "bytes 0.5"],
        [() => read("b", new Uint8Array(1), 4, 3), "bytes 4 to 3"],
        [() => read("b", new Uint8Array(47)), "the target has 47 bytes, expected 48"],
      ];
      for (const [attempt, message] of reads) {
        await expect(attempt()).rejects.toThrow(InputError);
        await expect(attempt()).rejects.toThrow(message);
      }
    });
  });

  test("values of a dtype that is no plain format", async () => {
    const header = { a: { dtype: "I64", shape: [1], data_offsets: [0, 8] } };
    await using(folder({ "model.safetensors": craft(header, 8) }), async (checkpoint) => {
      await expect(checkpoint.readValues("a")).rejects.toThrow(
        /dtype I64, expected F32, F16 or BF16/,
      );
    });
  });
});

describe("options", () => {
  test("subfolder and variant", async () => {
    const dir = folder({ "sub/model.fp16.safetensors": craft({ a: f32Tensor(0, 1) }, 4) });
    const checkpoint = await openCheckpoint(dir, { subfolder: "sub", variant: "fp16" });
    expect([...checkpoint.tensors.keys()]).toEqual(["a"]);
    await checkpoint.close();
    expect(await refusal(dir, { subfolder: "sub" })).toMatch(
      "model.fp16.safetensors; name its middle part with the option variant",
    );
    expect(await refusal(join(dir, "nothing"))).toMatch("no such folder");
  });
});

const shard = craft({ a: f32Tensor(0, 1) }, 4);
const index = (weight_map: Record<string, string>): string =>
  JSON.stringify({ metadata: {}, weight_map });
const INDEX = "model.safetensors.index.json";

const indexRefusal = (text: string | Uint8Array): Promise<string> =>
  refusal(folder({ [INDEX]: text, "x.safetensors": shard }));

describe("shards", () => {
  test.each([
    "../x.safetensors",
    "/etc/x.safetensors",
    "a/b.safetensors",
    "..\\x.safetensors",
    "C:x.safetensors",
    "x\0.safetensors",
    "..",
    "",
    "x.bin",
    "x.safetensors\n",
    `${"n".repeat(300)}.safetensors`,
  ])("A16 a weight_map that points to %j", async (name) => {
    const message = await refusal(folder({ [INDEX]: index({ a: name }), "x.safetensors": shard }));
    expect(message).toMatch(/weight_map places tensor "a" in .* expected a plain name/);
  });

  test("A16 links that the user made are followed, wherever they lead", async () => {
    const outside = folder({ "big/one.safetensors": shard });
    const dir = folder({ [INDEX]: index({ a: "m.safetensors" }) });
    symlinkSync(join(outside, "big/one.safetensors"), join(dir, "m.safetensors"));
    await using(dir, async ({ tensors }) => expect(tensors.size).toBe(1));

    const hub = folder({ "blobs/123": shard, "snapshots/abc/config.json": "{}" });
    symlinkSync("../../blobs/123", join(hub, "snapshots/abc/model.safetensors"));
    await using(join(hub, "snapshots/abc"), async ({ tensors }) => expect(tensors.size).toBe(1));
    const linked = folder();
    symlinkSync(join(hub, "snapshots/abc"), join(linked, "model"));
    await using(join(linked, "model"), async ({ tensors }) => expect(tensors.size).toBe(1));

    symlinkSync("../../blobs/456", join(hub, "snapshots/abc/model.x.safetensors"));
    expect(await refusal(join(hub, "snapshots/abc"), { variant: "x" })).toMatch(
      "it is a link to ../../blobs/456, which is not there",
    );
  });

  test("A17 a shard that is missing, a tensor in two, too many, in the wrong one, in none", async () => {
    const [x, y] = ["x.safetensors", "y.safetensors"];
    const b = craft({ b: f32Tensor(0, 1) }, 4);
    const both = craft({ a: f32Tensor(0, 1), b: f32Tensor(4, 1) }, 8);
    const cases: [Record<string, Uint8Array | string>, RegExp][] = [
      [
        { [INDEX]: index({ a: x, b: y }), [x]: shard },
        /names the file "y.safetensors", which is not in the folder/,
      ],
      [{ [INDEX]: index({ a: x, b: y }), [x]: both, [y]: both }, /tensor "a" is in two files/],
      [{ [INDEX]: index({ a: x }), [x]: both }, /holds tensor "b", which .* does not name/],
      [
        { [INDEX]: index({ a: y, b: x }), [x]: shard, [y]: b },
        /places tensor "a" in "y.safetensors", which does not hold it/,
      ],
      [
        { [INDEX]: index({ a: x, c: x }), [x]: shard },
        /places tensor "c" in "x.safetensors", which does not hold it/,
      ],
    ];
    for (const [files, message] of cases) expect(await refusal(folder(files))).toMatch(message);
    await using(
      folder({ [INDEX]: index({ a: x, b: y }), [x]: shard, [y]: b }),
      async ({ tensors }) => {
        expect([...tensors.keys()]).toEqual(["a", "b"]);
      },
    );
  });

  test("an index that disagrees about tensors that nobody needs", async () => {
    const [x, y] = ["x.safetensors", "y.safetensors"];
    const b = craft({ b: f32Tensor(0, 1) }, 4);
    const both = craft({ a: f32Tensor(0, 1), b: f32Tensor(4, 1) }, 8);
    const isNeeded = (name: string): boolean => name === "a";
    const cases: Record<string, Uint8Array | string>[] = [
      { [INDEX]: index({ a: x }), [x]: both },
      { [INDEX]: index({ a: x, c: x }), [x]: shard },
      { [INDEX]: index({ a: x, b: x }), [x]: shard, [y]: b },
      { [INDEX]: index({ a: x, b: x, c: y }), [x]: both, [y]: b },
    ];
    for (const files of cases) {
      const checkpoint = await openCheckpoint(folder(files), { isNeeded });
      expect(checkpoint.tensors.has("a")).toBe(true);
      await checkpoint.close();
      expect(await refusal(folder(files))).toMatch("are not of one checkpoint");
    }
    expect(await refusal(folder({ [INDEX]: index({ a: y }), [y]: b }), { isNeeded })).toMatch(
      /places tensor "a" in "y.safetensors", which does not hold it/,
    );
  });

  test("shards without their index: the error names it", async () => {
    const part = (n: number): string => `model-0000${n}-of-00002.safetensors`;
    expect(await refusal(folder({ [part(1)]: shard, [part(2)]: shard }))).toMatch(
      /model-00001-of-00002.safetensors … model-00002-of-00002.safetensors are 2 of 2 parts .* index, model.safetensors.index.json, is missing.*fetch it/,
    );
    expect(await refusal(folder({ [part(2)]: shard }))).toMatch(
      /model-00002-of-00002.safetensors are 1 of 2 parts of a checkpoint \(not all of which are here either\)/,
    );
    const variant = folder({ "model.fp16-00001-of-00001.safetensors": shard });
    expect(await refusal(variant, { variant: "fp16" })).toMatch(
      "model.safetensors.index.fp16.json",
    );
  });

  test("an index that is malformed", async () => {
    expect(await indexRefusal("{")).toMatch("the index is malformed");
    expect(await indexRefusal("[]")).toMatch("an object was expected");
    expect(await indexRefusal("{}")).toMatch("there is no weight_map");
    expect(await indexRefusal('{"weight_map":{}}')).toMatch("weight_map is empty");
    expect(await indexRefusal('{"weight_map":{"a":1}}')).toMatch("a string was expected");
    expect(await indexRefusal('{"weight_map":{"a":"x.safetensors","a":"x.safetensors"}}')).toMatch(
      "comes twice",
    );
    expect(await indexRefusal(Uint8Array.of(0x7b, 0xff))).toMatch("not UTF-8");
  });
});

describe("folders without weights that are read", () => {
  test.each(["pytorch_model.bin", "model.pt", "consolidated.00.pth"])(
    "A21 only %s, a pickle",
    async (name) => {
      const message = await refusal(folder({ [name]: "\x80\x04cos\nsystem\n" }));
      expect(message).toMatch(name);
      expect(message).toMatch(
        /pickle can run any code that it names, so it is never loaded; fetch the safetensors/,
      );
    },
  );

  test("an adapter, alone and beside a model", async () => {
    const adapter_config = JSON.stringify({ peft_type: "LORA", base_model_name_or_path: "a/b" });
    const files = { "adapter_config.json": adapter_config, "adapter_model.safetensors": shard };
    const alone = await refusal(folder(files));
    expect(alone).toMatch(/adapter_config.json: the folder holds an adapter \(LORA\) of "a\/b"/);
    expect(alone).toMatch("merge it into its base model");
    expect(alone).not.toMatch("remove adapter_config.json");
    const beside = await refusal(folder({ ...files, "model.safetensors": shard }));
    expect(beside).toMatch(
      "if the weights beside it are merged already, remove adapter_config.json",
    );
  });

  test.each([
    ["weights.npz", "only weights.npz, a format of another library"],
    ["model.onnx", "only model.onnx, a format of another library"],
    ["weights.00.safetensors", "but weights.00.safetensors; if these are the model's weights"],
  ])("only %s", async (name, message) => {
    expect(await refusal(folder({ [name]: "x" }))).toMatch(message);
  });

  test("GGUF, nothing at all", async () => {
    expect(await refusal(folder({ "model-q8_0.gguf": "GGUF" }))).toMatch(
      "model-q8_0.gguf; name it with the option gguf_file",
    );
    expect(await refusal(folder())).toMatch("fetch the model's safetensors files into it");
  });
});

test("A20 code in the folder is not run, whatever config.json names", async () => {
  const key = "mistralTestCodeWasRun";
  const dir = folder({
    "config.json": JSON.stringify({
      model_type: "mistral",
      auto_map: { AutoModel: "modeling.js--Evil" },
    }),
    "modeling.js": `globalThis.${key} = true;`,
    "modeling.py": "raise SystemExit",
    "model.safetensors": shard,
  });
  await using(dir, async ({ tensors }) => expect(tensors.size).toBe(1));
  expect(key in globalThis).toBe(false);
});

test("a folder that is refused leaves no file open", async () => {
  const files = {
    [INDEX]: index({ a: "x.safetensors", b: "y.safetensors" }),
    "x.safetensors": shard,
    "y.safetensors": craft("{", 0),
  };
  const dir = folder(files);
  const openFiles = (): number => readdirSync("/dev/fd").length; // oxlint-disable-line unicorn/consistent-function-scoping
  const before = openFiles();
  for (let i = 0; i < 20; i++) expect(await refusal(dir)).toMatch("malformed");
  expect(openFiles()).toBeLessThan(before + 20); // 60 when they stayed open
});
