// Asks a person at a terminal; elsewhere nobody is asked. Knows no models.

import { createInterface } from "node:readline/promises";
import { fitted, styled, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** Whether somebody can read a question on stderr and answer it. */
export function canAsk({ stdin, stderr }: Io): boolean {
  return stdin.isTTY && stderr.isTTY;
}

/** One line of answer; "" at the end of the input. @throws the interrupt's reason after Ctrl-C */
export async function ask(question: string, { stdin, stderr, interrupt }: Io): Promise<string> {
  const lines = createInterface({ input: stdin, output: stderr, terminal: true });
  // In raw mode Ctrl-C is a key: the process gets the signal that it would send.
  lines.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
  try {
    const text = styled(stderr, "bold", `${question} `);
    return (await Promise.race([lines.question(text, { signal: interrupt }), ended])).trim();
  } catch (error) {
    await write(stderr, "\n");
    throw error;
  } finally {
    lines.close();
  }
}

/**
 * Goes on if the answer is yes.
 * @param facts shown above the question
 * @param otherwise what to say after any other answer
 * @throws DOMException "AbortError" with that text
 */
export async function confirm(
  facts: string,
  question: string,
  otherwise: string,
  io: Io,
): Promise<void> {
  await write(io.stderr, `${fitted(io.stderr, facts)}\n`);
  if (/^y(es)?$/i.test(await ask(`${question} [y/N]`, io))) return;
  throw new DOMException(otherwise, "AbortError");
}
