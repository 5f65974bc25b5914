// The command as people start it: a process of its own, the embedded model, pipes, signals, exit codes.

import { spawn } from "node:child_process";
import type { ChildProcess, ChildProcessWithoutNullStreams } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { goldenJson } from "../golden-files.ts";

const cli = join(import.meta.dirname, "../../src/cli.ts");

type Ended = { code: number | null; stdout: string; stderr: string };

/** `stdin`: its whole content; null leaves the pipe open and silent; "ignore": /dev/null. */
function start(
  args: readonly string[],
  stdin: string | null = "",
  nodeFlags: readonly string[] = [],
) {
  const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, MISTRAL_DEBUG: undefined };
  // The types say that stdin is there; with "ignore" it is not, and nobody writes to it.
  const child = spawn(process.execPath, [...nodeFlags, cli, ...args], {
    ...{ env, stdio: [stdin === "ignore" ? "ignore" : "pipe", "pipe", "pipe"] },
  }) as ChildProcessWithoutNullStreams;
  if (stdin !== null && stdin !== "ignore") child.stdin.end(stdin);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended };
}

const mistral = (args: readonly string[], stdin?: string | null): Promise<Ended> =>
  start(args, stdin).ended;

type Golden = {
  kind: string;
  prompt: string;
  sequence: number[];
  input_ids: number[];
  text: string;
  complete: boolean;
};

/** Seconds for a story: time to interrupt it. */
const slow = ["--device", "reference", "--quiet", "A dog"];

function firstOutput(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => child.stdout?.once("data", resolve));
}

describe("run", () => {
  test("a pipe in which nothing comes in time means no prompt: it tells a story, with speed and seed on stderr", async () => {
    const { code, stdout, stderr } = await mistral(["run", "-n", "60", "--stdin-wait", "1"]);
    expect(stdout).toMatch(/^Once upon a time,? \w.{80,}\n$/s);
    expect(stderr).toMatch(
      /^The embedded model [^\n]+\nAsked: [^\n]+--continue[^\n]+\n\d+ tokens · [\d.]+ tokens\/s · first token .+ · seed \d+ .*\n$/,
    );
    expect(code).toBe(0);
  });

  test.each([
    ["an empty argument", [""], null],
    ["arguments of white space", [" ", ""], null],
    ["an empty pipe", [], ""],
    ["a pipe with white space", [], " \n\n"],
  ])("%s is an error, before anything is loaded", async (_what, words, stdin) => {
    const { child, ended } = start(["run", ...words], stdin);
    const { code, stdout, stderr } = await ended;
    child.stdin.destroy();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^mistral: run: the prompt (on stdin )?is empty; .+\n {2}→ .+\n$/);
  });

  test("/dev/null is no pipe: it tells a story", async () => {
    const { code, stdout } = await start(["run", "-n", "5", "-q"], "ignore").ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^Once upon/) });
  });

  test("the embedded model takes a prompt as the request for a story, unless told otherwise", async () => {
    const [story, text, both] = await Promise.all([
      mistral(["run", "A", "dog", "-n", "20", "--json"]),
      mistral(["run", "--continue", "A dog", "-n", "5", "--json"]),
      mistral(["run", "--continue", "--chat", "A dog"]),
    ]);
    expect(JSON.parse(story.stdout)).toMatchObject({
      ...{ model: "stories", prompt: "A dog", request: "Tell me a story about a dog." },
      text: expect.stringMatching(/^Once upon a time, .*\bdog\b/),
    });
    expect(JSON.parse(text.stdout)).not.toHaveProperty("request");
    expect(JSON.parse(text.stdout).text).toMatch(/^[ ,.]/);
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("leave one out") });
  });

  test.each([
    ["text", ["--continue"]],
    ["chat", ["--chat"]],
  ])("greedy continuations are those of Transformers: %s", async (kind, flags) => {
    const { cases } = goldenJson<{ cases: Golden[] }>("stories/model/golden.json");
    const golden = cases.find((each) => each.kind === kind && each.complete);
    if (golden === undefined) throw new Error(`golden.json has no complete case of kind ${kind}`);
    const { stdout } = await mistral(["run", "--greedy", "--json", ...flags, golden.prompt]);
    const { text, tokens, seed } = JSON.parse(stdout);
    expect(tokens).toEqual(golden.sequence.slice(golden.input_ids.length));
    expect(`${golden.prompt}${kind === "chat" ? " " : ""}${text}`).toBe(golden.text);
    expect(seed).toBeNull();
  });

  test("a seed repeats a story exactly, another seed tells another", async () => {
    const seeds = ["5", "5", "6"];
    const [first, again, other] = await Promise.all(
      seeds.map(
        async (seed) =>
          (await mistral(["run", "--continue", "The fox", "--seed", seed, "-n", "40", "-q"]))
            .stdout,
      ),
    );
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    expect(other).toMatch(/^The fox /);
  });

  test("the prompt may come through a pipe", async () => {
    const { stdout, stderr } = await mistral(["run", "--json", "-n", "5"], "The little boat\n");
    expect(JSON.parse(stdout)).toMatchObject({
      model: "stories",
      prompt: "The little boat",
      seed: 42,
    });
    expect(stderr).toBe("");
  });

  test("a pipe that stays open and silent does not hold up --stdin-wait", async () => {
    const { child, ended } = start(["run", "--stdin-wait", "0.2", "-n", "5", "-q"], null);
    const { code, stdout } = await ended;
    child.stdin.destroy();
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^Once upon a time/),
    });
  });

  test("--chat answers a request without repeating it", async () => {
    const request = "Tell me a story about a little dog named Max.";
    const { stdout } = await mistral(["run", "--chat", "--greedy", "-n", "40", request]);
    expect(stdout).toContain("Max");
    expect(stdout).not.toContain("Tell me");
  });

  test("--stop ends the text", async () => {
    const { stdout } = await mistral(["run", "Lily", "--greedy", "-q", "--stop", "Lily"]);
    expect(stdout).toMatch(/^Once upon a time[^]*Lily\n$/);
    expect(stdout.match(/Lily/g)).toHaveLength(1);
  });

  test("a reader that leaves ends it quietly", async () => {
    const { child, ended } = start(["run", ...slow]);
    await firstOutput(child);
    child.stdout.destroy();
    expect(await ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("Ctrl-C ends it with 130", async () => {
    const { child, ended } = start(["run", ...slow]);
    await firstOutput(child);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 130, stderr: "" });
  });
});

