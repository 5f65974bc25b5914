// Tokenizer speed beside Rust `tokenizers` (PyPI), one thread each, in turns in one run: 1 MB of mixed text that hardly
// repeats itself, whole and as documents. Both must give the same ids. Every turn of ours begins with a new tokenizer, so
// with no remembered chunks ("again" has them). Writes tokenizer.json. First: bash bench/setup.sh
// The stories in the text are in ../shared (or $MISTRAL_SHARED) only.

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AutoTokenizer } from "../src/api/tokenizer/auto-tokenizer.ts";
import { goldenPath, goldenJson, wholeData } from "../test/golden-files.ts";
import { thisMachine } from "./machine.ts";
import { saveResult } from "./results.ts";
import { summarize } from "./statistics.ts";

const here = import.meta.dirname;
const rounds = Number(process.argv[2] ?? 7);
const SIZE = 1_000_000;

/** Random numbers in [0, 1) from a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** 1 MB of UTF-8: stories 45 %, code 25 %, the reference texts once, then made-up Korean, Chinese and emoji. */
function mixedDocuments(): string[] {
  const random = randomFrom(1);
  const size = (text: string): number => Buffer.byteLength(text);
  const take = (texts: string[], bytes: number): string[] => {
    let total = 0;
    return texts.filter((text) => (total += size(text)) <= bytes);
  };
  const stories = readFileSync(wholeData("stories/data/train.jsonl"), "utf8")
    .slice(0, 600_000)
    .split("\n");
  const told = stories
    .slice(0, -1)
    .map((line) => Object.values(JSON.parse(line) as object).join("\n"));
  const source = join(here, "../src");
  const code = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .toSorted()
    .flatMap((path) => readFileSync(join(source, path), "utf8").split("\n\n"));
  const { encode } = goldenJson<{ encode: { text: string }[] }>("tokenization/mistral-v1.json");
  const reference = encode.map(({ text }) => text).filter((text) => size(text) < 5000);
  const documents = [...take(told, SIZE * 0.45), ...take(code, SIZE * 0.25), ...reference];
  let total = documents.reduce((sum, text) => sum + size(text) + 1, 0);
  const character = (from: number, count: number): string =>
    String.fromCodePoint(from + Math.floor(random() ** 3 * count));
  while (total < SIZE) {
    const [from, count] = [
      [0xac00, 11_172],
      [0x4e00, 6000],
      [0x1f300, 500],
    ][Math.floor(random() * 2.3)];
    const words = Array.from({ length: 12 }, () =>
      Array.from({ length: 1 + Math.floor(random() * 5) }, () => character(from, count)).join(""),
    );
    documents.push(words.join(" "));
    total += size(words.join(" ")) + 1;
  }
  return documents
    .map((text) => [random(), text] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, text]) => text);
}

type Turn = { whole: number; documents: number };

function seconds<T>(run: () => T): [number, T] {
  const start = performance.now();
  const result = run();
  return [(performance.now() - start) / 1000, result];
}

const machine = thisMachine();
const work = join(here, ".work");
mkdirSync(work, { recursive: true });
const folder = goldenPath("tokenizers/mistral-v1");
const documents = mixedDocuments();
const text = documents.join("\n");
const [textFile, idsFile] = [join(work, "tokenizer-text.json"), join(work, "tokenizer-ids.json")];
writeFileSync(textFile, JSON.stringify(documents));

const ours: (Turn & { again: number; load: number })[] = [];
const rust: (Turn & { version: string; documents_fast: number })[] = [];
let tokens = 0;
for (let round = 0; round <= rounds; round++) {
  const loading = performance.now();
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  const load = (performance.now() - loading) / 1000;
  const [whole, { input_ids }] = seconds(() => tokenizer(text));
  const [again] = seconds(() => tokenizer(text));
  const fresh = await AutoTokenizer.from_pretrained(folder);
  const [split, { input_ids: rows }] = seconds(() => fresh(documents));
  const output = execFileSync(
    join(here, ".venv/bin/python"),
    [join(here, "tokenizer.py"), join(folder, "tokenizer.json"), textFile, idsFile],
    { encoding: "utf8" },
  );
  const theirs = JSON.parse(readFileSync(idsFile, "utf8")) as {
    whole: number[];
    documents: number[][];
  };
  if (String(theirs.whole) !== String(input_ids) || String(theirs.documents) !== String(rows)) {
    throw new Error("the two tokenizers give different ids: nothing to compare");
  }
  tokens = input_ids.length;
  // the first round warms the compiler up
  if (round === 0) continue;
  ours.push({ whole, documents: split, again, load });
  rust.push(JSON.parse(output) as (typeof rust)[number]);
}

const speed = (turns: readonly number[]): ReturnType<typeof summarize> =>
  summarize(turns.map((s) => tokens / s / 1e6));
const figures = {
  "ours, whole text": speed(ours.map((t) => t.whole)),
  "ours, whole text again (chunks remembered)": speed(ours.map((t) => t.again)),
  "ours, documents": speed(ours.map((t) => t.documents)),
  "tokenizers (Rust) encode, whole text": speed(rust.map((t) => t.whole)),
  "tokenizers (Rust) encode_batch, documents": speed(rust.map((t) => t.documents)),
  "tokenizers (Rust) encode_batch_fast, documents": speed(rust.map((t) => t.documents_fast)),
};
const best = Math.max(
  figures["tokenizers (Rust) encode, whole text"].median,
  figures["tokenizers (Rust) encode_batch, documents"].median,
  figures["tokenizers (Rust) encode_batch_fast, documents"].median,
);
const slowest = Math.min(figures["ours, whole text"].median, figures["ours, documents"].median);
const result = {
  kind: "tokenizer",
  what: "million tokens a second, one thread, tokenizer.json of Mistral-7B-v0.1",
  date: new Date().toISOString(),
  machine,
  text: { bytes: Buffer.byteLength(text), documents: documents.length, tokens },
  tokenizers: rust[0].version,
  rounds,
  figures,
  loadSeconds: summarize(ours.map((t) => t.load)),
  /** Our slower way over Rust's fastest. */
  ratio: slowest / best,
};
for (const [name, { median, min, max }] of Object.entries(figures)) {
  console.log(`${median.toFixed(2)} M tokens/s (${min.toFixed(2)} to ${max.toFixed(2)})  ${name}`);
}
console.log(
  `ratio ${result.ratio.toFixed(1)} (our slower way over Rust's fastest); load before ${machine.loadBefore.toFixed(1)}`,
);
saveResult("tokenizer.json", result);
