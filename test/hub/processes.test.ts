// Downloads by processes of their own: killed at any byte, several at once, without a network, with little room.

import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  readFileSync,
  readdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { withLock } from "../../src/hub/lock.ts";
import { gitSha1, type Misbehaviour, sha256 } from "./mock-hub.ts";
import { ID, someBytes, type Workplace, workplace } from "./workplace.ts";

type Ended = { code: number | null; stdout: string; stderr: string };

const script = join(import.meta.dirname, "download-process.ts");

function start(
  { hub, cache }: Workplace,
  { env = {}, flags = [], before = [] }: { env?: object; flags?: string[]; before?: string[] } = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const [command, ...rest] = [...before, process.execPath, ...flags, script, ID];
  const child = spawn(command, rest, {
    env: { PATH: process.env.PATH, HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => (stdout += String(data)));
  child.stderr.on("data", (data) => (stderr += String(data)));
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() }));
  });
  return { child, ended };
}

/** Sends large files in pieces, with a pause after each. */
const slowly =
  (bytes: Buffer, piece: number, onSent: (sent: number) => void = () => {}): Misbehaviour =>
  ({ host, headers }, answer) => {
    if (host !== "cdn") return false;
    const from = Number(/\d+/.exec(headers.range ?? "0")?.[0]);
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    answer.writeHead(from === 0 ? 200 : 206, {
      "content-length": bytes.length - from,
      etag: '"slow"',
      ...(from > 0 && { "content-range": range }),
    });
    let at = from;
    const next = (): void => {
      if (answer.destroyed) return;
      answer.write(bytes.subarray(at, at + piece));
      at += piece;
      onSent(Math.min(at, bytes.length));
      if (at < bytes.length) setTimeout(next, 5);
      else answer.end();
    };
    next();
    return true;
  };

test("killed at any byte, a download goes on from there to the right bytes", async () => {
  const place = await workplace();
  const { hub, inCache } = place;
  const bytes = someBytes(1_000_000);
  hub.add(ID, { files: { "model.bin": bytes, "config.json": "{}" } });
  const starts: number[] = [];
  for (const killAt of [1, 60_001, 250_000, 700_000, 999_999]) {
    let running: ChildProcess | undefined;
    hub.misbehave = slowly(bytes, 20_000, (sent) => {
      if (sent >= killAt) running?.kill("SIGKILL");
    });
    const { child, ended } = start(place);
    running = child;
    await ended;
    const partial = inCache("blobs", `${sha256(bytes)}.mistral.incomplete`);
    starts.push(existsSync(partial) ? statSync(partial).size : 0);
    expect(existsSync(inCache("blobs", sha256(bytes)))).toBe(false);
  }
  expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  expect(starts.at(-1)).toBeGreaterThan(600_000);
  hub.misbehave = slowly(bytes, 200_000);
  const { code, stdout, stderr } = await start(place).ended;
  expect([code, stderr]).toEqual([0, ""]);
  expect(readFileSync(join(stdout, "model.bin")).equals(bytes)).toBe(true);
  const asked = hub.seen.filter(({ host }) => host === "cdn").at(-1)?.headers;
  expect(asked?.range).toBe(`bytes=${starts.at(-1)}-`);
  expect(asked?.["if-range"]).toBe('"slow"');
  expect(readdirSync(inCache("blobs")).toSorted()).toEqual(
    [sha256(bytes), gitSha1(Buffer.from("{}"))].toSorted(),
  );
}, 120_000);

test("eight processes with one empty cache download once", async () => {
  const place = await workplace();
  const bytes = [1, 2, 3].map((seed) => someBytes(400_000, seed));
  const files = Object.fromEntries(bytes.map((content, i) => [`model-${i}.bin`, content]));
  place.hub.add(ID, { files: { ...files, "config.json": "{}" } });
  const sends = bytes.map((content) => slowly(content, 20_000));
  place.hub.misbehave = (seen, answer, file) => {
    const i = bytes.findIndex((content) => file !== undefined && content.equals(file.bytes));
    return i < 0 ? false : sends[i](seen, answer, file);
  };
  const all = await Promise.all(Array.from({ length: 8 }, () => start(place).ended));
  for (const { code, stdout, stderr } of all) {
    expect([code, stderr]).toEqual([0, ""]);
    bytes.forEach((content, i) => {
      expect(readFileSync(join(stdout, `model-${i}.bin`)).equals(content)).toBe(true);
    });
  }
  const fromCdn = place.hub.seen.filter(({ host }) => host === "cdn");
  expect(fromCdn.map(({ url }) => url.split("/").at(-1)).toSorted()).toEqual(
    Object.keys(files).toSorted(),
  );
}, 120_000);

