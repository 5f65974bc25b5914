// The declarations compile in strict projects, with and without the types of the DOM and of Node, libraries checked too.

import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { makeProject } from "./project.ts";

const root = join(import.meta.dirname, "../..");
const withNode = { types: ["node"], typeRoots: [join(root, "node_modules/@types")] };

const PROGRAM = `
import { AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer, torch } from "@mistral-ts/mistral";
const model = await AutoModelForCausalLM.from_pretrained("a", { dtype: torch.float16 });
const tokenizer = await AutoTokenizer.from_pretrained("a");
const streamer = new TextIteratorStreamer(tokenizer, { skip_prompt: true });
const inputs = tokenizer("a", { return_tensors: "pt" }).to(model.device);
const done = model.generate({ ...inputs, streamer, max_new_tokens: 5 });
for await (const text of streamer) text.trim();
const ids: readonly number[] = (await done).dims;
const streamed: boolean = streamer.readable.locked;
await model.dispose();
`;
const SIGNAL = `
import { type LoadOptions } from "@mistral-ts/mistral";
const options: LoadOptions = { signal: AbortSignal.timeout(5) };
options.signal?.throwIfAborted();
`;

test.each([
  ["neither DOM nor Node", { lib: ["es2024"] }, PROGRAM],
  ["an older library", { lib: ["es2022"], target: "es2022" }, PROGRAM],
  ["the DOM alone", { lib: ["es2024", "dom"] }, PROGRAM + SIGNAL],
  ["Node alone", withNode, PROGRAM + SIGNAL],
  ["everything", { ...withNode, lib: ["esnext", "dom", "dom.iterable"] }, PROGRAM + SIGNAL],
  ["exact optional properties", { exactOptionalPropertyTypes: true }, PROGRAM],
])("a project with %s", async (_, options, program) => {
  const folder = makeProject(options);
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "program.ts"), program);
  const tsc = promisify(execFile)(join(root, "node_modules/.bin/tsc"), ["-p", folder]);
  expect(await tsc.catch(({ stdout }: { stdout: string }) => ({ stdout }))).toMatchObject({
    stdout: "",
  });
});
