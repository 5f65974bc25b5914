#!/usr/bin/env node
// The command `mistral`: checks the version of Node, in syntax that old versions can parse too, then calls cli/main.ts.
// Knows nothing of commands.

const required = 24;

if (Number(process.versions.node.split(".")[0]) < required) {
  process.stderr.write(
    `mistral: Node ${required} or newer is needed, this is ${process.version}; install it from https://nodejs.org\n`,
  );
  process.exitCode = 1;
} else {
  const { main } = await import("./cli/main.ts");
  process.exitCode = await main(process.argv.slice(2));
}
