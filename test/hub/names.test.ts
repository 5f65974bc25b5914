// Names that users, hubs and caches give: what could lead out of the cache, or into another file, is refused before it is a path.

import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  checkFilename,
  checkRepoPath,
  checkRevision,
  isRepoId,
  leavesFolder,
} from "../../src/hub/names.ts";
import { downloadFile, downloadSnapshot } from "../../src/hub/snapshot.ts";
import { gitSha1, sha256 } from "./mock-hub.ts";
import { ID, messageOf, someBytes, workplace } from "./workplace.ts";

// As validate_repo_id of huggingface_hub 2.4.0 decides.
test.for([
  ["mistralai/Mistral-7B-v0.1", true],
  ["gpt2", true],
  ["a/b", true],
  ["_a/b_", true],
  ["Foo-BAR_foo.bar123", true],
  [`${"a".repeat(96)}/${"b".repeat(96)}`, true],
  [`${"a".repeat(97)}/b`, false],
  ["", false],
  ["..", false],
  ["a/..", false],
  ["../a", false],
  ["a/../b", false],
  ["a/b/c", false],
  ["a//b", false],
  ["/a", false],
  ["a/", false],
  [".a/b", false],
  ["a/b.", false],
  ["-a/b", false],
  ["a/b-", false],
  ["a--b", false],
  ["a..b", false],
  ["a/b.git", false],
  ["a/b\n", false],
  ["a\n/b", false],
  ["a b", false],
  ["a\\b", false],
  ["C:\\x", false],
  ["a/b\0", false],
  ["caf\u00e9/b", false],
  ["a%2f..%2fb", false],
] as const)("the id of a repository: %j is one: %s", ([id, fine]) => {
  expect(isRepoId(id)).toBe(fine);
});

