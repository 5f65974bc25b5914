// Random models against Transformers itself: shapes, windows, rope types, activations, formats, masks on either side and with
// holes. bench/.venv holds Transformers (bash bench/setup.sh).

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AutoModelForCausalLM, type GenerateOptions } from "../../src/index.ts";

const python = join(import.meta.dirname, "../../bench/.venv/bin/python");

type Case = {
  n: number;
  side: string;
  input_ids: number[][];
  attention_mask: number[][];
  prompt_mask: number[][];
  logits: number[][][];
  last: number[][][];
  kwargs: GenerateOptions;
  sequences: number[][] | null;
};

/** As for the goldens; logits here have a standard deviation of 1 to 3. */
const TOLERANCE = 2e-4;
const COUNT = 40;

describe.each([1, 2])("seed %i", (seed) => {
  test("logits, hidden states and greedy ids", { timeout: 600_000 }, async () => {
    expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
    const folder = mkdtempSync(join(tmpdir(), "mistral-models-"));
    try {
      const script = join(import.meta.dirname, "model_cases.py");
      execFileSync(python, [script, folder, String(seed), String(COUNT)], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      const cases = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")) as Case[];
      expect(cases).toHaveLength(COUNT);
      expect(cases.filter(({ sequences }) => sequences !== null).length).toBeGreaterThan(COUNT / 2);
      for (const c of cases) {
        for (const attn_implementation of ["sdpa", "eager"] as const)
          await compare(join(folder, String(c.n)), c, attn_implementation);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

async function compare(dir: string, c: Case, attn_implementation: "sdpa" | "eager"): Promise<void> {
  await using model = await AutoModelForCausalLM.from_pretrained(dir, { attn_implementation });
  const { input_ids, attention_mask } = c;
  const out = await model({
    input_ids,
    attention_mask,
    output_hidden_states: true,
    use_cache: false,
  });
  const label = `case ${c.n} (${c.side}, ${attn_implementation}) ${readFileSync(join(dir, "config.json"), "utf8")}`;
  expectClose(out.logits.tolist() as number[][][], c.logits, attention_mask, label);
  expectClose(out.hidden_states?.at(-1)?.tolist() as number[][][], c.last, attention_mask, label);
  if (c.sequences === null) return;
  const ids = await model.generate({ input_ids, attention_mask: c.prompt_mask, ...c.kwargs });
  expect(ids.tolist(), label).toEqual(c.sequences);
}

/** Padded places are not compared. */
function expectClose(got: number[][][], want: number[][][], mask: number[][], label: string): void {
  let worst = 0;
  want.forEach((row, b) =>
    row.forEach((values, s) => {
      if (mask[b][s] === 1)
        values.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - got[b][s][i]))));
    }),
  );
  expect(worst, label).toBeLessThanOrEqual(TOLERANCE);
}
