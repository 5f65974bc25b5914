// Models of the hub by the command: fetched when somebody says so, listed, checked, removed; a folder with one GGUF file. The hub is a
// mock on loopback.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type MockHub, mockHub } from "../hub/mock-hub.ts";

const cli = join(import.meta.dirname, "../../src/cli.ts");
const stories = join(import.meta.dirname, "../../models/stories");
const id = "someone/stories";

let home = "";
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "mistral-cli-hub-"));
});
afterAll(() => rmSync(home, { recursive: true }));

type Ended = { code: number | null; stdout: string; stderr: string };

function start(
  hub: Pick<MockHub, "endpoint">,
  cache: string,
  args: readonly string[],
  more: NodeJS.ProcessEnv = {},
) {
  const env = {
    ...process.env,
    ...{ NO_COLOR: "1", FORCE_COLOR: undefined, MISTRAL_DEBUG: undefined, HF_TOKEN: undefined },
    ...{ HF_ENDPOINT: hub.endpoint, HF_HOME: join(home, cache), HF_HUB_CACHE: undefined },
    ...more,
  };
  const child = spawn(process.execPath, [cli, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended };
}

/** A hub with the embedded model, whose weights are a large file. */
async function storyHub(): Promise<MockHub> {
  const hub = await mockHub();
  const files = readdirSync(stories).map((file) => {
    const bytes = readFileSync(join(stories, file));
    return [file, file.endsWith(".safetensors") ? bytes : bytes.toString()] as const;
  });
  hub.add(id, { files: Object.fromEntries(files.filter(([file]) => file !== "tokenizer.model")) });
  return hub;
}

/** How often the weights' bytes were asked for. */
const fetches = (hub: MockHub): number =>
  hub.seen.filter(({ host, url }) => host === "cdn" && url.endsWith("/model.safetensors")).length;

test("a model by its id: nothing is fetched unasked; pull, run, ls, verify and rm", async () => {
  const hub = await storyHub();
  const mistral = (...args: string[]): Promise<Ended> => start(hub, "all", args).ended;

  const unasked = await mistral("run", "-m", id, "-n", "4", "Hi");
  expect(unasked).toMatchObject({ code: 2, stdout: "" });
  expect(unasked.stderr).toMatch(
    /^mistral: someone\/stories is not in the cache: 6\.\d MB are to be fetched; fetch it with npx @mistral-ts\/mistral pull someone\/stories, or say --yes\n/,
  );
  expect(fetches(hub)).toBe(0);

  const pulled = await mistral("pull", id);
  expect(pulled.stdout).toMatch(
    /^someone\/stories is in the cache \(.+\)\n {2}\/.+\/snapshots\/[0-9a-f]{40}\n {2}try: npx @mistral-ts\/mistral chat someone\/stories\n$/,
  );
  expect(pulled.stderr).toMatch(
    /^someone\/stories: 6\.\d MB to fetch\.\nMemory: 6\.3 MB, or at least 1\.8 MB with --quantization q4 \(.+ are free here\)\.\n/,
  );
  expect(pulled.stderr).toContain("\nmodel.safetensors: 6.3 MB\n");
  expect(fetches(hub)).toBe(1);
  expect(hub.downloads("README.md")).toBe(0);

  const [run, again, list, json, verified] = await Promise.all([
    mistral("run", "-m", id, "-n", "4", "--json", "Once upon a time"),
    mistral("pull", id, "--revision", "main"),
    mistral("ls"),
    mistral("ls", "--json"),
    mistral("verify", id),
  ]);
  expect(JSON.parse(run.stdout)).toMatchObject({ model: "stories", prompt: "Once upon a time" });
  expect(run.code).toBe(0);
  expect(again.stdout).toMatch(/^someone\/stories is in the cache already\n/);
  expect(again.stdout).toMatch(/chat someone\/stories --revision main\n$/);
  expect(fetches(hub)).toBe(1);
  expect(list.stdout).toMatch(
    /^someone\/stories {2}6\.\d MB {2}\d{4}-\d\d-\d\d {2}main\n6\.\d MB in \/.+\n$/,
  );
  expect(JSON.parse(json.stdout)).toMatchObject({ repos: [{ repo_id: id }] });
  expect(verified).toMatchObject({ code: 0, stderr: "" });
  expect(verified.stdout).toMatch(/^someone\/stories: \d+ files, 6\.\d MB, as the hub has them\n$/);

  const { snapshot_path: snapshot } = JSON.parse(json.stdout).repos[0].revisions[0];
  const damaged = readFileSync(join(snapshot, "model.safetensors"));
  damaged[damaged.length - 1] ^= 1;
  writeFileSync(join(snapshot, "model.safetensors"), damaged);
  const found = await mistral("verify", id);
  expect(found).toMatchObject({ code: 1, stdout: "" });
  expect(found.stderr).toMatch(
    /damaged: model\.safetensors; fetch it again with .+ pull .+ --force/,
  );
  expect((await mistral("pull", id, "--force")).code).toBe(0);
  expect((await mistral("verify", id)).code).toBe(0);

  const [refused, unknown] = await Promise.all([mistral("rm", id), mistral("rm", "no/such", "-y")]);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("say --yes") });
  expect(unknown).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("no/such is not in the cache, which holds someone/stories"),
  });
  expect((await mistral("rm", id, "--yes")).stdout).toMatch(
    /^removed someone\/stories: 6\.\d MB\n$/,
  );
  expect((await mistral("ls")).stdout).toMatch(/^No models in .+; fetch one with: .+ pull\n$/);
});

