#!/usr/bin/env node
// The command `mistral`: checks the version of Node, in syntax that old versions can parse too, then calls cli/main.ts.
// Knows nothing of commands.

import { oldNode } from "./platform/node-version.ts";

const wrong = oldNode();
if (wrong !== undefined) {
  process.stderr.write(`mistral: ${wrong}\n`);
  process.exitCode = 1;
} else {
  const { main } = await import("./cli/main.ts");
  process.exitCode = await main(process.argv.slice(2));
}