test("chat over a pipe: a message a line, answers only, in one conversation", async () => {
  const { code, stdout, stderr } = await mistral(
    ["chat", "--greedy", "-n", "30"],
    "Tell me a story about a cat named Tom.\n\n/set max-new-tokens 20\nTell me a story about a boat.\n",
  );
  expect(stdout.trimEnd().split("\n").length).toBeGreaterThanOrEqual(2);
  expect(stdout).toContain("Tom");
  expect(stderr).toBe("max-new-tokens = 20\n");
  expect(code).toBe(0);
});

test("doctor says what it chose, for people and as JSON", async () => {
  const [text, json] = await Promise.all([mistral(["doctor"]), mistral(["doctor", "--json"])]);
  const report = JSON.parse(json.stdout);
  expect(report).toMatchObject({
    wasm: { simd: true },
    chosen: { device: "cpu", attn_implementation: "sdpa" },
  });
  expect([128, 256]).toContain(report.chosen.vector_bits);
  expect([16, 32, null]).toContain(report.chosen.dot_sum_bits);
  const { used, not_used } = report.chosen.machine_code;
  expect([...used, ...not_used]).not.toEqual([]);
  expect(text.stdout).toMatch(/^ {2}machine code {4}(not used: .+|8-bit products with \S+.*)$/m);
  expect(report.expected_7b.map(({ method }: { method: string }) => method)).toEqual([
    ...["q4", "nf4", "bfloat16"],
  ]);
  for (const speed of report.expected_7b) {
    expect(speed.tokens_per_second).toBeGreaterThan(0.01);
    expect(speed.prompt_tokens_per_second).toBeGreaterThan(0.01);
  }
  // 7.24 billion weights: 4.25 bits and a head of 6.25, then 16 bits.
  const [q4, , bf16] = report.expected_7b;
  expect(q4.weight_bytes / 1e9).toBeCloseTo(4.08, 1);
  expect(bf16.weight_bytes / 1e9).toBeCloseTo(14.48, 1);
  expect(text.stdout).toMatch(
    /q4 \(int8\) +4\.1 GB: prompts [\d.]+ tokens\/s, text [\d.]+ tokens\/s/,
  );
  expect(report.chosen.threads).toBeGreaterThanOrEqual(1);
  expect(report.default_model.weight_bytes).toBeGreaterThan(6e6);
  expect(text.stdout).toContain(report.cpu.model);
  expect([text.code, json.code]).toEqual([0, 0]);
});

