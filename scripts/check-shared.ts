// Before the tests: one line, and no run, when the reference data that they read is not there.

import { shared } from "../test/shared.ts";

try {
  shared("goldens");
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
