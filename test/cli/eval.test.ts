// `mistral eval` as people start it: the same numbers as the API, and errors with a remedy.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { AutoModelForCausalLM, AutoTokenizer, defaultModel, perplexity } from "../../src/index.ts";

const cli = join(import.meta.dirname, "../../src/cli.ts");
const folder = mkdtempSync(join(tmpdir(), "eval-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const story = `${"Once upon a time, there was a little girl named Lily. She had a red ball. ".repeat(6)}\n`;
const file = join(folder, "story.txt");
writeFileSync(file, story);
writeFileSync(join(folder, "not-text.bin"), Uint8Array.of(0xff, 0xfe, 0x00));

const evaluate = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [cli, "eval", ...args], {
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
  });

test("ppl: the number of the API, for people and as JSON", async () => {
  const dir = await defaultModel();
  const tokenizer = await AutoTokenizer.from_pretrained(dir);
  const model = await AutoModelForCausalLM.from_pretrained(dir, { threads: 1 });
  const settings = { max_length: 64, stride: 16 };
  const expected = await perplexity(model, tokenizer(story).input_ids as number[], settings);
  await model.dispose();

  const args = ["ppl", "--file", file, "--max-length", "64", "--stride", "16"];
  const [json, text] = await Promise.all([evaluate(...args, "--json"), evaluate(...args)]);
  expect(JSON.parse(json.stdout)).toMatchObject({
    model: "stories",
    file: "story.txt",
    ...expected,
  });
  expect(expected.perplexity).toBeLessThan(20);
  expect(text.stdout).toContain(`  perplexity          ${expected.perplexity.toFixed(4)} (`);
  expect(text.stdout).toContain("windows of 64 that move by 16");
  expect(json.stderr + text.stderr).toBe("");
});

test("kl: against the same model as it is, by default", async () => {
  const { stdout } = await evaluate("kl", "-f", file, "--dtype", "float16", "--json");
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ reference: "stories", dtype: "float16", top1_agreement: 1 });
  expect(result.kl).toBeLessThan(1e-6);
  expect(result.perplexity / result.reference_perplexity).toBeCloseTo(1, 4);
});

test.each([
  [[], /write eval ppl or eval kl/],
  [["pll", "-f", file], /did you mean "ppl"/],
  [["ppl"], /name a file with --file/],
  [["ppl", "-f", join(folder, "none.txt")], /ENOENT.*is the path right/],
  [["ppl", "-f", join(folder, "not-text.bin")], /not UTF-8/],
  [["ppl", "-f", file, "--reference", folder], /--reference is for eval kl/],
  [["ppl", "-f", file, "--stride", "99", "--max-length", "50"], /stride: 99: expected .* to 50/],
  [["ppl", "-f", file, "--strid", "9"], /did you mean "--stride"/],
])("%j is refused", async (args, message) => {
  const failed: unknown = await evaluate(...args).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
});
