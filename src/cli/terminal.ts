// Writes text to streams: removes the power of a model's text to steer a terminal, waits for slow readers, and uses colour only where it
// is wanted. Knows nothing of commands.

import { once } from "node:events";
import { styleText } from "node:util";
import { WordWrap, wrapped } from "./word-wrap.ts";

export type OutStream = NodeJS.WriteStream;

/** The streams of a command, and the signal that Ctrl-C aborts. */
export type Io = {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: OutStream;
  readonly stderr: OutStream;
  readonly interrupt: AbortSignal;
};

// C0 and C1 control characters except newline and tab; and characters of bidirectional text that can hide or reorder text.
const controls = /(?![\n\t])[\p{Cc}\u202A-\u202E\u2066-\u2069]/gu;

/** The text with escapes such as `\x1b` for characters that could move the cursor, change colours, write the clipboard or reorder text. */
export function visible(text: string): string {
  return text.replace(controls, (char) => {
    const hex = char.charCodeAt(0).toString(16);
    return hex.length > 2 ? `\\u${hex}` : `\\x${hex.padStart(2, "0")}`;
  });
}

/** Text that is not our own, as `stream` should get it: with escapes on a terminal, unchanged elsewhere. */
export function foreign(stream: OutStream, text: string): string {
  return stream.isTTY ? visible(text) : text;
}

/** Writes, and waits while the reader at the other end is slow. */
export async function write(stream: OutStream, text: string): Promise<void> {
  if (text !== "" && !stream.write(text)) await once(stream, "drain");
}

/** Where the text of a model goes, piece by piece. */
export type TextWriter = {
  write(piece: string, style?: Style): Promise<void>;
  /** Writes what was held back, and ends the last line. */
  end(): Promise<void>;
};

/**
 * Writes one text of a model. On a terminal it escapes control characters and breaks lines between words, so that the last word of a piece
 * waits for the next one; elsewhere it writes the text as it is.
 */
export function textWriter(stream: OutStream): TextWriter {
  if (!stream.isTTY) {
    return { write: (piece) => write(stream, piece), end: () => write(stream, "\n") };
  }
  const wrap = new WordWrap(() => columnsOf(stream));
  return {
    write: (piece, style) =>
      write(
        stream,
        wrap.put(visible(piece), (part) =>
          style === undefined ? part : styled(stream, style, part),
        ),
      ),
    end: () => write(stream, `${wrap.end()}\n`),
  };
}

/** Text of our own, as `stream` should get it: on a terminal with its lines broken between words. */
export function fitted(stream: OutStream, text: string): string {
  return stream.isTTY ? wrapped(text, columnsOf(stream)) : text;
}

const columnsOf = (stream: OutStream): number => stream.columns || 80;

type Style = "bold" | "dim" | "red" | "cyan";

/** The text in that style if `stream` is a terminal with colours. NO_COLOR and FORCE_COLOR have their usual effect. */
export function styled(stream: OutStream, style: Style, text: string): string {
  return styleText(style, text, { stream });
}

/** 14483464192 → "14.5 GB", in decimal units, as for disks and networks. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = count;
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** "1.5 of 14.5 GB": in the unit of the total. */
export function portion(
  part: number,
  total: number,
  show: (count: number) => string = bytes,
): string {
  const [amount, unit] = show(total).split(" ");
  const done = (part / total) * Number(amount) || 0;
  return `${amount.includes(".") ? done.toFixed(1) : Math.floor(done)} of ${amount} ${unit}`;
}

/** 93.4 → "1 min 33 s"; below ten seconds with one decimal, below a second in ms. */
export function duration(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return wholeSeconds(Math.round(seconds));
}

/** 93.4 → "1 min 34 s", 0.2 → "1 s": what is still to come, or passes, is told in seconds, rounded up. */
export function wholeSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
