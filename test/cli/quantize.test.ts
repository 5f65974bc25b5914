// `mistral quantize` as people start it: what it writes can be run, what it says, and what it leaves behind (nothing).

import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { goldenPath } from "../golden-files.ts";

const cli = join(import.meta.dirname, "../../src/cli.ts");
const root = mkdtempSync(join(tmpdir(), "quantize-cli-test-"));
afterAll(() => rmSync(root, { recursive: true }));
const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined };

const mistral = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [cli, ...args], { env, cwd: root });

test("the embedded model in q4, beside where one stands; it tells stories, and eval and bench know it", async () => {
  const { stdout, stderr } = await mistral("quantize", "--to", "q4");
  expect(stdout).toMatch(
    /^stories in q4: .*stories-q4\n {2}6\.3 MB became [\d.]+ MB \(3\.\d times smaller\)\n {2}.+\/s, peak memory .+\n {2}try: npx @mistral-ts\/mistral chat .*stories-q4\n$/,
  );
  expect(stderr).toBe("");
  expect(readdirSync(root)).toEqual(["stories-q4"]);
  const run = await mistral(
    ...["run", "-m", "stories-q4", "-n", "40", "--greedy", "-q", "Once upon a time"],
  );
  expect(run.stdout).toMatch(/^Once upon a time,? \w.{60,}/s);
  const bench = await mistral(
    ...["bench", "stories-q4", "--pp", "16", "--tg", "0", "--reps", "1", "--json", "-q"],
  );
  expect(JSON.parse(bench.stdout).model).toMatchObject({
    ...{ name: "stories-q4", quantization: "q4", compute_dtype: "int8" },
  });
});

test("JSON, a place of one's own, and --force", async () => {
  const { stdout } = await mistral("quantize", "--to=nf4-dq", "--json", "-m", "stories-q4").catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  expect(stdout).toBe("");
  const out = join(root, "small");
  mkdirSync(out);
  const first: unknown = await mistral("quantize", join(root, "none"), out, "--to", "nf4").catch(
    (error: unknown) => error,
  );
  expect(first).toMatchObject({ code: 1, stderr: expect.stringContaining("no such folder") });
  const gguf: unknown = await mistral("quantize", goldenPath("models/base-gguf"), "--to=q4").catch(
    (error: unknown) => error,
  );
  expect(gguf).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/model-q8_0\.gguf is a GGUF file, which runs as it is/),
  });
  const models = join(import.meta.dirname, "../../models/stories");
  const refused: unknown = await mistral("quantize", models, out, "--to", "nf4").catch(
    (error: unknown) => error,
  );
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/exists already.*force/),
  });
  expect(readdirSync(out)).toEqual([]);
  const done = await mistral("quantize", models, out, "--to", "nf4", "--force", "--json", "-q");
  expect(JSON.parse(done.stdout)).toMatchObject({
    ...{ path: out, method: "nf4", files: ["model.safetensors"] },
    ...{ seconds: expect.any(Number), peak_memory_bytes: expect.any(Number) },
  });
});

test("Ctrl-C ends it with 130 and leaves nothing", async () => {
  const before = readdirSync(root);
  const big = join(root, "big");
  await promisify(execFile)(process.execPath, [
    join(import.meta.dirname, "../../bench/make-checkpoint.ts"),
    ...[big, "--shape", "small", "--layers", "6"],
  ]);
  const child = spawn(process.execPath, [cli, "quantize", big, "big-nf4", "--to", "nf4"], {
    env,
    cwd: root,
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  while (!readdirSync(root).some((name) => name.startsWith("big-nf4"))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGINT");
  expect(await ended).toBe(130);
  rmSync(big, { recursive: true });
  expect(readdirSync(root)).toEqual(before);
});

test.each([
  [["quantize"], /the method is missing; name one with --to: nf4, nf4-dq/],
  [["quantize", "--to", "q5"], /--to: unknown value "q5"; did you mean "q4"/],
  [["quantize", "--to", "q4", "a", "b", "c"], /unexpected "c"/],
  [["quantize", "--too", "q4"], /did you mean "--to"/],
])("%j is refused", async (args, message) => {
  const failed: unknown = await mistral(...args).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
});
