// A checkpoint of Mistral-7B's full shape (random weights, bfloat16, 14.5 GB on the disk) is quantised while it is loaded, and
// generates; then the same from a quantised checkpoint. Needs 20 GB of disk and 6 GB of memory.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { shapeConfig, writeRandomModel } from "../../src/api/measurement/random-model.ts";
import { quantize } from "../../src/index.ts";

const GiB = 2 ** 30;
const folder = mkdtempSync(join(tmpdir(), "mistral-7b-"));
const original = join(folder, "original");
const program = join(import.meta.dirname, "seven-billion-run.ts");
const minutes = (n: number): { timeout: number } => ({ timeout: n * 60_000 });

type Run = { seconds: number; peak: number; tokens: number[][] };

function run(dir: string, options: object): Run {
  const text = execFileSync(process.execPath, [program, dir, JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(String(text)) as Run;
}

function bytesIn(dir: string): number {
  return readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}

beforeAll(async () => {
  await writeRandomModel(original, shapeConfig("mistral-7b"));
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("7.24 billion weights", () => {
  const nf4 = { load_in_4bit: true, bnb_4bit_quant_type: "nf4", bnb_4bit_compute_dtype: "float16" };

  test("nf4: within 4.6 GiB, loading included", minutes(15), () => {
    const { peak, tokens } = run(original, { bitsandbytes: nf4 });
    expect(peak / GiB).toBeLessThanOrEqual(4.6);
    expect(tokens[0]).toHaveLength(32);
  });

  test("nf4 with double quantisation: within 4.3 GiB", minutes(15), () => {
    const options = { bitsandbytes: { ...nf4, bnb_4bit_use_double_quant: true } };
    expect(run(original, options).peak / GiB).toBeLessThanOrEqual(4.3);
  });

  test(
    "q4: quantised while loading, and loaded from its own checkpoint, it says the same",
    minutes(20),
    async () => {
      const saved = join(folder, "q4");
      await quantize(original, saved, { method: "q4" });
      expect(bytesIn(saved)).toBeLessThan(bytesIn(original) * 0.32);
      const loading = run(original, { quantization_config: { method: "q4" } });
      const loaded = run(saved, {});
      expect(loaded.tokens).toEqual(loading.tokens);
      expect(loaded.peak / GiB).toBeLessThanOrEqual(5);
      rmSync(saved, { recursive: true });
    },
  );
});
