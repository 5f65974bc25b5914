// Runs before `npm run test:full`: if the whole reference data is missing, prints one line and stops the run. Knows no test.

import { wholeData } from "../test/golden-files.ts";

try {
  wholeData("goldens");
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