test("HF_HUB_OFFLINE opens no connection", async () => {
  const place = await workplace();
  place.hub.add(ID, { files: { "config.json": "{}", "model.bin": someBytes(1000) } });
  const flags = ["--import", join(import.meta.dirname, "no-sockets.ts")];
  // The hook can fail: with a network it does.
  expect((await start(place, { flags }).ended).code).toBe(99);
  const env = { HF_HUB_OFFLINE: "1" };
  const cold = await start(place, { flags, env }).ended;
  expect(cold).toMatchObject({ code: 1, stdout: "" });
  expect(cold.stderr).toMatch(/is not in the cache of models .*and HF_HUB_OFFLINE is set/);
  const online = await start(place).ended;
  const warm = await start(place, { flags, env: { ...env, HF_ENDPOINT: "https://hub.invalid" } })
    .ended;
  expect(warm).toEqual({ code: 0, stdout: online.stdout, stderr: "" });
}, 60_000);

describe("room", () => {
  test("a download that does not fit is refused with needed and free bytes, before it begins", async () => {
    const { hub, refusal, inCache } = await workplace();
    const size = 2 ** 50;
    const lfs = { oid: "0".repeat(64), size, pointerSize: 135 };
    const entry = { type: "file", oid: "0".repeat(40), size, path: "model.bin", lfs };
    hub.add(ID, { files: { "model.bin": someBytes(9) }, listed: { "model.bin": entry } });
    expect(await refusal()).toMatch(
      /the download takes 1125899.91 GB \(1125899906842624 bytes\), but .* has [\d.]+ [GM]B \(\d+ bytes\) free; nothing was downloaded/,
    );
    expect(hub.downloads("model.bin")).toBe(0);
    expect(readdirSync(inCache("blobs"))).toEqual([]);
  });

  // "No file may be larger than this" stands for a disk that fills up: the same system call fails in the same way.
  test.runIf(process.platform === "linux")("a write that fails: what came is kept", async () => {
    const place = await workplace();
    const bytes = someBytes(1_000_000);
    place.hub.add(ID, { files: { "model.bin": bytes } });
    const limited = await start(place, { before: ["prlimit", "--fsize=500000"] }).ended;
    expect(limited).toMatchObject({ code: 1, stdout: "" });
    expect(limited.stderr).toMatch(
      /no file may become that large here.*next try goes on from there \(EFBIG\)/,
    );
    const { code, stdout } = await start(place).ended;
    expect(code).toBe(0);
    expect(readFileSync(join(stdout, "model.bin")).equals(bytes)).toBe(true);
    const last = place.hub.seen.filter(({ host }) => host === "cdn").at(-1)?.headers.range;
    expect(Number(/\d+/.exec(last ?? "")?.[0])).toBeGreaterThan(300_000);
  });
});

describe("a lock", () => {
  const noWait = async (): Promise<void> => {};

  test("of a process that died is taken over at once, by one of many", async () => {
    const { cache } = await workplace();
    const path = join(cache, "x.lock");
    const dead = start(await workplace());
    await dead.ended;
    const owner = { pid: dead.child.pid, host: hostname(), time: "then", key: "dead" };
    writeFileSync(path, JSON.stringify(owner));
    let [inside, most] = [0, 0];
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside--;
    };
    const begun = performance.now();
    await Promise.all(Array.from({ length: 10 }, () => withLock(path, undefined, noWait, work)));
    expect(most).toBe(1);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(readdirSync(cache)).toEqual([]);
  });

  test("of a living process is waited for, until the wait is aborted", async () => {
    const { cache } = await workplace();
    const path = join(cache, "x.lock");
    const owner = { pid: process.pid, host: hostname(), time: "now", key: "alive" };
    writeFileSync(path, JSON.stringify(owner));
    utimesSync(path, 0, 0); // by this machine's clock it is old; what counts is whether it is renewed
    let waits = 0;
    const wait = async (): Promise<void> => void waits++;
    const call = withLock(path, AbortSignal.timeout(400), wait, noWait);
    await expect(call).rejects.toThrow(/timeout/);
    expect(waits).toBeGreaterThan(1);
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(owner);
  });
});