test("--yes fetches; without a terminal pull wants a name; --include takes a part", async () => {
  const hub = await storyHub();
  const mistral = (...args: string[]): Promise<Ended> => start(hub, "yes", args).ended;
  const nameless = await mistral("pull");
  expect(nameless).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("pull: the model is missing; name one, such as "),
  });
  const part = await mistral("pull", id, "--include", "*.json", "--exclude", "tokenizer*");
  expect(part.code).toBe(0);
  expect(hub.downloads("config.json")).toBe(1);
  expect(fetches(hub) + hub.downloads("tokenizer.json")).toBe(0);
  const both = await mistral("pull", id, "--include", "*.json", "--gguf-file", "a.gguf");
  expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("leave one out") });
  const bench = await mistral("bench", id, "--yes", "--json", "-r", "1", "--pp", "8", "--tg", "0");
  expect(JSON.parse(bench.stdout).model.name).toBe("stories");
  expect(fetches(hub)).toBe(1);
});

test("a download that Ctrl-C stops is told to go on, and does; --json gives events", async () => {
  const hub = await storyHub();
  const whole = readFileSync(join(stories, "model.safetensors"));
  let held = false;
  hub.misbehave = ({ host, url, headers }, answer) => {
    if (host !== "cdn" || !url.endsWith("model.safetensors") || headers.range !== undefined) {
      return false;
    }
    // Half of it comes, and then nothing.
    answer.writeHead(200, { "content-length": whole.length, etag: '"x"' });
    answer.write(whole.subarray(0, whole.length / 2), () => (held = true));
    return true;
  };
  const first = start(hub, "stopped", ["pull", id]);
  await expect.poll(() => held, { timeout: 20_000 }).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 300));
  first.child.kill("SIGINT");
  expect(await first.ended).toMatchObject({
    ...{ code: 130, stdout: "" },
    stderr: expect.stringContaining("what has come stays, and the same command goes on from there"),
  });

  const unfinished = await start(hub, "stopped", ["verify", id]).ended;
  expect(unfinished).toMatchObject({ code: 1, stdout: "" });
  expect(unfinished.stderr).toMatch(
    /^mistral: verify: someone\/stories: unfinished: 1 of \d+ files are missing \(3\.\d MB of 6\.3 MB came\); go on with .+ pull someone\/stories\n/,
  );

  const offline = { HF_HUB_OFFLINE: "1" };
  const said = await start(hub, "stopped", ["verify", id], offline).ended;
  expect(said.stderr).toContain("came); unset HF_HUB_OFFLINE, then go on with ");

  hub.misbehave = () => false;
  const { code, stdout } = await start(hub, "stopped", ["pull", id, "--json"]).ended;
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string; file?: string; resumed?: number });
  expect(events[0]).toMatchObject({ event: "plan", repo_id: id });
  expect(events.at(-1)).toMatchObject({ event: "done", repo_id: id });
  const file = events.find((event) => event.event === "file" && event.file === "model.safetensors");
  expect(file?.resumed).toBe(whole.length / 2);
  expect(code).toBe(0);
  expect((await start(hub, "stopped", ["verify", id]).ended).code).toBe(0);
});

test("a model that the hub does not have, and a folder of this machine", async () => {
  const hub = await storyHub();
  const [none, folder] = await Promise.all([
    start(hub, "none", ["run", "-m", "someone/nothing", "Hi"]).ended,
    start(hub, "none", ["pull", stories]).ended,
  ]);
  expect(none).toMatchObject({ code: 1, stdout: "" });
  expect(none.stderr).toMatch(/^mistral: run: .+ has no model "someone\/nothing"/);
  expect(folder).toMatchObject({ code: 2, stderr: expect.stringContaining("on this machine") });
});

test("a hub that cannot be reached: the network's remedy, and no word of what came or of folders", async () => {
  const nobody = { endpoint: "http://127.0.0.1:1" };
  const { code, stderr } = await start(nobody, "nobody", ["pull", id]).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^mistral: pull: .*\(ECONNREFUSED\).*\n {2}→ check the network; behind a proxy set HTTPS_PROXY, for another hub HF_ENDPOINT\n$/,
  );
  expect(stderr).not.toMatch(/what has come|no folder/);
});

test("a folder with GGUF files alone: one is read, of several one must be named", async () => {
  const hub = await storyHub();
  const folder = join(home, "gguf");
  mkdirSync(folder);
  writeFileSync(join(folder, "a.gguf"), "no GGUF");
  const one = await start(hub, "gguf", ["run", "-m", folder, "Hi"]).ended;
  expect(one.stderr).toMatch(/^gguf holds one GGUF file and no config\.json: reading a\.gguf\n/);
  expect(one.stderr).toMatch(/mistral: .*a\.gguf/);
  writeFileSync(join(folder, "b.gguf"), "");
  const two = await start(hub, "gguf", ["run", "-m", folder, "Hi"]).ended;
  expect(two).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("name one with --gguf-file: a.gguf, b.gguf"),
  });
});
