// `mistral run`: continues a prompt, or answers it with --chat, and streams to stdout; speed and seed go to stderr.
// Does not know how text is generated.

import { InputError } from "../errors.ts";
import type { BatchEncoding } from "../index.ts";
import type { Arguments } from "./arguments.ts";
import { samplingOptions, streamContinuation, timingsLine } from "./continuation.ts";
import type { Continuation } from "./continuation.ts";
import { openModel } from "./load.ts";
import type { Opened } from "./load.ts";
import { readPrompt } from "./prompt.ts";
import { styled, textWriter, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

const defaultPrompt = "Once upon a time";
const defaultRequest = "Tell me a story.";
const defaultSeed = 42;
const defaultNewTokens = 300;

/** @returns the exit code */
export async function run({ flags, words }: Arguments, io: Io): Promise<number> {
  const seed = flags.seed ?? defaultSeed;
  const options = { max_new_tokens: defaultNewTokens, ...samplingOptions(flags, seed) };
  const prompt = await readPrompt(
    words,
    flags.chat ? defaultRequest : defaultPrompt,
    flags["stdin-wait"],
    io,
  );
  const opened = await openModel(flags.model, flags, io);
  const usedSeed = options.do_sample ? seed : null;
  try {
    const inputs = flags.chat
      ? asRequest(opened, prompt)
      : opened.tokenizer(prompt, { return_tensors: "pt" });
    const show = flags.json ? async () => {} : textWriter(io.stdout);
    if (!flags.chat) await show(prompt, "bold");
    const result = await streamContinuation(
      opened,
      inputs,
      flags.chat ? "answer" : "text",
      { ...options, signal: io.interrupt },
      (text) => show(text),
    );
    if (flags.json) {
      const { text, tokens, timings } = result;
      const report = { model: opened.name, prompt, text, tokens, timings, seed: usedSeed };
      await write(io.stdout, `${JSON.stringify(report)}\n`);
    } else {
      await write(io.stdout, "\n");
      if (!flags.quiet) await write(io.stderr, closing(result, usedSeed, io));
    }
    return 0;
  } catch (error) {
    // Ends the line of the story, so that the error message begins a new one.
    if (io.stdout.isTTY && !flags.json) await write(io.stdout, "\n");
    throw error;
  } finally {
    await opened.model.dispose();
  }
}

function asRequest({ tokenizer, name }: Opened, prompt: string): BatchEncoding {
  if (!tokenizer.chat_template) {
    throw new InputError(
      `--chat: ${name} has no chat template; leave --chat out to continue the text`,
    );
  }
  return tokenizer.apply_chat_template([{ role: "user", content: prompt }], {
    add_generation_prompt: true,
    return_tensors: "pt",
  });
}

function closing({ timings }: Continuation, seed: number | null, { stderr }: Io): string {
  const again = seed === null ? "" : ` · seed ${seed} (another: --seed ${seed + 1})`;
  return `${stderr.isTTY ? "\n" : ""}${styled(stderr, "dim", timingsLine(timings) + again)}\n`;
}
