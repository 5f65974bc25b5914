import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  planShards,
  saveSafetensors,
  shardIndex,
  type TensorToSave,
} from "../../src/checkpoint/save-safetensors.ts";
import { openCheckpoint } from "../../src/checkpoint/weights.ts";
import { CheckpointError, InputError } from "../../src/errors.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath } from "../golden-files.ts";
import { folder } from "./craft.ts";

/** The tensors of an open checkpoint, in pieces of some odd size. */
async function tensorsOf(
  name: string,
): Promise<{ tensors: TensorToSave[]; close: () => Promise<void> }> {
  const checkpoint = await openCheckpoint(goldenPath(`models/${name}`));
  const tensors = [...checkpoint.tensors.values()].map(({ name: tensor, dtype, shape, bytes }) => ({
    name: tensor,
    dtype,
    shape,
    async *data() {
      for (let from = 0; from < bytes; from += 1001) {
        const piece = new Uint8Array(Math.min(1001, bytes - from));
        await checkpoint.read(tensor, piece, from, from + piece.length);
        yield piece;
      }
    },
  }));
  return { tensors, close: () => checkpoint.close() };
}

test.each(["base-f32", "base-bf16"])(
  "%s written again is the same file, byte for byte",
  async (name) => {
    const dir = folder();
    const { tensors, close } = await tensorsOf(name);
    const seen: number[] = [];
    await saveSafetensors(join(dir, "new/model.safetensors"), tensors, {
      onProgress: (done, total) => seen.push(done / total),
    });
    await close();
    const original = readFileSync(goldenPath(`models/${name}/model.safetensors`));
    expect(readFileSync(join(dir, "new/model.safetensors")).equals(original)).toBe(true);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  },
);

test("shards are named and indexed so that they are read as one", async () => {
  const dir = folder();
  const { tensors, close } = await tensorsOf("base-f32");
  const shards = planShards(tensors, 300_000);
  expect(shards.map(({ file }) => file)).toEqual(
    shards.map((_, i) => `model-0000${i + 1}-of-0000${shards.length}.safetensors`),
  );
  expect(shards.every(({ bytes }) => bytes <= 300_000)).toBe(true);
  for (const { file, tensors: part } of shards) await saveSafetensors(join(dir, file), part);
  writeFileSync(join(dir, "model.safetensors.index.json"), shardIndex(shards));
  await close();
  const checkpoint = await openCheckpoint(dir);
  const expected = readSafetensors(goldenPath("models/base-f32/model.safetensors"));
  expect(checkpoint.tensors.size).toBe(expected.size);
  for (const [name, { data }] of expected) expect(await checkpoint.readValues(name)).toEqual(data);
  await checkpoint.close();
});

const sized = (name: string, size: number): { name: string; dtype: string; shape: number[] } => ({
  name,
  dtype: "F32",
  shape: [size],
});

test("a tensor larger than a shard gets its own", () => {
  const shards = planShards([sized("a", 1), sized("b", 100), sized("c", 1)], 40);
  expect(shards.map(({ tensors }) => tensors.map(({ name }) => name))).toEqual([
    ["a"],
    ["b"],
    ["c"],
  ]);
});

const tensor = (bytes: number, name = "a", dtype = "F32"): TensorToSave => ({
  name,
  dtype,
  shape: [2],
  data: () => [new Uint8Array(bytes)],
});

test("what fails leaves nothing behind, and what was there before stays", async () => {
  const dir = folder({ "model.safetensors": "before" });
  const path = join(dir, "model.safetensors");
  const broken = {
    ...tensor(8),
    data: (): Iterable<Uint8Array> => {
      throw new Error("source broke");
    },
  };
  const cases: [TensorToSave[], string][] = [
    [[tensor(7)], "has 7 bytes, but F32 [2] takes 8"],
    [[tensor(9)], "has more than 8 bytes"],
    [[tensor(8), tensor(8)], 'two tensors have the name "a"'],
    [[tensor(8, "__metadata__")], "two tensors"],
    [[tensor(8, "a", "F33")], 'dtype "F33"'],
  ];
  for (const [tensors, message] of cases) {
    await expect(saveSafetensors(path, tensors)).rejects.toThrow(InputError);
    await expect(saveSafetensors(path, tensors)).rejects.toThrow(message);
  }
  await expect(saveSafetensors(path, [broken])).rejects.toThrow("source broke");
  await expect(saveSafetensors("/dev/null/x/model.safetensors", [tensor(8)])).rejects.toThrow(
    CheckpointError,
  );
  const huge = { ...tensor(0), shape: [2 ** 50] };
  await expect(saveSafetensors(path, [huge])).rejects.toThrow(
    /model.safetensors: .* \(4503599627370\d+ bytes\) are needed, and the disk of .* has room for/,
  );
  expect(readFileSync(path, "utf8")).toBe("before");
  expect(readdirSync(dir)).toEqual(["model.safetensors"]);
});
