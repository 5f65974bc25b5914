// `mistral run`: answers a prompt, or continues its text, and streams to stdout; speed and seed go to stderr.
// Does not know how text is generated.

import { InputError } from "../errors.ts";
import type { BatchEncoding } from "../index.ts";
import type { Arguments, FlagValues } from "./arguments.ts";
import { samplingOptions, streamContinuation, timingsLine } from "./continuation.ts";
import type { Continuation } from "./continuation.ts";
import { openModel } from "./load.ts";
import type { Opened } from "./load.ts";
import { readPrompt } from "./prompt.ts";
import { defaultRequest, introduction, storyRequest } from "./storyteller.ts";
import { foreign, styled, textWriter, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

const defaultText = "Once upon a time";
const defaultSeed = 42;
const defaultNewTokens = 300;

/** What the model gets: a text to continue, or a request to answer. */
type Task = {
  readonly kind: "text" | "answer";
  /** As it was given. */
  readonly prompt: string;
  /** The request for a story that was made of the prompt; undefined: the prompt is used as it is. */
  readonly request?: string;
};

/** @returns the exit code */
export async function run({ flags, words }: Arguments, io: Io): Promise<number> {
  const seed = flags.seed ?? defaultSeed;
  const isEmbedded = flags.model === undefined;
  samplingOptions(flags, seed); // reports contradictory flags before anything is read or loaded
  const kind = kindOf(flags, isEmbedded);
  const task = taskOf(kind, await readPrompt(words, flags["stdin-wait"], io), flags, isEmbedded);
  const opened = await openModel(flags.model, flags, io);
  const options = {
    max_new_tokens: defaultNewTokens,
    ...samplingOptions(flags, seed, opened.settings),
  };
  const usedSeed = options.do_sample ? seed : null;
  try {
    const inputs =
      kind === "answer"
        ? asRequest(opened, task.request ?? task.prompt)
        : opened.tokenizer(task.prompt, { return_tensors: "pt" });
    if (isEmbedded && !flags.quiet && !flags.json) await introduce(task, io);
    const show = flags.json ? async () => {} : textWriter(io.stdout);
    if (kind === "text") await show(task.prompt, "bold");
    const result = await streamContinuation(
      opened,
      inputs,
      kind,
      { ...options, signal: io.interrupt },
      (text) => show(text),
    );
    if (flags.json) {
      const { text, tokens, timings } = result;
      const { prompt, request } = task;
      const report = { model: opened.name, prompt, request, text, tokens, timings, seed: usedSeed };
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

/** @throws InputError both were asked for */
function kindOf(flags: FlagValues, isEmbedded: boolean): Task["kind"] {
  if (flags.chat && flags.continue) {
    throw new InputError(
      "run: --chat answers the prompt and --continue continues its text; leave one out",
    );
  }
  return flags.chat || (isEmbedded && !flags.continue) ? "answer" : "text";
}

function taskOf(
  kind: Task["kind"],
  given: string | undefined,
  flags: FlagValues,
  isEmbedded: boolean,
): Task {
  const prompt = given ?? (kind === "answer" ? defaultRequest : defaultText);
  if (!isEmbedded || kind === "text" || flags.chat) return { kind, prompt };
  const request = storyRequest(prompt);
  return request === prompt ? { kind, prompt } : { kind, prompt, request };
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

async function introduce({ kind, prompt, request = prompt }: Task, io: Io): Promise<void> {
  const use =
    kind === "text"
      ? "Another one: -m <model>."
      : `Asked: ${foreign(io.stderr, request)}\nYour text itself continued: --continue. Another model: -m <model>.`;
  const end = io.stderr.isTTY ? "\n\n" : "\n";
  await write(io.stderr, styled(io.stderr, "dim", introduction(use)) + end);
}

function closing({ timings }: Continuation, seed: number | null, { stderr }: Io): string {
  const again = seed === null ? "" : ` · seed ${seed} (another: --seed ${seed + 1})`;
  return `${stderr.isTTY ? "\n" : ""}${styled(stderr, "dim", timingsLine(timings) + again)}\n`;
}
