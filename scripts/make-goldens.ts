// Makes test/goldens (except its README and generate/) from the whole reference data in ../shared or $MISTRAL_SHARED:
//   node scripts/make-goldens.ts
// Leaves out what no test reads. Changes no number: a file has the bytes of the original, or some of its tensors. Knows no test.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { wholeData } from "../test/golden-files.ts";

const target = join(import.meta.dirname, "../test/goldens");
const BY_HAND = ["README.md", "generate"];

/** Files of the whole reference data that no test reads. */
const LEFT_OUT = [/^(README\.md|MANIFEST\.json)$/, /^generate\//, /^training\/adapter\//];
/** Of the training data: what tests of the classification heads read. */
const TRAINING_FILES =
  /^(gradients|models)\/(a-)?(token-classification|regression|(single|multi)_label_classification)/;
/** Files that tests read as a whole: they are compressed. Those that the code under test opens (models, tokenizers) are not. */
const COMPRESSED = /^tokenization\/.*\.json$|^(?!(goldens-training\/)?models\/).*\.safetensors$/;

type Training = {
  lora: { kind: string; adapter?: string; merged?: string }[];
  adamw?: unknown;
  dpo?: unknown;
};
/** The tensors of training.safetensors to keep: gradients of all weights, and two kinds of low-rank adapters before their first step. */
const TRAINING_TENSORS = /^(grad|(lora|rslora)\.(weights|grad|logits))(\.|$)/;

/** All files of test/goldens with their contents before compression, in the order of their paths. */
export function carriedFiles(): Map<string, Buffer> {
  const root = wholeData("goldens");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => statSync(join(root, path)).isFile())
    .filter((path) => !LEFT_OUT.some((pattern) => pattern.test(path)))
    .map((path) => [path, reduced(path, readFileSync(join(root, path)))] as const);
  for (const path of trainingFiles()) files.push([path, readFileSync(wholeData(path))]);
  const story = "stories/model/golden.json";
  files.push([story, readFileSync(wholeData(story))]);
  return new Map(files.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Of the training data: the gradients of classification heads, and their models. */
function trainingFiles(): string[] {
  const root = wholeData("goldens-training");
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => TRAINING_FILES.test(path) && statSync(join(root, path)).isFile())
    .map((path) => `goldens-training/${path}`);
}

/** The size and hash of each file before compression: the text of MANIFEST.json. */
export function manifestOf(files: ReadonlyMap<string, Buffer>): string {
  const entries = [...files].map(([path, bytes]) => [
    path,
    { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") },
  ]);
  return `${JSON.stringify(Object.fromEntries(entries), null, 1)}\n`;
}

function reduced(path: string, bytes: Buffer): Buffer {
  if (path === "training/training.json") return reducedTraining(bytes);
  if (path === "training/training.safetensors") return someTensors(bytes, TRAINING_TENSORS);
  return bytes;
}

/** Leaves out optimiser steps, preferences and quantised adapters, and the names of tensors that are left out. */
function reducedTraining(bytes: Buffer): Buffer {
  const { adamw: _adamw, dpo: _dpo, ...rest } = JSON.parse(bytes.toString("utf8")) as Training;
  const lora = rest.lora
    .filter(({ kind }) => kind !== "qlora")
    .map(({ adapter: _adapter, merged: _merged, ...kept }) => kept);
  return Buffer.from(`${JSON.stringify({ ...rest, lora })}\n`);
}

/** A safetensors file with those of its tensors whose names match. */
function someTensors(file: Buffer, wanted: RegExp): Buffer {
  const begin = 8 + Number(file.readBigUInt64LE(0));
  const all = JSON.parse(file.toString("utf8", 8, begin)) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const header: Record<string, object> = {};
  const data: Buffer[] = [];
  let end = 0;
  for (const [name, tensor] of Object.entries(all)) {
    if (!wanted.test(name)) continue;
    const [from, to] = tensor.data_offsets;
    header[name] = { ...tensor, data_offsets: [end, (end += to - from)] };
    data.push(file.subarray(begin + from, begin + to));
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, ...data]);
}

/** Brotli with its largest window, 16 MB: rows that repeat far apart in a file are found. */
function compressed(bytes: Buffer): Buffer {
  return brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}

function write(path: string, bytes: Buffer | string): number {
  mkdirSync(dirname(join(target, path)), { recursive: true });
  writeFileSync(join(target, path), bytes);
  return bytes.length;
}

if (import.meta.main) {
  const files = carriedFiles();
  for (const name of readdirSync(target))
    if (!BY_HAND.includes(name)) rmSync(join(target, name), { recursive: true });
  let total = write("MANIFEST.json", manifestOf(files));
  for (const [path, bytes] of files)
    total += COMPRESSED.test(path) ? write(`${path}.br`, compressed(bytes)) : write(path, bytes);
  process.stdout.write(`${files.size} files, ${(total / 1e6).toFixed(1)} MB\n`);
}
