// Finds the prompt of `run`: words on the command line, else a pipe. Knows nothing of models.

import { fstatSync } from "node:fs";
import { addAbortSignal } from "node:stream";
import { InputError } from "../errors.ts";
import { programName } from "./program-name.ts";
import { bytes } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** The longest prompt that is read from a pipe: 64 MiB, longer than any context and small enough to hold. */
const longest = 64 * 2 ** 20;

/**
 * The prompt: these words; if there are none, the text of stdin. Undefined: none was given, since stdin is a terminal or /dev/null, or
 * nothing came within `waitSeconds`.
 * @param waitSeconds how long to wait for the first byte of a pipe; undefined: without limit, and an empty one is an error
 * @throws InputError an empty prompt; a text on stdin that is too long or not UTF-8
 */
export async function readPrompt(
  words: readonly string[],
  waitSeconds: number | undefined,
  io: Io,
): Promise<string | undefined> {
  const given = words.join(" ");
  if (given.trim() !== "") return given;
  if (words.length > 0) {
    throw new InputError("run: the prompt is empty; give a text, or leave it out for a story");
  }
  // A terminal, or /dev/null.
  if (io.stdin.isTTY || fstatSync(0).isCharacterDevice()) return undefined;
  const piped = (await readPipe(waitSeconds, io)).replace(/\r?\n$/, "");
  if (piped.trim() !== "") return piped;
  if (waitSeconds !== undefined) return undefined;
  throw new InputError(
    "run: the prompt on stdin is empty; pipe a text, or give it as an argument (a story without a prompt: --stdin-wait 0)",
  );
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
      `reading the prompt from stdin … (or give it as an argument: ${programName()} run "A dog")\n`,
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
