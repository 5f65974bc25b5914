import { expect, test } from "vitest";
import { type Report, summary } from "../../scripts/ci-report.ts";

const report = (changes: Partial<Report>): Report => ({
  ...{ success: true, numPassedTests: 12, numFailedTests: 0, testResults: [] },
  ...changes,
});

test("all passed", () => {
  expect(summary(report({}))).toEqual({ lines: ["12 passed, 0 failed"], ok: true });
});

test("a failure, nothing at all, or no report is not well", () => {
  const failed = summary(report({ success: false, numFailedTests: 2 }));
  expect(failed).toEqual({ lines: ["12 passed, 2 failed"], ok: false });
  expect(summary(report({ numPassedTests: 0 }))).toEqual({
    lines: ["0 passed, 0 failed"],
    ok: false,
  });
  expect(summary(undefined)).toEqual({ lines: ["no test ran", "0 passed, 0 failed"], ok: false });
});

test("an error outside any test is not well, even where all tests passed", () => {
  expect(summary(report({ success: false }))).toEqual({
    lines: ["12 passed, 0 failed"],
    ok: false,
  });
});

test("a file that could not be read is a failure, by name", () => {
  const file = { name: "a.test.ts", status: "failed", message: "no such module\nat …" };
  expect(
    summary(report({ success: false, testResults: [{ ...file, assertionResults: [] }] })),
  ).toEqual({
    lines: ["a.test.ts: no such module", "12 passed, 1 failed"],
    ok: false,
  });
});
