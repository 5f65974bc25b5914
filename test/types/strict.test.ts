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
const PIPELINES = `
import { type ChatMessage, pipeline } from "@mistral-ts/mistral";
const chat = [{ role: "user", content: "a" }];
const generate = await pipeline("text-generation", "a");
const messages: ChatMessage[] = (await generate(chat))[0].generated_text;
const more: ChatMessage[] = (await generate([chat, chat], { max_new_tokens: 5 }))[0][0].generated_text;
const answer: string = (await generate(chat, { return_full_text: false }))[0].generated_text;
const answers: string = (await generate([chat], { return_full_text: false }))[0][0].generated_text;
const continued: string = (await generate("a", { max_new_tokens: 5 }))[0].generated_text;
const either: string | ChatMessage[] = (await generate(chat, { return_full_text: messages.length > 1 }))[0].generated_text;
const brief = await pipeline("text-generation", "a", { return_full_text: false });
const alone: string = (await brief(chat))[0].generated_text;
const whole: ChatMessage[] = (await brief(chat, { return_full_text: true }))[0].generated_text;
const embed = await pipeline("feature-extraction", undefined, { pooling: "last", normalize: true });
const v = await embed(["a", "b"]);
const cosine = v[0].reduce((sum, _, i) => sum + v[0][i] * v[1][i], 0);
const one: number[] = await embed("a");
const dims: readonly number[] = (await embed("a", { return_tensors: true })).dims;
const tokens: number[][][] = await embed("a", { pooling: "none" });
const features = await pipeline("feature-extraction");
const each: number[][][] = await features("a");
const pooled: number[][] = await features(["a"], { pooling: "mean" });
const product: number = pooled[0][0] * pooled[0][1];
await embed.dispose();
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
  ["results of pipelines", { lib: ["es2024"] }, PIPELINES],
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
