// The examples of Transformers' Mistral page run as they are written, under the page's own model ids. A cache folder as huggingface_hub
// lays it out holds a small model under each id.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goldenPath } from "../golden-files.ts";

const folder = join(import.meta.dirname, "../../examples/page");
const home = mkdtempSync(join(tmpdir(), "mistral-page-"));
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

beforeAll(() => {
  for (const name of ["7B-v0.1", "7B-Instruct-v0.2", "7B-Instruct-v0.3"]) {
    const repository = join(home, "hub", `models--mistralai--Mistral-${name}`);
    mkdirSync(join(repository, "refs"), { recursive: true });
    writeFileSync(join(repository, "refs/main"), COMMIT);
    for (const part of ["models/base-f32", "tokenizers/tiny"])
      cpSync(goldenPath(part), join(repository, "snapshots", COMMIT), { recursive: true });
  }
});
afterAll(() => rmSync(home, { recursive: true }));

const CONDIMENT = /^<s> My favourite condiment is./;
const MAYONNAISE =
  /^<s> \[INST\] What is your favourite condiment\? \[\/INST\] Well, .*<\/s> \[INST\] Do you have mayonnaise recipes\? \[\/INST\]./;
const NO_GPU = /^"cuda": this version computes on no GPU; .*\n$/;

/** What each must print: to standard output, and to standard error. */
const prints: Readonly<Record<string, readonly [RegExp, RegExp]>> = {
  "auto-model.ts": [MAYONNAISE, /^$/],
  "base-model.ts": [CONDIMENT, NO_GPU],
  "causal-lm.ts": [/^Hey, are you conscious\? Can you talk to me\?./, /^$/],
  "configuration.ts": [/^32 4096\n2 \d+\n$/, /^$/],
  "flash-attention.ts": [CONDIMENT, NO_GPU],
  "instruct-model.ts": [MAYONNAISE, /^$/],
  "pipeline.ts": [
    /^\[\{"generated_text":\[.*"Do you have mayonnaise recipes\?"\},\{"role":"assistant","content":".+"\}\]\}\]$/m,
    /^0: this version computes on no GPU; .*\n$/,
  ],
  "quantized-model.ts": [
    new RegExp(`"bnb_4bit_quant_type": "nf4"[^]*${MAYONNAISE.source.slice(1)}`),
    /^AutoModelForCausalLM.from_pretrained: quantization_config: true is read as .*nf4.*\n$/,
  ],
};

test("every example of the page is checked", () => {
  expect(readdirSync(folder).toSorted()).toEqual(Object.keys(prints));
});

test.each(Object.entries(prints))("%s", async (name, [output, notices]) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(folder, name)], {
    env: { ...process.env, HF_HOME: home, HF_HUB_OFFLINE: "1" },
    cwd: home,
  });
  expect(stdout).toMatch(output);
  expect(stderr).toMatch(notices);
});
