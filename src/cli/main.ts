// Chooses the command by the arguments, runs it, and turns its outcome into an exit code: 0 done, 1 failed, 2 wrong usage, 130
// interrupted. An error is one line, then a line with the next step; MISTRAL_DEBUG adds the stack. If the reader of stdout has gone,
// the process ends without a message. Does not know what a command does.

import manifest from "../../package.json" with { type: "json" };
import { unknownName } from "../did-you-mean.ts";
import { CheckpointError, EngineError, InputError, MemoryError, TemplateError } from "../errors.ts";
import { parseArguments } from "./arguments.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandName } from "./commands.ts";
import { commandHelp, commandNamed, generalHelp, topicHelp } from "./help.ts";
import { foreign, styled, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

type Run = (args: Arguments, io: Io) => Promise<number>;

// A command's module is imported when it runs, so help and usage errors do not load the engine.
const runs: Readonly<Record<CommandName, () => Promise<Run>>> = {
  run: async () => (await import("./run.ts")).run,
  chat: async () => (await import("./chat.ts")).chat,
  quantize: async () => (await import("./quantize.ts")).runQuantize,
  bench: async () => (await import("./bench.ts")).bench,
  eval: async () => (await import("./eval.ts")).evaluate,
  doctor: async () => (await import("./doctor.ts")).doctor,
  help: () => Promise.resolve(help),
};

/** Runs one command line. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const { stdin, stdout, stderr } = process;
  const io: Io = { stdin, stdout, stderr, interrupt: controller.signal };
  process.on("SIGINT", () => {
    // A second Ctrl-C ends the process at once.
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new DOMException("interrupted", "AbortError"));
  });
  for (const stream of [stdout, stderr]) stream.on("error", onStreamError);
  const command = argv[0] ?? "";
  try {
    return await dispatch(argv, io);
  } catch (error) {
    if (controller.signal.aborted) return 130;
    await report(error, command, io);
    return error instanceof InputError ? 2 : 1;
  }
}

async function dispatch([first, ...rest]: readonly string[], io: Io): Promise<number> {
  if (first === undefined || first === "--help" || first === "-h") {
    await write(io.stdout, generalHelp());
    return 0;
  }
  if (first === "--version" || first === "-v") {
    await write(io.stdout, `${manifest.version}\n`);
    return 0;
  }
  if (first.startsWith("-")) {
    const known = ["--version", "--help"];
    throw new InputError(`${unknownName("flag", first, known)} (other flags follow a command)`);
  }
  const name = commandNamed(first);
  const args = parseArguments(name, rest);
  if (args.flags.help) {
    await write(io.stdout, commandHelp(name));
    return 0;
  }
  return (await runs[name]())(args, io);
}

async function help({ words }: Arguments, io: Io): Promise<number> {
  await write(io.stdout, words.length === 0 ? generalHelp() : topicHelp(words[0]));
  return 0;
}

async function report(error: unknown, command: string, io: Io): Promise<void> {
  const message = error instanceof Error ? error.message : String(error);
  const label = styled(io.stderr, "red", "mistral:");
  await write(
    io.stderr,
    `${label} ${foreign(io.stderr, oneLine(message))}\n  → ${nextStep(error, command)}\n`,
  );
  if (process.env.MISTRAL_DEBUG && error instanceof Error) {
    await write(io.stderr, `${foreign(io.stderr, error.stack ?? "")}\n`);
  }
}

const oneLine = (message: string): string => message.trim().replace(/\s*\n\s*/g, " · ");

function nextStep(error: unknown, command: string): string {
  if (error instanceof InputError) {
    return Object.hasOwn(runs, command) && command !== "help"
      ? `see: mistral ${command} --help`
      : "see: mistral help";
  }
  if (error instanceof CheckpointError && command === "quantize") {
    return "nothing was written; check the model's folder, and the disk of the new one";
  }
  if (error instanceof CheckpointError) {
    return "check the folder of --model; without it the embedded model is used";
  }
  if (error instanceof MemoryError) return "see what this machine has: mistral doctor";
  if (error instanceof TemplateError)
    return "run without the chat template: mistral run, without --chat";
  if (error instanceof EngineError)
    return "try again; if it stays, try --device reference, and report it with: mistral doctor --json";
  return "this is a fault of mistral: run it again with MISTRAL_DEBUG=1 and report what it prints";
}

function onStreamError(error: NodeJS.ErrnoException): void {
  // Nobody reads any more, as in `mistral run | head -1`.
  if (error.code === "EPIPE") process.exit(0);
  throw error;
}
