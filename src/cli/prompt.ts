// Finds the prompt of `run`: words on the command line, else a pipe, else a default. Knows nothing of models.

import { addAbortSignal } from "node:stream";
import { InputError } from "../errors.ts";
import { bytes } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** The longest prompt that is read from a pipe: 64 MiB, longer than any context and small enough to hold. */
const longest = 64 * 2 ** 20;

/**
 * The prompt: these words; if there are none, the text of stdin, unless it is a terminal; if that is empty, `otherwise`.
 * @param waitSeconds how long to wait for the first byte of a pipe; undefined: without limit
 * @throws InputError a text on stdin that is too long or not UTF-8
 */
export async function readPrompt(
  words: readonly string[],
  otherwise: string,
  waitSeconds: number | undefined,
  io: Io,
): Promise<string> {
  const given = words.join(" ");
  if (given.trim() !== "") return given;
  const piped = io.stdin.isTTY ? "" : await readPipe(waitSeconds, io);
  const prompt = piped.replace(/\r?\n$/, "");
  return prompt.trim() === "" ? otherwise : prompt;
}

async function readPipe(
  waitSeconds: number | undefined,
  { stdin, stderr, interrupt }: Io,
): Promise<string> {
  addAbortSignal(interrupt, stdin);
  const pieces: Buffer[] = [];
  let size = 0;
  const notice = setTimeout(() => {
    stderr.write(
      'reading the prompt from stdin … (or give it as an argument: mistral run "Once upon a time")\n',
    );
  }, 2000);
  let late = false;
  const limit =
    waitSeconds === undefined
      ? undefined
      : setTimeout(() => {
          late = true;
          stdin.destroy();
        }, waitSeconds * 1000);
  try {
    for await (const piece of stdin as AsyncIterable<Buffer>) {
      clearTimeout(limit);
      clearTimeout(notice);
      pieces.push(piece);
      size += piece.length;
      if (size > longest)
        throw new InputError(
          `the prompt on stdin is longer than ${bytes(longest)}; give a shorter one`,
        );
    }
  } catch (error) {
    if (!late) throw error;
  } finally {
    clearTimeout(limit);
    clearTimeout(notice);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces));
  } catch (cause) {
    throw new InputError(
      "the prompt on stdin is not UTF-8 text; convert it, for example with iconv",
      { cause },
    );
  }
}
