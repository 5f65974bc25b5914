// `mistral chat`: a conversation in the terminal or over a pipe. Answers go to stdout, everything else to stderr.
// Does not know how keys are read or how text is generated.

import { EngineError, InputError, MemoryError, TemplateError } from "../errors.ts";
import type { Arguments, FlagValues } from "./arguments.ts";
import { chatCommands, isChatCommand, runChatCommand } from "./chat-commands.ts";
import type { ChatState } from "./chat-commands.ts";
import { historyPath, readHistory, writeHistory } from "./chat-history.ts";
import { pipeInput, terminalInput } from "./chat-input.ts";
import type { ChatInput } from "./chat-input.ts";
import { samplingOptions, timingsLine } from "./continuation.ts";
import { Conversation } from "./conversation.ts";
import { openModel } from "./load.ts";
import { promptProgress } from "./progress.ts";
import { introduction } from "./storyteller.ts";
import { fitted, foreign, styled, textWriter, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** Seeds are smaller than this. */
const seeds = 2 ** 31;

/** @returns the exit code */
export async function chat({ flags, words }: Arguments, io: Io): Promise<number> {
  const folder = words[0] ?? flags.model;
  const seed = flags.seed ?? Math.floor(Math.random() * seeds);
  samplingOptions(flags, seed); // reports contradictory flags before anything is loaded
  const opened = await openModel(folder, flags, io);
  const input = io.stdin.isTTY ? personAt(io, flags["no-history"]) : pipeInput(io);
  try {
    const conversation = new Conversation(opened);
    if (flags.system !== undefined) conversation.instruct(flags.system);
    const session = new ChatSession(conversation, input, flags, seed, io);
    if (io.stdin.isTTY) await session.greet(opened.name, folder === undefined);
    return await session.run();
  } finally {
    input.close();
    await opened.model.dispose();
  }
}

/** Input from a terminal, with earlier questions from a file. If the file cannot be used, the user is told once. */
function personAt(io: Io, noHistory: boolean): ChatInput {
  const path = historyPath();
  let keep = !noHistory;
  const attempt = <T>(action: () => T, otherwise: T): T => {
    if (!keep) return otherwise;
    try {
      return action();
    } catch (error) {
      keep = false;
      const why = error instanceof Error ? error.message : String(error);
      io.stderr.write(`earlier questions are not kept: ${foreign(io.stderr, why)}\n`);
      return otherwise;
    }
  };
  const screen = io.stdout.isTTY ? io.stdout : io.stderr;
  return terminalInput(io, {
    prompt: styled(screen, "cyan", "> "),
    morePrompt: styled(screen, "cyan", "… "),
    history: attempt(() => readHistory(path), []),
    onHistory: (history) => attempt(() => writeHistory(path, history), undefined),
    words: chatCommands,
  });
}

class ChatSession {
  readonly #conversation: Conversation;
  readonly #input: ChatInput;
  readonly #state: ChatState;
  readonly #io: Io;
  readonly #quiet: boolean;
  #answering: AbortController | undefined;
  /** "asked" after the first Ctrl-C, "yes" after a second one in a row. */
  #leaving: "no" | "asked" | "yes" = "no";

  constructor(
    conversation: Conversation,
    input: ChatInput,
    flags: FlagValues,
    seed: number,
    io: Io,
  ) {
    this.#conversation = conversation;
    this.#input = input;
    this.#io = io;
    this.#quiet = flags.quiet || !io.stdin.isTTY;
    this.#state = { conversation, flags, seed };
    input.onInterrupt(() => this.#interrupted());
  }

  async greet(name: string, embedded: boolean): Promise<void> {
    const lines = [
      `${embedded ? `embedded model (${name})` : name} · /help lists commands, Ctrl-D leaves`,
    ];
    if (embedded) lines.push(introduction, "Try: Tell me a story about a little dog named Max.");
    if (!this.#conversation.hasTemplate) {
      lines.push("It has no chat template: what you type is continued as plain text.");
    }
    await this.#say(lines.join("\n"));
  }

  async run(): Promise<number> {
    for (;;) {
      const message = await this.#input.next();
      if (this.#leaving === "yes" || this.#io.interrupt.aborted) return 130;
      if (message === undefined) return 0;
      this.#leaving = "no";
      try {
        if (!isChatCommand(message)) await this.#answer(message);
        else if (await this.#command(message)) return 0;
      } catch (error) {
        // A person reads the error and goes on; a pipe ends with it.
        if (!this.#io.stdin.isTTY || !isExpected(error)) throw error;
        const { stderr } = this.#io;
        await write(stderr, `${fitted(stderr, foreign(stderr, error.message))}\n`);
      }
    }
  }

  async #command(line: string): Promise<boolean> {
    const { show, leave } = await runChatCommand(line, this.#state);
    const { stderr } = this.#io;
    if (show !== "") await write(stderr, `${fitted(stderr, foreign(stderr, show))}\n`);
    return leave === true;
  }

  async #answer(message: string): Promise<void> {
    const { stdout, stderr, interrupt } = this.#io;
    const stop = new AbortController();
    this.#answering = stop;
    const text = textWriter(stdout);
    let progress: ReturnType<typeof promptProgress> | undefined;
    try {
      const signal = AbortSignal.any([interrupt, stop.signal]);
      if (this.#io.stdin.isTTY && /^\s*(exit|quit)\s*$/i.test(message)) {
        await this.#say("(/exit leaves)");
      }
      const { flags, seed } = this.#state;
      const { timings } = await this.#conversation.answer(message, {
        ...{ flags, seed, signal },
        onPrompt: (tokens) => {
          if (!this.#quiet) progress = promptProgress(stderr, tokens);
        },
        onProgress: (step) => progress?.onProgress(step),
        onText: (piece) => {
          progress?.done();
          return text.write(piece);
        },
      });
      this.#state.seed = (seed + 1) % seeds;
      progress?.done();
      await text.end();
      await this.#say(`${timingsLine(timings)}\n`);
    } catch (error) {
      progress?.done();
      if (!stop.signal.aborted) throw error;
      await text.end();
      await this.#say("stopped; Ctrl-C again leaves\n");
    } finally {
      this.#answering = undefined;
    }
  }

  #interrupted(): void {
    if (this.#leaving === "asked") {
      this.#leaving = "yes";
      this.#input.close();
      return;
    }
    this.#leaving = "asked";
    if (this.#answering === undefined)
      void this.#say("\nCtrl-C again leaves, and so do /exit and Ctrl-D");
    else this.#answering.abort(new DOMException("stopped", "AbortError"));
  }

  async #say(text: string): Promise<void> {
    const { stderr } = this.#io;
    if (!this.#quiet) await write(stderr, `${styled(stderr, "dim", fitted(stderr, text))}\n`);
  }
}

const isExpected = (error: unknown): error is Error =>
  error instanceof InputError ||
  error instanceof TemplateError ||
  error instanceof MemoryError ||
  error instanceof EngineError;
