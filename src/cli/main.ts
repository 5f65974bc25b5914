// Chooses the command by the arguments, runs it, and turns its outcome into an exit code: 0 done, 1 failed, 2 wrong usage, 130
// interrupted. An error is one line, then a line with the next step; MISTRAL_DEBUG adds the stack. If the reader of stdout has gone,
// the process ends without a message. Does not know what a command does.

import manifest from "../../package.json" with { type: "json" };
import { unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { parseArguments } from "./arguments.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandName } from "./commands.ts";
import { inCommandWords } from "./command-words.ts";
import { commandHelp, commandNamed, generalHelp, topicHelp } from "./help.ts";
import { nextStep } from "./next-step.ts";
import { fitted, foreign, styled, write } from "./terminal.ts";
import type { Io, OutStream } from "./terminal.ts";

type Run = (args: Arguments, io: Io) => Promise<number>;

// A command's module is imported when it runs, so help and usage errors do not load the engine.
const runs: Readonly<Record<CommandName, () => Promise<Run>>> = {
  run: async () => (await import("./run.ts")).run,
  chat: async () => (await import("./chat.ts")).chat,
  pull: async () => (await import("./pull.ts")).pull,
  ls: async () => (await import("./cached.ts")).list,
  rm: async () => (await import("./cached.ts")).remove,
  verify: async () => (await import("./cached.ts")).verify,
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
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error) => onOutputError(stream, error));
  }
  const known: Known = {};
  // The process belongs to the command: what the library warns of is told in the command's words too.
  console.warn = (message: unknown) =>
    void stderr.write(
      `${fitted(stderr, foreign(stderr, inCommandWords(String(message), known.command)))}\n`,
    );
  try {
    return await dispatch(argv, io, known);
  } catch (error) {
    if (controller.signal.aborted) return 130;
    // Somebody was asked and did not say yes: that is no fault.
    if (error instanceof DOMException && error.name === "AbortError") {
      await write(stderr, `${error.message}\n`);
      return 1;
    }
    await report(error, known, io);
    return error instanceof InputError ? 2 : 1;
  }
}

/** What the arguments turned out to be, as far as they were understood. */
type Known = { command?: CommandName; args?: Arguments };

async function dispatch(
  [first, ...rest]: readonly string[],
  io: Io,
  known: Known,
): Promise<number> {
  if (first === undefined || first === "--help" || first === "-h") {
    await write(io.stdout, fitted(io.stdout, generalHelp()));
    return 0;
  }
  if (first === "--version" || first === "-v") {
    await write(io.stdout, `${manifest.version}\n`);
    return 0;
  }
  if (first.startsWith("-")) {
    const flags = ["--version", "--help"];
    throw new InputError(`${unknownName("flag", first, flags)} (other flags follow a command)`);
  }
  const name = commandNamed(first);
  known.command = name;
  const args = parseArguments(name, rest);
  known.args = args;
  if (args.flags.help) {
    await write(io.stdout, fitted(io.stdout, commandHelp(name)));
    return 0;
  }
  return (await runs[name]())(args, io);
}

async function help({ words }: Arguments, io: Io): Promise<number> {
  const text = words.length === 0 ? generalHelp() : topicHelp(words[0]);
  await write(io.stdout, fitted(io.stdout, text));
  return 0;
}

async function report(error: unknown, { command, args }: Known, io: Io): Promise<void> {
  const { stderr } = io;
  const told = error instanceof Error ? error.message : String(error);
  const message = inCommandWords(oneLine(told), command);
  const label = styled(stderr, "red", "mistral:");
  const text = `${label} ${foreign(stderr, message)}\n  → ${nextStep(error, command, args)}\n`;
  await write(stderr, fitted(stderr, text));
  if (process.env.MISTRAL_DEBUG && error instanceof Error) {
    await write(stderr, `${foreign(stderr, error.stack ?? "")}\n`);
  }
}

const oneLine = (message: string): string => message.trim().replace(/\s*\n\s*/g, " · ");

/** Ends the process when nothing can be written any more. */
function onOutputError(stream: OutStream, error: NodeJS.ErrnoException): void {
  // Nobody reads any more, as in `mistral run | head -1`.
  if (error.code === "EPIPE") process.exit(0);
  if (stream === process.stdout) {
    process.stderr.write(
      `mistral: the output cannot be written: ${error.message}\n  → free space there, or send it elsewhere\n`,
    );
  }
  process.exit(1);
}
