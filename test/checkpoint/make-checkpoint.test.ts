// bench/make-checkpoint as a command: what it writes is a model of the shape asked for.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AutoConfig } from "../../src/api/auto-config.ts";
import { openCheckpoint } from "../../src/checkpoint/weights.ts";
import { checkWeights } from "../../src/models/config-weights.ts";
import { goldenPath } from "../golden-files.ts";
import { folder } from "./craft.ts";

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const script = join(import.meta.dirname, "../../bench/make-checkpoint.ts");
  return spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
}

test("a sharded checkpoint with a tokenizer: independent normal numbers, norms of 1, the same for the same seed", async () => {
  const dir = folder();
  const flags = [
    "--shape",
    "tiny",
    "--layers",
    "2",
    "--vocab",
    "1000",
    "--dtype",
    "float32",
    "--shard-gb",
    "0.0002",
  ];
  const tokenizer = ["--tokenizer", goldenPath("tokenizers/tiny")];
  for (const [name, seed] of [
    ["a", "1"],
    ["b", "1"],
    ["c", "2"],
  ]) {
    const { status, stderr, stdout } = run(join(dir, name), ...flags, ...tokenizer, "--seed", seed);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/weights in float32, .* GB in \d+ files/);
  }
  const config = await AutoConfig.from_pretrained(join(dir, "a"));
  expect(config).toMatchObject({
    num_hidden_layers: 2,
    vocab_size: 1000,
    dtype: "float32",
    hidden_size: 64,
  });
  const [a, b, c] = await Promise.all(
    ["a", "b", "c"].map((name) => openCheckpoint(join(dir, name))),
  );
  checkWeights(config, a);
  const name = "model.embed_tokens.weight";
  const values = await a.readValues(name);
  expect(await b.readValues(name)).toEqual(values);
  expect(await c.readValues(name)).not.toEqual(values);
  expect(await a.readValues("lm_head.weight")).not.toEqual(values);
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
  expect(Math.abs(mean)).toBeLessThan(4 * (0.02 / Math.sqrt(values.length)));
  expect(Math.abs(deviation / 0.02 - 1)).toBeLessThan(4 / Math.sqrt(2 * values.length));
  // Neighbours and rows do not go together.
  for (const lag of [1, 2, 64, 128]) {
    let product = 0;
    for (let i = lag; i < values.length; i++) product += values[i] * values[i - lag];
    expect(Math.abs(product / values.length / 0.02 ** 2)).toBeLessThan(
      5 / Math.sqrt(values.length),
    );
  }
  expect(new Set(await a.readValues("model.norm.weight"))).toEqual(new Set([1]));
  await Promise.all([a, b, c].map((checkpoint) => checkpoint.close()));
  expect(readFileSync(join(dir, "a/tokenizer.json"))).toEqual(
    readFileSync(goldenPath("tokenizers/tiny/tokenizer.json")),
  );
});

test("help, and mistakes that end in one line", () => {
  expect(run("--help").stdout).toMatch(/^Usage: /);
  expect(run().stdout).toMatch(/^Usage: /);
  const dir = folder();
  for (const [args, message] of [
    [[dir, "--layrs", "3"], 'unknown flag "--layrs"; did you mean "--layers"?'],
    [[dir, "--shape", "mistral-7"], 'did you mean "mistral-7b"?'],
    [[dir, "--dtype", "bfloat"], "bfloat16"],
    [[dir, "--heads", "3"], "expected a multiple of num_key_value_heads"],
    [[dir, "--layers", "many"], "--layers many: expected a number"],
    [[dir, "x"], "one folder is expected, 2 came"],
  ] as const) {
    const { status, stderr } = run(...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n").length).toBe(1);
  }
});
