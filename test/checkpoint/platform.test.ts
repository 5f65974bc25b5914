// The platform's files: what is read is what is there, what is not there is said in one line, what is written appears whole.

import {
  chmodSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  createFile,
  exists,
  freeBytes,
  isDirectory,
  isInside,
  joinPath,
  listFiles,
  openFile,
  readBytes,
  readText,
  realPath,
  writeText,
} from "../../src/platform/node.ts";
import { CheckpointError } from "../../src/errors.ts";
import { folder } from "./craft.ts";

/** The message of the CheckpointError that it ends with. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  const result = await attempt.catch((error: unknown) => error);
  if (!(result instanceof CheckpointError))
    throw new Error("no CheckpointError", { cause: result });
  return result.message;
}

describe("reading", () => {
  test("text, bytes, names of files", async () => {
    const dir = folder({ "b.json": "é🙂", a: "x", "sub/c": "" });
    expect(await readText(joinPath(dir, "b.json"))).toBe("é🙂");
    expect([...(await readBytes(joinPath(dir, "a")))]).toEqual([120]);
    expect(await listFiles(dir)).toEqual(["a", "b.json"]);
    expect([
      await exists(joinPath(dir, "a")),
      await exists(joinPath(dir, "z")),
      await exists("a\0b"),
    ]).toEqual([true, false, false]);
    expect([
      await isDirectory(dir),
      await isDirectory(joinPath(dir, "a")),
      await isDirectory(joinPath(dir, "z")),
    ]).toEqual([true, false, false]);
  });

  test("what cannot be read is said in one line", async () => {
    const dir = folder({ a: Uint8Array.of(0xff, 0xfe) });
    expect(await refusal(readText(join(dir, "none")))).toMatch(/none: no such file or folder/);
    expect(await refusal(readText(dir))).toMatch("it is a folder, a file was expected");
    expect(await refusal(readText(join(dir, "a")))).toMatch("not UTF-8");
    expect(await refusal(openFile(join(dir, "a/b")))).toMatch("a part of the path is a file");
    expect(await refusal(listFiles(join(dir, "none")))).toMatch("no such file or folder");
    expect(await refusal(realPath(join(dir, "none")))).toMatch("no such file or folder");
    expect(await refusal(readBytes("a\0b"))).toMatch("cannot be read");
  });

  test("by range, into shared memory at any address, several at once", async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) & 255);
    const dir = folder({ a: bytes });
    const file = await openFile(join(dir, "a"));
    expect(file.size).toBe(bytes.length);
    const memory = new Uint8Array(
      new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true }).buffer,
    );
    const pieces = Array.from(
      { length: 10 },
      (_, i) => [i * 10_000, memory.subarray(i * 10_001 + 3, i * 10_001 + 10_003)] as const,
    );
    await Promise.all(pieces.map(([offset, target]) => file.readInto(target, offset)));
    for (const [offset, target] of pieces) {
      expect(Buffer.compare(Uint8Array.from(target), bytes.subarray(offset, offset + 10_000))).toBe(
        0,
      );
    }
    await file.readInto(new Uint8Array(0), bytes.length);
    expect(await refusal(file.readInto(new Uint8Array(2), bytes.length - 1))).toMatch(
      /ended at byte 100000 while bytes 99999 to 100001/,
    );
    truncateSync(join(dir, "a"), 10);
    expect(await refusal(file.readInto(new Uint8Array(20), 0))).toMatch(
      "it was cut short after it was opened",
    );
    await file.close();
    await file.close();
  });

  test("what lies in a folder, links followed", async () => {
    const root = folder({ "dir/sub/a": "", "dir-beside/b": "" });
    const [dir, other] = [join(root, "dir"), join(root, "dir-beside")];
    symlinkSync(join(other, "b"), join(dir, "out"));
    symlinkSync("sub/a", join(dir, "in"));
    expect(await isInside(dir, join(dir, "sub/a"))).toBe(true);
    expect(await isInside(dir, join(dir, "in"))).toBe(true);
    expect(await isInside(dir, join(dir, "out"))).toBe(false);
    expect(await isInside(dir, other)).toBe(false);
    expect(await isInside(dir, dir)).toBe(false);
    expect(await isInside("/", dir)).toBe(true);
  });

  test("a link that leads nowhere, and one that leads to itself", async () => {
    const dir = folder();
    symlinkSync("../../blobs/123", join(dir, "config.json"));
    symlinkSync("circle", join(dir, "circle"));
    for (const read of [readText, readBytes, openFile]) {
      expect(await refusal(read(join(dir, "config.json")))).toMatch(
        "config.json: it is a link to ../../blobs/123, which is not there; copy folders with the files",
      );
      expect(await refusal(read(join(dir, "circle")))).toMatch("its links lead in a circle");
    }
  });

  test("a Git LFS pointer in place of a file", async () => {
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 14483\n";
    const dir = folder({ "x.json": pointer, near: pointer.replace("version", "Version") });
    for (const read of [readText, readBytes, openFile]) {
      expect(await refusal(read(join(dir, "x.json")))).toMatch(
        /x.json is a Git LFS pointer to a file of 14483 bytes, not the file itself: .*run `git lfs pull`/,
      );
    }
    expect(await readText(join(dir, "near"))).toMatch(/^Version/);
  });
});

describe("writing", () => {
  test("a file appears when it is closed, and its folder is made", async () => {
    const dir = folder();
    const path = join(dir, "new/deep/a");
    const file = await createFile(path);
    await file.write(Uint8Array.of(1, 2));
    expect(await exists(path)).toBe(false);
    await file.write(new Uint8Array(new SharedArrayBuffer(3)));
    await file.close();
    expect([...readFileSync(path)]).toEqual([1, 2, 0, 0, 0]);
    await writeText(path, "replaced");
    expect(readFileSync(path, "utf8")).toBe("replaced");
    expect(readdirSync(join(dir, "new/deep"))).toEqual(["a"]);
  });

  test("discarded, nothing is left and what was there stays", async () => {
    const dir = folder({ a: "before" });
    const file = await createFile(join(dir, "a"));
    await file.write(Uint8Array.of(1));
    await file.discard();
    expect(readFileSync(join(dir, "a"), "utf8")).toBe("before");
    expect(readdirSync(dir)).toEqual(["a"]);
  });

  test("a folder that is none, and the room on the disk", async () => {
    expect(await refusal(createFile("/dev/null/a"))).toMatch(
      /cannot be written \(E[A-Z]+\); check that the folder may be written/,
    );
    expect(await refusal(createFile("/proc/nowhere/a/b"))).toMatch(/cannot be written \(E[A-Z]+\)/);
    await expect(freeBytes(folder())).resolves.toBeGreaterThan(2 ** 20);
    expect(await freeBytes("/nothing/there")).toBe(Infinity);
  });

  test("permissions of others are respected in the message", async () => {
    const dir = folder({ a: "x" });
    writeFileSync(join(dir, "a"), "x");
    chmodSync(join(dir, "a"), 0o000);
    // root reads everything; everyone else is told why not
    const text =
      process.getuid?.() === 0
        ? await readText(join(dir, "a"))
        : await refusal(readText(join(dir, "a")));
    expect(text).toMatch(
      process.getuid?.() === 0 ? /^x$/ : /may not be read; check its permissions/,
    );
  });
});
