// Messages from a person: whole pastes as one message, typing while an answer runs kept for later, Ctrl-C told to the chat.
// From a pipe: one message a line. Knows nothing of models.

import { createInterface } from "node:readline";
import type { Interface } from "node:readline";
import { Writable } from "node:stream";
import type { Io, OutStream } from "./terminal.ts";

export type ChatInput = {
  /** The next message, or undefined when there will be none. Draws the prompt on a terminal. */
  next(): Promise<string | undefined>;
  /** Called on Ctrl-C where the terminal does not turn it into a signal. */
  onInterrupt(listener: () => void): void;
  close(): void;
};

/** Lines of a pipe or file; no prompt is drawn. */
export function pipeInput({ stdin, interrupt }: Io): ChatInput {
  const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY });
  const iterator = lines[Symbol.asyncIterator]();
  interrupt.addEventListener("abort", () => lines.close(), { once: true });
  return {
    async next() {
      for (;;) {
        const { value, done } = await iterator.next();
        if (done === true) return undefined;
        if (value.trim() !== "") return value;
      }
    },
    onInterrupt() {},
    close: () => lines.close(),
  };
}

const pasteOn = "\u001b[?2004h";
const pasteOff = "\u001b[?2004l";

export type TerminalSettings = {
  readonly prompt: string;
  /** Newest first, as readline keeps it. */
  readonly history: readonly string[];
  readonly onHistory: (history: readonly string[]) => void;
  /** Words that Tab completes at the start of a line. */
  readonly words: readonly string[];
};

/** A person at a terminal. */
export function terminalInput(
  { stdin, stdout, stderr, interrupt }: Io,
  settings: TerminalSettings,
): ChatInput {
  const screen = stdout.isTTY ? stdout : stderr;
  const echo = new Echo(screen);
  const lines: Interface = createInterface({
    input: stdin,
    output: echo,
    terminal: true,
    prompt: settings.prompt,
    history: [...settings.history],
    historySize: 1000,
    removeHistoryDuplicates: true,
    completer: (line: string) => [settings.words.filter((word) => word.startsWith(line)), line],
  });
  lines.on("history", (history: string[]) => settings.onHistory(history));

  const ready: string[] = [];
  let pasted: string[] = [];
  let pasting = false;
  const ended = new AbortController();
  let wake: (() => void) | undefined;
  // Registered after readline's own listener, which knows these two keys and does nothing.
  stdin.on("keypress", (_text: string | undefined, key: { name?: string }) => {
    if (key.name === "paste-start") pasting = true;
    if (key.name === "paste-end") pasting = false;
  });
  lines.on("line", (line: string) => {
    pasted.push(line);
    if (pasting) return;
    const message = pasted.join("\n").trimEnd();
    pasted = [];
    if (message !== "") ready.push(message);
    wake?.();
  });
  lines.on("close", () => {
    ended.abort();
    // The cursor stands behind the prompt.
    if (wake !== undefined) screen.write("\n");
    wake?.();
  });
  interrupt.addEventListener("abort", () => lines.close(), { once: true });
  screen.write(pasteOn);

  return {
    async next() {
      while (ready.length === 0 && !ended.signal.aborted) {
        echo.muted = false;
        lines.prompt(true);
        await new Promise<void>((resolve) => (wake = resolve));
        wake = undefined;
      }
      // What is typed while the answer comes is kept, and shown with the next prompt.
      echo.muted = true;
      return ready.shift();
    },
    onInterrupt(listener) {
      lines.on("SIGINT", () => {
        pasted = [];
        pasting = false;
        lines.write(null, { ctrl: true, name: "e" });
        lines.write(null, { ctrl: true, name: "u" });
        listener();
        wake?.();
      });
    },
    close() {
      if (!ended.signal.aborted) lines.close();
      screen.write(pasteOff);
    },
  };
}

/** Where readline draws: the screen, unless muted. */
class Echo extends Writable {
  muted = false;
  readonly #screen: OutStream;

  constructor(screen: OutStream) {
    super({ decodeStrings: false });
    this.#screen = screen;
    screen.on("resize", () => this.emit("resize"));
  }

  get columns(): number {
    return this.#screen.columns;
  }

  get rows(): number {
    return this.#screen.rows;
  }

  override _write(text: string, _encoding: BufferEncoding, done: () => void): void {
    if (!this.muted) this.#screen.write(text);
    done();
  }
}
