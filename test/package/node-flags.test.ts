// Programs that use the library under the flags that people give to Node, and under a Node that is too old: each in a child process.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { goldenPath } from "../golden-files.ts";
import { root, run } from "./command.ts";

const library = pathToFileURL(join(root, "src/index.ts")).href;
const PROGRAM = `
import { AutoModelForCausalLM } from ${JSON.stringify(library)};
const model = await AutoModelForCausalLM.from_pretrained(${JSON.stringify(goldenPath("models/base-f32"))}, { threads: 2 });
const ids = await model.generate({ input_ids: [[1, 10, 20]], max_new_tokens: 3 });
console.log(ids.tolist()[0].join(" "));
await model.dispose();
`;
const TOKENS = "1 10 20 479 473 327\n";

const folder = mkdtempSync(join(tmpdir(), "mistral-flags-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const program = file("program.mjs", PROGRAM);
const asImport = `import(${JSON.stringify(pathToFileURL(program).href)})`;
const preload = file("preload.mjs", "globalThis.preloaded = true;\n");
const common = file("preload.cjs", "globalThis.preloaded = true;\n");
const loader = file(
  "loader.mjs",
  "export const load = (url, context, next) => next(url, context);",
);
const variables = file("variables.env", "ANYTHING=1\n");

test.each<[string, string[]]>([
  ["--input-type=module -e", ["--input-type=module", "-e", PROGRAM]],
  ["--input-type module -e", ["--input-type", "module", "--eval", PROGRAM]],
  ["--input-type=module-typescript", ["--input-type=module-typescript", "-e", PROGRAM]],
  ["--input-type=commonjs", ["--input-type=commonjs", "-e", asImport]],
  ["-e", ["-e", asImport]],
  ["-p", ["-p", `${asImport}; ""`]],
  ["--import", ["--import", preload, program]],
  ["--import and text", ["--import", preload, "--input-type=module", "-e", PROGRAM]],
  ["--require", ["--require", common, program]],
  ["--loader", ["--no-warnings", "--loader", loader, program]],
  [
    "--env-file and a heap size, and text",
    [`--env-file=${variables}`, "--max-old-space-size=200", "--input-type=module", "-e", PROGRAM],
  ],
  ["--inspect", ["--inspect=0", program]],
  ["--permission with threads", ["--permission", "--allow-fs-read=*", "--allow-worker", program]],
  ["--frozen-intrinsics", ["--frozen-intrinsics", program]],
  ["--disallow-code-generation", ["--disallow-code-generation-from-strings", program]],
])("node %s", async (_, args) => {
  const { stdout, stderr } = await run("node", args);
  expect({ stdout: stdout.replace(/^\n/m, ""), stderr }).toMatchObject({ stdout: TOKENS });
});

test.each([["-"], ["--input-type=module"], ["--input-type=module", "-"]])(
  "a program on standard input: node %s %s",
  async (...args) => {
    expect(await run("node", args, { input: PROGRAM })).toMatchObject({ code: 0, stdout: TOKENS });
  },
);

test("flags in NODE_OPTIONS", async () => {
  const options = `--input-type=module --max-old-space-size=200 --import=${pathToFileURL(preload).href}`;
  const text = `NODE_OPTIONS='${options}' exec node -e '${PROGRAM.replaceAll("'", '"')}'`;
  expect(await run("bash", ["-c", text])).toMatchObject({ code: 0, stdout: TOKENS });
});

test("under --watch", async () => {
  const command = `timeout 20 node --watch '${program}' | head -n 1`;
  expect((await run("bash", ["-c", command])).stdout).toBe(TOKENS);
});

test("a flag that forbids threads is named", async () => {
  const { code, stderr } = await run("node", ["--permission", "--allow-fs-read=*", program]);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    "EngineError: no thread can be started: Node runs with --permission; add --allow-worker",
  );
});

/** Makes Node tell another version of itself. */
const older = file(
  "older.mjs",
  `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } });
Object.defineProperty(process, "version", { value: "v20.20.2" });
`,
);

test("under an older Node the library and the command say which one they need", async () => {
  const needed = "Node 24 or newer is needed, this is v20.20.2; install it from https://nodejs.org";
  const used = await run("node", ["--import", older, program]);
  expect(used.code).toBe(1);
  expect(used.stderr).toMatch(`EngineError: @mistral-ts/mistral: ${needed}`);
  const command = await run("node", ["--import", older, join(root, "src/cli.ts"), "run", "Hi"]);
  expect(command).toMatchObject({ code: 1, stdout: "", stderr: `mistral: ${needed}\n` });
});
