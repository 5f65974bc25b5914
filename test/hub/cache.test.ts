// The cache: where it lies, what stands in it, how it is listed, checked and cleared, and what happens if it may not be written.

import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir, hostname } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { cachedFiles, cacheFolderOf } from "../../src/hub/cache-folder.ts";
import { removeModel, scanCache, verifyModel } from "../../src/hub/cached-models.ts";
import { cacheFolder, type HubDefaults, hubSettings } from "../../src/hub/settings.ts";
import { gitSha1, sha256 } from "./mock-hub.ts";
import { ID, messageOf, someBytes, workplace } from "./workplace.ts";

const NONE: HubDefaults = {
  fetch: undefined,
  cacheDir: undefined,
  hubEndpoint: undefined,
  offline: undefined,
};

function environmentOf(values: Record<string, string>): void {
  const names = ["HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN"];
  for (const name of [...names, "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE"]) {
    vi.stubEnv(name, values[name]);
  }
  for (const [name, value] of Object.entries(values)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

describe("settings", () => {
  test.for([
    [{}, join(homedir(), ".cache/huggingface/hub")],
    [{ XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x", HF_HOME: "/h" }, "/h/hub"],
    [{ HF_HOME: "~/h" }, join(homedir(), "h/hub")],
    [{ HF_HOME: "$XDG_CACHE_HOME/h", XDG_CACHE_HOME: "/x" }, "/x/h/hub"],
    [{ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    [{ HF_HUB_CACHE: "/c", HUGGINGFACE_HUB_CACHE: "/old" }, "/c"],
  ] as const)("the cache with %j", ([values, expected]) => {
    environmentOf(values);
    expect(cacheFolder("test", undefined, NONE)).toBe(expected);
    expect(cacheFolder("test", undefined, { ...NONE, cacheDir: "/env" })).toBe("/env");
    expect(cacheFolder("test", "/option", { ...NONE, cacheDir: "/env" })).toBe("/option");
  });

  test("endpoint, offline, patience", async () => {
    environmentOf({});
    expect(await hubSettings("test", {}, NONE)).toMatchObject({
      ...{ endpoint: "https://huggingface.co", offline: false, links: true, token: undefined },
      ...{ answerTimeout: 10_000, stallTimeout: 10_000 },
    });
    environmentOf({
      ...{ HF_ENDPOINT: "https://hub.example/hf/", HF_HUB_OFFLINE: "yes" },
      ...{ HF_HUB_ETAG_TIMEOUT: "3", HF_HUB_DOWNLOAD_TIMEOUT: "7", HF_HUB_DISABLE_SYMLINKS: "1" },
    });
    expect(await hubSettings("test", {}, NONE)).toMatchObject({
      ...{ endpoint: "https://hub.example/hf", offline: true, links: false },
      ...{ answerTimeout: 3000, stallTimeout: 7000, offlineBecause: "HF_HUB_OFFLINE is set" },
    });
    expect(await hubSettings("test", {}, { ...NONE, offline: false })).toMatchObject({
      offline: false,
    });
    environmentOf({ HF_HUB_DOWNLOAD_TIMEOUT: "1e9" });
    expect((await hubSettings("test", {}, NONE)).stallTimeout).toBe(2 ** 31 - 1); // a timer's most
    for (const bad of [
      "hub.example",
      "ftp://a",
      "https://u:p@a",
      "https://:p@a",
      "https://a/?x=1",
    ]) {
      environmentOf({ HF_ENDPOINT: bad });
      const message = await messageOf(hubSettings("test", {}, NONE));
      expect(message).toMatch(/^InputError: test: HF_ENDPOINT is no address of a hub/);
      expect(message).not.toContain("u:p");
    }
  });

  test("the token: of the option, of HF_TOKEN, of the file; or none", async () => {
    const { cache } = await workplace();
    const tokenOf = async (token?: string | boolean): Promise<string | undefined> =>
      (await hubSettings("test", { token }, NONE)).token;
    environmentOf({ HF_HOME: cache });
    expect(await tokenOf()).toBe(undefined);
    expect(await messageOf(tokenOf(true))).toMatch(
      /token is true, but there is none; set HF_TOKEN/,
    );
    writeFileSync(join(cache, "token"), "hf_file\n");
    expect(await tokenOf()).toBe("hf_file");
    writeFileSync(join(cache, "other"), " hf_other ");
    environmentOf({ HF_HOME: cache, HF_TOKEN_PATH: join(cache, "other") });
    expect(await tokenOf()).toBe("hf_other");
    environmentOf({ HF_HOME: cache, HF_TOKEN: "hf_env\r\n" });
    expect([await tokenOf(), await tokenOf(true), await tokenOf("hf_mine")]).toEqual([
      "hf_env",
      "hf_env",
      "hf_mine",
    ]);
    expect(await tokenOf(false)).toBe(undefined);
    environmentOf({ HF_HOME: cache, HF_TOKEN: "hf_env", HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" });
    expect([await tokenOf(), await tokenOf(true)]).toEqual([undefined, "hf_env"]);
  });
});

const bytes = someBytes(5000);
const files = { "config.json": "{}", "sub/model.bin": bytes, "same.bin": bytes };

describe("a snapshot", () => {
  test("links to blobs that are named by their hash; equal files are one", async () => {
    const { hub, snapshot, inCache, cache } = await workplace();
    const { commit } = hub.add(ID, { files });
    const folder = await snapshot({ revision: "refs/pr/1" });
    expect(folder).toBe(inCache("snapshots", commit));
    expect(readlinkSync(join(folder, "sub/model.bin"))).toBe(`../../../blobs/${sha256(bytes)}`);
    expect(readlinkSync(join(folder, "config.json"))).toBe(
      `../../blobs/${gitSha1(Buffer.from("{}"))}`,
    );
    expect(readdirSync(inCache("blobs")).length).toBe(2);
    expect(hub.seen.filter(({ host }) => host === "cdn").length).toBe(1);
    expect(readFileSync(inCache("refs/refs/pr/1"), "utf8")).toBe(commit);
    expect(existsSync(join(cache, ".locks"))).toBe(true);
    expect(readdirSync(join(cache, ".locks", "models--test-org--Tiny-Mistral"))).toEqual([]);
  });

  test("is not asked for again: one request for the commit, none if that is given", async () => {
    const { hub, snapshot } = await workplace();
    const { commit } = hub.add(ID, { files });
    await snapshot();
    hub.seen.length = 0;
    await snapshot();
    expect(hub.seen.map(({ url }) => url)).toEqual([`/api/models/${ID}/revision/main`]);
    hub.seen.length = 0;
    await snapshot({ revision: commit });
    expect(hub.seen).toEqual([]);
  });

  test("of a newer commit shares the blobs of an older one, and moves the ref when it is whole", async () => {
    const { hub, snapshot, inCache, refusal } = await workplace();
    const first = hub.add(ID, { files });
    await snapshot();
    const second = hub.add(ID, { files: { ...files, "new.txt": "new" }, commit: "2".repeat(40) });
    hub.misbehave = ({ url }, answer) => {
      if (!url.endsWith("new.txt")) return false;
      answer.writeHead(410).end();
      return true;
    };
    await refusal();
    expect(readFileSync(inCache("refs/main"), "utf8")).toBe(first.commit);
    hub.misbehave = () => false;
    hub.seen.length = 0;
    await snapshot();
    expect(readFileSync(inCache("refs/main"), "utf8")).toBe(second.commit);
    expect(hub.seen.filter(({ url }) => url.includes("/resolve/")).length).toBe(1);
  });

  test("with a blob that was cut is completed", async () => {
    const { hub, snapshot, inCache } = await workplace();
    hub.add(ID, { files });
    const folder = await snapshot();
    writeFileSync(inCache("blobs", sha256(bytes)), bytes.subarray(0, 100));
    await snapshot();
    expect(readFileSync(join(folder, "sub/model.bin")).equals(bytes)).toBe(true);
  });

  test("force_download fetches all again", async () => {
    const { hub, snapshot, refusal, inCache } = await workplace();
    hub.add(ID, { files });
    const folder = await snapshot();
    const damaged = Buffer.from(bytes).fill(0, 0, 10);
    writeFileSync(inCache("blobs", sha256(bytes)), damaged);
    await snapshot();
    expect(readFileSync(join(folder, "sub/model.bin")).equals(damaged)).toBe(true);
    await snapshot({ force_download: true });
    expect(readFileSync(join(folder, "sub/model.bin")).equals(bytes)).toBe(true);
    const offline = { force_download: true, local_files_only: true };
    expect(await refusal(offline)).toMatch(/force_download is true, but local_files_only is true/);
  });

  test("without links holds the files themselves, once", async () => {
    environmentOf({ HF_HUB_DISABLE_SYMLINKS: "1" });
    const { hub, snapshot, cache, inCache } = await workplace();
    hub.add(ID, { files: { "config.json": "{}", "sub/model.bin": bytes } });
    const folder = await snapshot();
    expect(lstatSync(join(folder, "sub/model.bin")).isFile()).toBe(true);
    expect(readFileSync(join(folder, "sub/model.bin")).equals(bytes)).toBe(true);
    expect(readdirSync(inCache("blobs"))).toEqual([]);
    hub.seen.length = 0;
    await snapshot();
    expect(hub.seen.length).toBe(1);
    writeFileSync(join(folder, "sub/x.1.tmp"), "left by a process that was killed");
    const names = [
      ...(await cachedFiles(cacheFolderOf(cache, ID, false), basename(folder))).keys(),
    ];
    expect(names).toEqual(["config.json", "sub/model.bin"]);
  });

  test.for([
    ["allow_patterns", "*.json", ["config.json"]],
    ["allow_patterns", ["sub/", "conf?g.json"], ["config.json", "sub/model.bin"]],
    ["allow_patterns", "[!c]*.bin", ["same.bin", "sub/model.bin"]],
    ["allow_patterns", ["[!]a-b]onfig.json", "same[].bin", "same[!].bin"], ["config.json"]],
    ["ignore_patterns", "*model*", ["config.json", "same.bin"]],
    ["ignore_patterns", ["*.bin", "*.json"], []],
  ] as const)("%s: %j", async ([option, pattern, expected]) => {
    const { hub, snapshot } = await workplace();
    hub.add(ID, { files });
    const folder = await snapshot({ [option]: pattern });
    const found = existsSync(folder)
      ? readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => !entry.isDirectory())
          .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      : [];
    expect(found.toSorted()).toEqual(expected);
  });

  test("offline it is what the cache has", async () => {
    const { hub, snapshot, refusal } = await workplace();
    hub.add(ID, { files });
    expect(await refusal({ local_files_only: true })).toMatch(
      /not in the cache .*local_files_only is true: no connection was opened/,
    );
    const folder = await snapshot({ allow_patterns: "*.json" });
    hub.seen.length = 0;
    expect(await snapshot({ local_files_only: true, allow_patterns: "*.json" })).toBe(folder);
    expect(await refusal({ local_files_only: true })).toMatch(
      /the cache of models has no (sub\/model|same).bin and 1 more files/,
    );
    expect(hub.seen).toEqual([]);
  });
});

describe("a cache that may not be written", () => {
  /** Downloads in a process that owns nothing here. */
  function asNobody(
    endpoint: string,
    cache: string,
  ): Promise<{ code: number | null; out: string }> {
    const script = join(import.meta.dirname, "download-process.ts");
    const child = spawn(process.execPath, [script, ID], {
      env: { PATH: process.env.PATH, HF_ENDPOINT: endpoint, HF_HUB_CACHE: cache },
      ...(process.getuid?.() === 0 && { uid: 65_534, gid: 65_534 }),
    });
    let out = "";
    child.stdout.on("data", (data) => (out += String(data)));
    child.stderr.on("data", (data) => (out += String(data)));
    return new Promise((resolve) => {
      child.on("close", (code) => resolve({ code, out: out.trim() }));
    });
  }

  test.runIf(process.platform === "linux")(
    "is read; what it lacks is refused with what to do",
    async () => {
      const { hub, snapshot, cache } = await workplace();
      hub.add(ID, { files: { "config.json": "{}" } });
      const folder = await snapshot();
      chmodSync(cache, 0o755);
      spawnSync("chmod", ["-R", "a-w,a+rX", cache]);
      onTestFinished(() => void spawnSync("chmod", ["-R", "u+w", cache]));
      expect(await asNobody(hub.endpoint, cache)).toEqual({ code: 0, out: folder });
      hub.add(ID, { files: { "config.json": "{}", "new.txt": "new" }, commit: "3".repeat(40) });
      const { code, out } = await asNobody(hub.endpoint, cache);
      expect(code).toBe(1);
      expect(out).toMatch(
        /may not be written: check its permissions, or choose another folder with cache_dir or HF_HUB_CACHE \(EACCES\)/,
      );
    },
  );
});

describe("the models in it", () => {
  test("are listed", async () => {
    const { hub, snapshot, cache, inCache } = await workplace();
    hub.add(ID, { files });
    const old = await snapshot();
    const { commit } = hub.add(ID, { files: { "config.json": "{ }" }, commit: "4".repeat(40) });
    await snapshot();
    writeFileSync(inCache("blobs", `${"0".repeat(64)}.mistral.incomplete`), "12345");
    mkdirSync(join(cache, "models--broken"));
    mkdirSync(join(cache, "datasets--a--b"));
    utimesSync(inCache("blobs", sha256(bytes)), 1000, 2000);
    const info = await scanCache(cache);
    expect(info).toMatchObject({ cache_dir: cache, size_on_disk: 5005, warnings: [] });
    expect(info.repos.map((repo) => repo.repo_id)).toEqual(["broken", ID]);
    const repo = info.repos[1];
    expect(repo).toMatchObject({
      repo_type: "model",
      repo_path: inCache(),
      nb_files: 3,
      size_on_disk: 5005,
      incomplete_size: 5,
    });
    const byCommit = new Map(repo.revisions.map((revision) => [revision.commit_hash, revision]));
    expect(byCommit.get(commit)).toMatchObject({ refs: ["main"], size_on_disk: 3 });
    const first = byCommit.get(old.split("/").at(-1) ?? "");
    expect(first).toMatchObject({ refs: [], size_on_disk: 5002, snapshot_path: old });
    expect(first?.files.map((file) => file.file_name).toSorted()).toEqual(
      Object.keys(files).toSorted(),
    );
    expect(first?.files.find(({ file_name }) => file_name === "sub/model.bin")).toMatchObject({
      ...{ size_on_disk: 5000, file_path: join(old, "sub/model.bin") },
      blob_path: inCache("blobs", sha256(bytes)),
    });
    expect(await scanCache(join(cache, "nothing"))).toMatchObject({ repos: [], size_on_disk: 0 });
  });

  test.for([true, false])("are checked, with links: %s", async (links) => {
    if (!links) environmentOf({ HF_HUB_DISABLE_SYMLINKS: "1" });
    const { hub, snapshot, cache } = await workplace();
    hub.add(ID, { files: { "config.json": "{}", "model.bin": bytes } });
    const folder = await snapshot();
    const statuses = async (): Promise<object> =>
      Object.fromEntries(
        (await verifyModel("verify", cache, ID)).map(({ file_name, status }) => [
          file_name,
          status,
        ]),
      );
    expect(await statuses()).toEqual({ "config.json": "ok", "model.bin": "ok" });
    writeFileSync(join(folder, "model.bin"), Buffer.from(bytes).fill(1, 3, 4));
    writeFileSync(join(folder, "config.json"), "{} ");
    expect(await statuses()).toEqual({ "config.json": "damaged", "model.bin": "damaged" });
    writeFileSync(join(folder, "own.txt"), "mine");
    expect(await statuses()).toMatchObject({ "own.txt": "unknown" });
    const loaded: number[] = [];
    await verifyModel("verify", cache, ID, {
      onProgress: (progress) => loaded.push(progress.loaded),
    });
    expect(loaded.at(-1)).toBe(5003);
    await expect(
      verifyModel("verify", cache, ID, { signal: AbortSignal.abort("no") }),
    ).rejects.toBe("no");
  });

  test("are removed, unless one is being downloaded", async () => {
    const { hub, snapshot, cache, inCache } = await workplace();
    hub.add(ID, { files });
    await snapshot();
    expect(await messageOf(removeModel("rm", cache, "a/b"))).toMatch(
      /^InputError: rm: a\/b is not in the cache .*which holds test-org\/Tiny-Mistral/,
    );
    expect(await messageOf(removeModel("rm", cache, "../x"))).toMatch(
      /^InputError: rm: "..\/x" is no repo/,
    );
    const locks = join(cache, ".locks", "models--test-org--Tiny-Mistral");
    const lock = join(locks, "x.mistral.lock");
    writeFileSync(lock, JSON.stringify({ pid: process.pid, host: hostname(), time: "", key: "" }));
    expect(await messageOf(removeModel("rm", cache, ID))).toMatch(/another process is downloading/);
    // A process of another machine, or of a container that is gone, cannot be asked: it counts while it renews its lock.
    writeFileSync(lock, JSON.stringify({ pid: 1, host: "other", time: "", key: "" }));
    expect(await messageOf(removeModel("rm", cache, ID))).toMatch(/another process is downloading/);
    utimesSync(lock, new Date(), new Date(Date.now() - 60_000));
    expect(await removeModel("rm", cache, ID)).toBe(5002);
    expect([existsSync(inCache()), existsSync(locks)]).toEqual([false, false]);
  });
});
