// Prints "N passed, N failed" from vitest's JSON report; the exit code is 1 if a test failed or none ran.
// A test file that could not be loaded counts as one failure, and its message is printed. Knows no test.

import { existsSync, readFileSync } from "node:fs";
import { argv, exit, stdout } from "node:process";

export type Report = {
  success: boolean;
  numPassedTests: number;
  numFailedTests: number;
  testResults: { name: string; status: string; message: string; assertionResults: unknown[] }[];
};

/** The lines to print, and whether tests ran and all passed. */
export function summary(report: Report | undefined): { lines: string[]; ok: boolean } {
  if (report === undefined) return { lines: ["no test ran", "0 passed, 0 failed"], ok: false };
  const unread = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  const failed = report.numFailedTests + unread.length;
  return {
    lines: [
      ...unread.map(({ name, message }) => `${name}: ${message.split("\n")[0]}`),
      `${report.numPassedTests} passed, ${failed} failed`,
    ],
    ok: report.success && failed === 0 && report.numPassedTests > 0,
  };
}

if (import.meta.main) {
  const path = argv[2];
  const { lines, ok } = summary(
    existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Report) : undefined,
  );
  stdout.write(`${lines.join("\n")}\n`);
  exit(ok ? 0 : 1);
}
