// Renders templates in the environment of Transformers' chat templates, by template_programs.py in bench/.venv.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

/** The text, or the name of Python's error. */
export type Outcome = { text?: string; error?: string };

const python = join(import.meta.dirname, "../../bench/.venv/bin/python");

export function renderedByJinja(
  cases: { template: string; variables: Record<string, unknown> }[],
): Outcome[] {
  expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
  const output = execFileSync(python, [join(import.meta.dirname, "template_programs.py")], {
    input: JSON.stringify({ cases }),
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const outcomes = JSON.parse(output) as ["text" | "error", string][];
  return outcomes.map(([kind, shown]) => (kind === "text" ? { text: shown } : { error: shown }));
}