test("an id that cannot be is refused before a request", async () => {
  const { hub, defaults } = await workplace();
  for (const id of ["..", "a/../b", "a/b\nHost: evil", 5, undefined]) {
    const message = await messageOf(downloadSnapshot("test", id as string, {}, defaults));
    expect(message).toMatch(/^InputError: test: .* is no repository's id; expected "owner\/name"/);
    expect(message).not.toContain("\n");
  }
  expect(hub.seen).toEqual([]);
});

test.for([
  "../../x",
  "..",
  "a/../b",
  "/a",
  "a/",
  "a\\b",
  "a\nb",
  "a\0",
  "-x",
  "a..b",
  "x.lock",
  "a@{0}",
  "con",
  "a ",
  "a.",
  "",
  5,
  "x".repeat(300),
])("revision %j is refused", (revision) => {
  expect(() => checkRevision("test", revision)).toThrow(/^test: revision .*; expected a branch/);
});

test.for(["main", "v0.1", "refs/pr/1", "a".repeat(40), "feature/x_y-z", "v1+cu12"])(
  "revision %j is taken",
  (revision) => {
    expect(() => checkRevision("test", revision)).not.toThrow();
  },
);

const escaping = [
  "../x",
  "a/../../x",
  "..",
  ".",
  "/etc/passwd",
  "C:\\x",
  "C:x",
  "c:/x",
  "\\\\host\\share",
  "a\\..\\b",
  "a\0b",
  "a\nb",
  "a//b",
  "a/",
  "",
];
const unportable = [
  "NUL",
  "aux.json",
  "folder/COM1",
  "a/con.txt",
  "name.",
  "name ",
  "x".repeat(300),
  "ab:c",
  "a?b",
  "a<b",
  `${"d/".repeat(600)}x`,
];

describe("paths in a repository", () => {
  test.for(escaping)("%j leads out", (path) => {
    expect(leavesFolder(path)).toBe(true);
    expect(() => checkRepoPath("test", path)).toThrow(
      /lies outside the repository; do not trust it/,
    );
    expect(() => checkFilename("test", path)).toThrow(/expected a path within the repository/);
  });

  test.for(unportable)("%j is no file on some system", (path) => {
    expect(leavesFolder(path)).toBe(false);
    expect(() => checkRepoPath("test", path)).toThrow(/which not every system can store/);
  });

  test.for([
    "config.json",
    "a/b/c.bin",
    ".gitattributes",
    "\ud55c\uad6d\uc5b4.txt",
    "..a",
    "a..b",
    "x".repeat(255),
  ])("%j is one", (path) => {
    expect(() => checkRepoPath("test", path)).not.toThrow();
  });

  test.for(escaping)("a hub that lists %j is not trusted, and nothing is written", async (path) => {
    const { hub, refusal, cache } = await workplace();
    const entry = { type: "file", oid: "0".repeat(40), size: 1, path };
    hub.add(ID, { files: { "a.txt": "a", "b.txt": "b" }, listed: { "b.txt": entry } });
    expect(await refusal()).toMatch(/lies outside its repository; do not trust this repository/);
    expect(readdirSync(cache)).toEqual([]);
  });

  test.for(unportable)("a hub that lists %j: the other files can be had", async (path) => {
    const { hub, refusal, snapshot } = await workplace();
    const entry = { type: "file", oid: "0".repeat(40), size: 1, path };
    hub.add(ID, { files: { "a.txt": "a", "b.txt": "b" }, listed: { "b.txt": entry } });
    expect(await refusal()).toMatch(/not every system can store/);
    expect(readdirSync(await snapshot({ allow_patterns: "a.txt" }))).toEqual(["a.txt"]);
  });
});

test.for([
  { oid: "../../x" },
  { oid: "0".repeat(39) },
  { oid: "G".repeat(40) },
  { oid: 5 },
  { oid: undefined },
  { lfs: { oid: "../../../x", size: 1 } },
  { lfs: { oid: "0".repeat(40), size: 1 } },
  { lfs: { oid: "0".repeat(64), size: -1 } },
  { lfs: { oid: "0".repeat(64), size: 1e300 } },
  { lfs: { oid: "0".repeat(64) } },
  { lfs: 7 },
  { size: "1" },
  { size: 0.5 },
])("a hub that lists %j is not trusted", async (wrong) => {
  const { hub, refusal, cache } = await workplace();
  const entry = { type: "file", oid: "0".repeat(40), size: 1, path: "a.txt", ...wrong };
  hub.add(ID, { files: { "a.txt": "a" }, listed: { "a.txt": entry } });
  expect(await refusal()).toMatch(/with the (hash|size) .*expected/);
  expect(readdirSync(cache)).toEqual([]);
});

describe("links that somebody planted in the cache are not followed out of it", () => {
  const bytes = someBytes(5000);
  const elsewhere = (): string => mkdtempSync(join(tmpdir(), "elsewhere-"));

  test.for(["blobs", "snapshots", "refs", "trees"])("in place of the folder %s", async (part) => {
    const { hub, refusal, inCache } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    const target = elsewhere();
    mkdirSync(inCache(), { recursive: true });
    symlinkSync(target, inCache(part));
    expect(await refusal()).toMatch(/is a link, where the cache of models has a folder/);
    expect(readdirSync(target)).toEqual([]);
  });

  test("in place of a folder in a snapshot", async () => {
    const { hub, refusal, inCache } = await workplace();
    const { commit } = hub.add(ID, { files: { "sub/model.bin": bytes } });
    const target = elsewhere();
    mkdirSync(inCache("snapshots", commit), { recursive: true });
    symlinkSync(target, inCache("snapshots", commit, "sub"));
    expect(await refusal()).toMatch(/is a link, where the cache of models has a folder/);
    expect(readdirSync(target)).toEqual([]);
  });

  test("in place of a partial download", async () => {
    const { hub, refusal, inCache } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    const target = join(elsewhere(), "victim");
    writeFileSync(target, "precious");
    mkdirSync(inCache("blobs"), { recursive: true });
    symlinkSync(target, inCache("blobs", `${sha256(bytes)}.mistral.incomplete`));
    expect(await refusal()).toMatch(/a link stands where the cache of models has a file.*ELOOP/);
    expect(readFileSync(target, "utf8")).toBe("precious");
  });

  test("in place of a file of a snapshot", async () => {
    const { hub, refusal, inCache } = await workplace();
    const { commit } = hub.add(ID, { files: { "a.txt": "a" } });
    const target = join(elsewhere(), "secret");
    writeFileSync(target, "s");
    mkdirSync(inCache("snapshots", commit), { recursive: true });
    symlinkSync(target, inCache("snapshots", commit, "a.txt"));
    expect(await refusal()).toMatch(/leads out of the cache of models, to .*secret"; remove it/);
    expect(readFileSync(target, "utf8")).toBe("s");
  });

  test("in place of a blob: its content is not believed, and the link is replaced", async () => {
    const { hub, snapshot, inCache } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    const target = join(elsewhere(), "victim");
    writeFileSync(target, someBytes(5000, 7));
    mkdirSync(inCache("blobs"), { recursive: true });
    symlinkSync(target, inCache("blobs", sha256(bytes)));
    const folder = await snapshot();
    expect(readFileSync(join(folder, "model.bin")).equals(bytes)).toBe(true);
    expect(lstatSync(inCache("blobs", sha256(bytes))).isFile()).toBe(true);
    expect(readFileSync(target).equals(someBytes(5000, 7))).toBe(true);
  });

  test("in place of a lock", async () => {
    const { hub, refusal, cache } = await workplace();
    hub.add(ID, { files: { "a.txt": "a" } });
    const locks = join(cache, ".locks", "models--test-org--Tiny-Mistral");
    mkdirSync(locks, { recursive: true });
    const target = join(elsewhere(), "victim");
    symlinkSync(target, join(locks, `${gitSha1(Buffer.from("a"))}.mistral.lock`));
    expect(await refusal()).toMatch(/is no file, where a lock was expected; remove it/);
    expect(existsSync(target)).toBe(false);
  });
});

test("a file that is asked for by a name", async () => {
  const { hub, defaults } = await workplace();
  hub.add(ID, { files: { "sub/a b.txt": "text", "c#d?.txt": "odd" } });
  const get = (name: string, subfolder?: string): Promise<string> =>
    downloadFile("hf_hub_download", ID, name, { subfolder }, defaults);
  expect(readFileSync(await get("sub/a b.txt"), "utf8")).toBe("text");
  expect(readFileSync(await get("a b.txt", "sub"), "utf8")).toBe("text");
  expect(await messageOf(get("d.txt"))).toMatch(/CheckpointError: .*has no file "d.txt"/);
  expect(await messageOf(get("../x"))).toMatch(/^InputError: hf_hub_download: file "..\/x"/);
  expect(await messageOf(get("x", ".."))).toMatch(/^InputError/);
});
