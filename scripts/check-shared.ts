// Before `npm run test:full`: one line, and no run, when the whole reference data is not there.

import { wholeShared } from "../test/shared.ts";

try {
  wholeShared("goldens");
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
