// `mistral run`: answers a prompt, or continues its text, and streams to stdout; speed and seed go to stderr.
// Does not know how text is generated.

import { InputError } from "../errors.ts";
import type { BatchEncoding, GenerateOptions } from "../index.ts";
import type { Arguments, FlagValues } from "./arguments.ts";
import { promptLength, samplingOptions, streamContinuation, timingsLine } from "./continuation.ts";
import type { Continuation } from "./continuation.ts";
import { checkSystem } from "./conversation.ts";
import { openModel } from "./load.ts";
import type { Opened } from "./load.ts";
import { promptProgress } from "./progress.ts";
import { readPrompt } from "./prompt.ts";
import { defaultRequest, introduction, storyRequest } from "./storyteller.ts";
import { fitted, foreign, styled, textWriter, write } from "./terminal.ts";
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
  const isQuiet = flags.quiet || flags.json;
  try {
    const inputs = encoded(task, flags, opened);
    if (isEmbedded && !isQuiet) await introduce(task, io);
    const options = {
      ...{ max_new_tokens: defaultNewTokens, ...samplingOptions(flags, seed, opened.settings) },
      signal: io.interrupt,
    };
    const result = flags.json
      ? await streamContinuation(opened, inputs, kind, options, async () => {})
      : await told(opened, inputs, task, options, flags, io);
    const usedSeed = options.do_sample ? seed : null;
    if (flags.json) {
      const { text, tokens, timings } = result;
      const { prompt, request } = task;
      const report = { model: opened.name, prompt, request, text, tokens, timings, seed: usedSeed };
      await write(io.stdout, `${JSON.stringify(report)}\n`);
    } else if (!isQuiet) await write(io.stderr, closing(result, usedSeed, io));
    return 0;
  } finally {
    await opened.model.dispose();
  }
}

/** Writes prompt and continuation as it comes, or the answer. Whatever happens, the line is ended on a terminal. */
async function told(
  opened: Opened,
  inputs: BatchEncoding,
  { kind, prompt }: Task,
  options: GenerateOptions,
  { quiet }: FlagValues,
  { stdout, stderr }: Io,
): Promise<Continuation> {
  const progress = quiet ? undefined : promptProgress(stderr, promptLength(inputs));
  const text = textWriter(stdout);
  // The prompt's text is written when the progress of reading it has gone: both may be on one terminal.
  let isBegun = kind === "answer";
  const begin = async (): Promise<void> => {
    progress?.done();
    if (!isBegun) await text.write(prompt, "bold");
    isBegun = true;
  };
  try {
    const result = await streamContinuation(
      opened,
      inputs,
      kind,
      { ...options, onProgress: progress?.onProgress },
      async (piece) => {
        await begin();
        await text.write(piece);
      },
    );
    await begin();
    await text.end();
    return result;
  } catch (error) {
    progress?.done();
    if (stdout.isTTY && isBegun) await text.end();
    throw error;
  }
}

/** @throws InputError both were asked for */
function kindOf(flags: FlagValues, isEmbedded: boolean): Task["kind"] {
  const asked = flags.chat ? "--chat" : flags.system === undefined ? undefined : "--system";
  if (asked !== undefined && flags.continue) {
    throw new InputError(
      `run: ${asked} has the prompt answered and --continue its text continued; leave one out`,
    );
  }
  return asked !== undefined || (isEmbedded && !flags.continue) ? "answer" : "text";
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

/** @throws InputError the model has no chat template, or one without a system message */
function encoded(
  { kind, prompt, request = prompt }: Task,
  { system }: FlagValues,
  opened: Opened,
): BatchEncoding {
  const { tokenizer, name } = opened;
  if (kind === "text") return tokenizer(prompt, { return_tensors: "pt" });
  if (!tokenizer.canChat) {
    throw new InputError(
      `--chat: ${name} has no chat template; leave --chat out to continue the text`,
    );
  }
  if (system !== undefined) checkSystem(opened, system);
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: request },
  ];
  return tokenizer.apply_chat_template(messages, {
    add_generation_prompt: true,
    return_tensors: "pt",
  });
}

async function introduce({ kind, prompt, request = prompt }: Task, { stderr }: Io): Promise<void> {
  const use =
    kind === "text"
      ? "Another model: -m <model>."
      : `Asked: ${foreign(stderr, request)} (--continue: your text itself continued; -m <model>: another model)`;
  const text = fitted(stderr, `${introduction}\n${use}`);
  await write(stderr, `${styled(stderr, "dim", text)}${stderr.isTTY ? "\n\n" : "\n"}`);
}

function closing({ timings }: Continuation, seed: number | null, { stderr }: Io): string {
  const again = seed === null ? "" : ` · seed ${seed} (another: --seed ${seed + 1})`;
  const text = fitted(stderr, timingsLine(timings) + again);
  return `${stderr.isTTY ? "\n" : ""}${styled(stderr, "dim", text)}\n`;
}
