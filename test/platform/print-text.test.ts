// Text printed to a pipe whose reader has left, as in `node program.js | head -1`.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";

test("a reader that has left is no error, and the program goes on", () => {
  const platform = pathToFileURL(join(import.meta.dirname, "../../src/platform/node.ts")).href;
  const program = `
    import { printText } from ${JSON.stringify(platform)};
    for (let i = 0; i < 200; i++) { printText("x".repeat(10_000) + "\\n"); await new Promise(setImmediate); }
    process.stderr.write("the end");
  `;
  const command = `"${process.execPath}" --input-type=module -e '${program}' 2>&1 >/dev/null | cat; "${process.execPath}" --input-type=module -e '${program}' 2>&1 1>&3 | cat`;
  const output = execFileSync("bash", ["-c", `{ ${command}; } 3> >(head -c 1 >/dev/null)`], {
    encoding: "utf8",
  });
  expect(output).toBe("the endthe end");
});
