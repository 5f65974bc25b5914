// Keeps the user's questions for later sessions, where the arrow keys bring them back, in a file that only its owner can read.
// Knows nothing of answers.

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** The most questions that are kept. */
const kept = 1000;
const ownerOnly = 0o600;

/** $XDG_STATE_HOME/mistral/chat_history, by default under ~/.local/state. */
export function historyPath(): string {
  const state = process.env.XDG_STATE_HOME || join(homedir(), ".local", "state");
  return join(state, "mistral", "chat_history");
}

/** Questions, newest first; [] if there is no file. @throws Error the file cannot be read */
export function readHistory(path: string): string[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").slice(0, kept);
}

/** Replaces the file. Questions of several lines are left out. @throws Error it cannot be written */
export function writeHistory(path: string, questions: readonly string[]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const lines = questions.slice(0, kept).filter((line) => !line.includes("\n"));
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""), { mode: ownerOnly });
  // `mode` above has an effect on new files only.
  chmodSync(path, ownerOnly);
}
