// What servers and networks do wrong: every download ends with the right bytes or with an error that says what to do, and a wrong byte
// is never left in the cache under a file's name.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Misbehaviour, sendFile, sha256 } from "./mock-hub.ts";
import { ID, someBytes, workplace } from "./workplace.ts";

const bytes = someBytes(300_000);

/** Misbehaves towards the n-th request for the large file, from 0. */
function atRequest(which: (n: number) => boolean, wrong: Misbehaviour): Misbehaviour {
  let n = 0;
  return (seen, answer, file) =>
    seen.host === "cdn" && which(n++) ? wrong(seen, answer, file) : false;
}

/** What lies in the cache's folder of blobs. */
const blobs = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

describe("bytes that do not come as they should", () => {
  test.for([
    ["the connection breaks", 100_000, (n: number) => n === 0],
    ["it breaks several times", 50_000, (n: number) => n < 4],
    ["it breaks before the first byte", 0, (n: number) => n < 3],
  ] as const)("%s: the download goes on where it was", async ([, at, which]) => {
    const { hub, snapshot } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    hub.misbehave = atRequest(which, (seen, answer) => {
      const from = Number(/\d+/.exec(seen.headers.range ?? "0")?.[0]);
      const part = bytes.subarray(from, from + at);
      answer.writeHead(from === 0 ? 200 : 206, {
        "content-length": bytes.length - from,
        ...(from > 0 && { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
      });
      answer.write(part);
      setTimeout(() => answer.destroy(), 100); // a connection that breaks at once loses what was not read yet
      return true;
    });
    expect(readFileSync(join(await snapshot(), "model.bin")).equals(bytes)).toBe(true);
    const ranges = hub.seen
      .filter(({ host }) => host === "cdn")
      .map(({ headers }) => headers.range);
    expect(ranges.slice(1).every((range) => at === 0 || range !== undefined)).toBe(true);
  });

  test("a body without a length that ends too early", async () => {
    const { hub, snapshot } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    hub.misbehave = atRequest(
      (n) => n === 0,
      (_, answer) => {
        answer.useChunkedEncodingByDefault = false;
        answer.shouldKeepAlive = false;
        answer.writeHead(200);
        answer.end(bytes.subarray(0, 1000));
        return true;
      },
    );
    expect(readFileSync(join(await snapshot(), "model.bin")).equals(bytes)).toBe(true);
  });

  test("nothing comes any more: the stalled connection is given up", async () => {
    vi.stubEnv("HF_HUB_DOWNLOAD_TIMEOUT", "1");
    onTestFinished(() => void vi.unstubAllEnvs());
    const { hub, snapshot } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    hub.misbehave = atRequest(
      (n) => n === 0,
      (_, answer) => {
        answer.writeHead(200, { "content-length": bytes.length });
        answer.write(bytes.subarray(0, 1000));
        return true;
      },
    );
    expect(readFileSync(join(await snapshot(), "model.bin")).equals(bytes)).toBe(true);
  });

  test("it fails for good: the message says how often it was tried, and what came is kept", async () => {
    const { hub, refusal, inCache } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    hub.misbehave = atRequest(
      () => true,
      (seen, answer) => {
        if (seen.headers.range !== undefined) {
          answer.destroy();
          return true;
        }
        answer.writeHead(200, { "content-length": bytes.length });
        answer.write(bytes.subarray(0, 1000), () => answer.destroy());
        return true;
      },
    );
    expect(await refusal()).toMatch(/CheckpointError: .*the connection broke.*; tried 5 times$/);
    expect(blobs(inCache("blobs"))).toContain(`${sha256(bytes)}.mistral.incomplete`);
    expect(existsSync(inCache("refs", "main"))).toBe(false);
  });

  test("the range is ignored, and the connection breaks at a nearer place each other time: it has an end", async () => {
    const { hub, refusal } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    let n = 0;
    hub.misbehave = (seen, answer) => {
      if (seen.host !== "cdn") return false;
      answer.writeHead(200, { "content-length": bytes.length });
      answer.write(bytes.subarray(0, n++ % 2 === 0 ? 50_000 : 40_000));
      setTimeout(() => answer.destroy(), 100);
      return true;
    };
    expect(await refusal()).toMatch(/; tried 5 times$/);
  });

  test("the range is ignored on resuming", async () => {
    const { hub, snapshot, inCache } = await workplace();
    const { commit } = hub.add(ID, { files: { "model.bin": bytes, "a.txt": "a" } });
    await snapshot({ allow_patterns: "a.txt" });
    writeFileSync(inCache("blobs", `${sha256(bytes)}.mistral.incomplete`), bytes.subarray(0, 5000));
    hub.misbehave = (seen, answer, file) => {
      if (seen.host !== "cdn") return false;
      expect(seen.headers.range).toBe("bytes=5000-");
      answer.writeHead(200, { "content-length": bytes.length }).end(file?.bytes);
      return true;
    };
    const folder = await snapshot();
    expect(folder).toBe(inCache("snapshots", commit));
    expect(readFileSync(join(folder, "model.bin")).equals(bytes)).toBe(true);
  });

  test("another part comes than was asked for", async () => {
    const { hub, snapshot, inCache } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes, "a.txt": "a" } });
    await snapshot({ allow_patterns: "a.txt" });
    writeFileSync(inCache("blobs", `${sha256(bytes)}.mistral.incomplete`), bytes.subarray(0, 5000));
    hub.misbehave = atRequest(
      (n) => n === 0,
      (_, answer) => {
        const range = `bytes 0-${bytes.length - 1}/${bytes.length}`;
        answer.writeHead(206, { "content-range": range }).end(bytes);
        return true;
      },
    );
    expect(readFileSync(join(await snapshot(), "model.bin")).equals(bytes)).toBe(true);
  });

  test("the file was changed between two attempts: nothing is mixed", async () => {
    const { hub, snapshot } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    const other = someBytes(bytes.length, 2);
    const asked: unknown[] = [];
    hub.misbehave = (seen, answer) => {
      if (seen.host !== "cdn") return false;
      asked.push(seen.headers["if-range"]);
      if (asked.length > 1) return false;
      answer.writeHead(200, { etag: '"other"', "content-length": bytes.length });
      answer.write(other.subarray(0, 100_000));
      setTimeout(() => answer.destroy(), 100); // a connection that breaks at once loses what was not read yet
      return true;
    };
    expect(readFileSync(join(await snapshot(), "model.bin")).equals(bytes)).toBe(true);
    expect(asked).toEqual([undefined, '"other"']);
  });
});