test("--no-native: doctor says that machine code is switched off", async () => {
  const { stdout } = await mistral(["doctor", "--no-native", "--json"]);
  expect(JSON.parse(stdout).chosen.machine_code).toEqual({
    used: [],
    not_used: ["it is switched off (env.native is false, or --no-native)"],
  });
});

test("an error is one line and the next step; usage 2, failure 1", async () => {
  const [usage, command, folder, greedy] = await Promise.all([
    mistral(["run", "--sed", "3"]),
    mistral(["rnu"]),
    mistral(["run", "-m", "/nowhere/at-all", "Hi"]),
    mistral(["run", "--greedy", "--top-k", "5"]),
  ]);
  expect(usage).toEqual({
    code: 2,
    stdout: "",
    stderr:
      'mistral: run: unknown flag "--sed"; did you mean "--seed"?\n  → see: npx @mistral-ts/mistral run --help\n',
  });
  expect(command).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('did you mean "run"?\n'),
  });
  expect(folder).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/^mistral: .*\/nowhere\/at-all.*\n {2}→ .+\n$/),
  });
  expect(greedy).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--top-k would change nothing"),
  });
});

test("a flag by the begin of its name is understood as that one", async () => {
  const { stderr } = await mistral(["run", "--temp", "0"]);
  expect(stderr).toContain('unknown flag "--temp"; did you mean "--temperature"?');
});

test.skipIf(!existsSync("/dev/full")).each([
  ["a story", ["run", "-q"]],
  ["JSON", ["run", "--json", "A dog"]],
  ["help", ["--help"]],
])("a full disk behind stdout is one error, without a stack: %s", async (_what, args) => {
  const full = openSync("/dev/full", "w");
  const env = { ...process.env, NO_COLOR: "1", MISTRAL_DEBUG: "1" };
  const child = spawn(process.execPath, [cli, ...args], { env, stdio: ["ignore", full, "pipe"] });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise((resolve) => child.on("close", resolve));
  closeSync(full);
  expect(stderr).toMatch(/^mistral: the output cannot be written: ENOSPC.*\n {2}→ .+\n$/);
  expect(code).toBe(1);
});

test("a system message that the chat template refuses is told before anything is said", async () => {
  const [run, chat] = await Promise.all([
    mistral(["run", "--system", "Be brief.", "A dog"]),
    mistral(["chat", "--system", "Be brief."], "Hi\n"),
  ]);
  for (const ended of [run, chat]) {
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toContain("stories takes no system message");
  }
});

test("help and version need no model", async () => {
  const [help, version, bare] = await Promise.all([
    mistral(["run", "--help"]),
    mistral(["--version"]),
    mistral([]),
  ]);
  expect(help).toMatchObject({
    code: 0,
    stderr: "",
    stdout: expect.stringContaining("--max-new-tokens"),
  });
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  expect(bare).toMatchObject({ code: 0, stdout: expect.stringContaining("mistral doctor") });
});

test("an old Node is told in one line", async () => {
  const pretend =
    "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.20.0'})";
  const { ended } = start(["run"], "", ["--import", pretend]);
  expect(await ended).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/^mistral: Node 24 or newer is needed, .+\n$/),
  });
});
