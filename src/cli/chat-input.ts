// The messages of a chat. From a terminal: a paste is one message, what is typed while an answer runs is kept for later, and the chat is
// told of Ctrl-C. From a pipe: each line is a message. In both, """ encloses a message of several lines. Knows nothing of models.

import { createInterface } from "node:readline";
import type { Interface } from "node:readline";
import { Writable } from "node:stream";
import { MessageLines } from "./message-lines.ts";
import type { Io, OutStream } from "./terminal.ts";

export type ChatInput = {
  /** The next message, or undefined at the end. Draws the prompt on a terminal. */
  next(): Promise<string | undefined>;
  /** `listener` is called on Ctrl-C: a terminal in raw mode sends a key instead of a signal. */
  onInterrupt(listener: () => void): void;
  close(): void;
};

/** Messages from a pipe or file, one a line; no prompt is drawn. */
export function pipeInput({ stdin, interrupt }: Io): ChatInput {
  const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY });
  const iterator = lines[Symbol.asyncIterator]();
  const texts = new MessageLines();
  interrupt.addEventListener("abort", () => lines.close(), { once: true });
  return {
    async next() {
      for (;;) {
        const { value, done } = await iterator.next();
        if (done === true) return texts.end();
        const message = texts.put(value);
        if (message !== undefined) return message;
      }
    },
    onInterrupt() {},
    close: () => lines.close(),
  };
}

/** Bracketed paste: the terminal encloses a paste in marks, which readline reports as keys. */
const pasteOn = "\u001b[?2004h";
const pasteOff = "\u001b[?2004l";

export type TerminalSettings = {
  readonly prompt: string;
  /** Within a message of several lines. */
  readonly morePrompt: string;
  /** Newest first, as readline keeps it. */
  readonly history: readonly string[];
  readonly onHistory: (history: readonly string[]) => void;
  /** Words that Tab completes at the start of a line. */
  readonly words: readonly string[];
};

/** Messages from a person at a terminal. */
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
  const texts = new MessageLines();
  let pasted: string[] = [];
  let pasting = false;
  const ended = new AbortController();
  let wake: (() => void) | undefined;
  // This runs after readline's own listener, which ignores these two keys.
  stdin.on("keypress", (_text: string | undefined, key: { name?: string }) => {
    if (key.name === "paste-start") pasting = true;
    if (key.name === "paste-end") pasting = false;
  });
  lines.on("line", (line: string) => {
    pasted.push(line);
    if (pasting) return;
    const message = texts.put(pasted.join("\n").trimEnd());
    pasted = [];
    lines.setPrompt(texts.isOpen ? settings.morePrompt : settings.prompt);
    if (message !== undefined) ready.push(message);
    wake?.();
  });
  lines.on("close", () => {
    ended.abort();
    // The cursor is behind the prompt: begin a new line.
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
        texts.end();
        lines.setPrompt(settings.prompt);
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

/** The stream on which readline draws: it passes text to the screen, unless muted. */
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
