// V8's pass that joins vectors stops the process when it meets what it does not know, such as vectors that cross a call. All
// kernels are compiled with it at once, in a process of their own, so that no rarely used one can do that to a user.

import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { type Build, kernelPath } from "../contract/wasm-kernels.ts";

/** Every function is optimised when the module is compiled, not when it has run often. */
const FLAGS = [
  "--no-liftoff",
  "--no-wasm-lazy-compilation",
  "--no-wasm-dynamic-tiering",
  "--experimental-wasm-revectorize",
];
const COMPILE = "new WebAssembly.Module(require('node:fs').readFileSync(process.argv[1]))";

test.each<Build>(["kernels.wasm", "kernels-plain.wasm"])("%s", (build) => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [...FLAGS, "--eval", COMPILE, kernelPath(build)],
    { encoding: "utf8" },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test("a kernel that is no module would be noticed", () => {
  const { status } = spawnSync(process.execPath, [
    ...FLAGS,
    "--eval",
    COMPILE,
    import.meta.filename,
  ]);
  expect(status).toBe(1);
});