describe("wrong bytes", () => {
  test("a wrong sum: deleted, fetched once more", async () => {
    const { hub, snapshot, inCache } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    hub.misbehave = atRequest(
      (n) => n === 0,
      (_, answer) => {
        answer.end(someBytes(bytes.length, 3));
        return true;
      },
    );
    expect(readFileSync(join(await snapshot(), "model.bin")).equals(bytes)).toBe(true);
    expect(hub.downloads("model.bin")).toBe(4); // twice from the hub to the other host
    expect(blobs(inCache("blobs"))).toEqual([sha256(bytes)]);
  });

  test.for([true, false])(
    "wrong twice: an error names both sums (large file: %s)",
    async (large) => {
      const { hub, refusal, inCache } = await workplace();
      const right = large ? bytes : "the right text";
      const wrong = Buffer.from(large ? someBytes(bytes.length, 3) : "the wrong text");
      hub.add(ID, { files: { "model.bin": right } });
      hub.misbehave = ({ host, url }, answer) => {
        if (!(large ? host === "cdn" : url.includes("/resolve/"))) return false;
        answer.end(wrong);
        return true;
      };
      const message = await refusal();
      expect(message).toMatch(large ? /SHA-256 of the bytes that came/ : /git's SHA-1/);
      expect(message.match(/[0-9a-f]{40,64}/g)?.length).toBe(2);
      expect(message).toContain("fetched twice and deleted");
      expect(blobs(inCache("blobs"))).toEqual([]);
    },
  );

  test("a damaged partial download that claims to be whole", async () => {
    const { hub, snapshot, inCache } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes, "a.txt": "a" } });
    await snapshot({ allow_patterns: "a.txt" });
    const partial = inCache("blobs", `${sha256(bytes)}.mistral.incomplete`);
    writeFileSync(partial, Buffer.alloc(bytes.length));
    expect(readFileSync(join(await snapshot(), "model.bin")).equals(bytes)).toBe(true);
  });

  test("more bytes than announced", async () => {
    const { hub, refusal, inCache } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    let sent = 0;
    hub.misbehave = ({ host }, answer) => {
      if (host !== "cdn") return false;
      const more = (error?: Error | null): void => {
        if (error || sent > 50_000_000) return;
        sent += 65_536;
        answer.write(Buffer.alloc(65_536), more);
      };
      more();
      return true;
    };
    expect(await refusal()).toMatch(/sends more than the 300000 bytes that the repository lists/);
    expect(sent).toBeLessThan(20_000_000);
    expect(blobs(inCache("blobs"))).toEqual([]);
  });

  test("a list that is refused is not read on: its connection ends", async () => {
    const { refusal, defaults } = await workplace();
    let cancelled = 0;
    defaults.fetch = async () => ({
      status: 200,
      headers: { get: (name) => (name === "content-encoding" ? "gzip" : null) },
      body: {
        getReader: () => ({
          read: async () => ({ done: true }),
          cancel: async () => void cancelled++,
        }),
      },
    });
    expect(await refusal()).toMatch(/content-encoding "gzip"/);
    expect(cancelled).toBe(1);
  });

  test("packed bytes are refused before one is unpacked", async () => {
    const { hub, refusal } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    const bomb = gzipSync(Buffer.alloc(20_000_000));
    hub.misbehave = ({ host, headers }, answer) => {
      if (host !== "cdn") return false;
      expect(headers["accept-encoding"]).toBe("identity");
      answer.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
      return true;
    };
    expect(await refusal()).toMatch(/content-encoding "gzip", though bytes as they are were asked/);
  });
});

test("an abort stops all downloads with the signal's reason, and the next try goes on", async () => {
  const { hub, snapshot } = await workplace();
  hub.add(ID, { files: { "model.bin": bytes, "other.bin": someBytes(1000, 9) } });
  hub.misbehave = ({ host, url }, answer) => {
    if (host !== "cdn" || !url.endsWith("model.bin")) return false;
    answer.writeHead(200, { "content-length": bytes.length });
    answer.write(bytes.subarray(0, 100_000));
    return true;
  };
  const stop = new AbortController();
  const reason = new Error("enough");
  const call = snapshot({
    signal: stop.signal,
  });
  setTimeout(() => stop.abort(reason), 300);
  await expect(call).rejects.toBe(reason);
  hub.misbehave = ({ host, url, headers }, answer, file) => {
    if (host !== "cdn" || !url.endsWith("model.bin")) return false;
    expect(headers.range).toMatch(/^bytes=[1-9]\d*-$/);
    sendFile({ headers, method: "GET" } as never, answer, file);
    return true;
  };
  expect(readFileSync(join(await snapshot(), "model.bin")).equals(bytes)).toBe(true);
});
