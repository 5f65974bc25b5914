// What servers and networks do wrong: every download ends with the right bytes or with an error that says what to do, and a wrong byte
// is never left in the cache under a file's name.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { downloadSnapshot } from "../../src/hub/snapshot.ts";
import { type Misbehaviour, refuse, sendFile, sha256 } from "./mock-hub.ts";
import { ID, messageOf, someBytes, workplace } from "./workplace.ts";

const TOKEN = "hf_secretSecretSecretSecret";
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

describe("answers of the hub", () => {
  test.for([
    [401, "GatedRepo", undefined, /is gated .*accept its terms at .*; then set HF_TOKEN/],
    [403, "GatedRepo", TOKEN, /is gated .*the token that was sent \(HF_TOKEN\) has no access yet/],
    [403, "", TOKEN, /is gated/],
    [
      401,
      "RepoNotFound",
      undefined,
      /has no model .*is the name right\?.*private: then set HF_TOKEN/,
    ],
    [401, "", "hf_wrong", /token that was sent \(HF_TOKEN\) is not valid/],
    [404, "RepoNotFound", TOKEN, /has no model "test-org\/Tiny-Mistral"/],
    [404, "RevisionNotFound", undefined, /has no revision "main".*\/tree\/main/],
    [400, "", undefined, /answered 400; expected 200/],
  ] as const)("%i %s (token: %s)", async ([status, code, token, expected]) => {
    const { hub, refusal } = await workplace();
    hub.misbehave = (_, answer) => {
      answer.writeHead(status, code === "" ? {} : { "x-error-code": code }).end();
      return true;
    };
    const message = await refusal({ token: token ?? false });
    expect(message).toMatch(expected);
    expect(message).toContain(hub.endpoint.replace(/^http:\/\//, ""));
    expect(message).not.toContain(token ?? "hf_");
    expect(hub.seen.length).toBe(1);
  });

  test("a file of the list that is not there", async () => {
    const { hub, refusal } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    hub.misbehave = ({ url }, answer) => {
      if (!url.includes("/resolve/")) return false;
      refuse(answer, 404, "EntryNotFound");
      return true;
    };
    expect(await refusal()).toMatch(
      /has no file "model.bin" at revision "main" \(404 EntryNotFound/,
    );
  });

  test("429 with Retry-After is waited for, and not longer than two minutes", async () => {
    const { hub, snapshot, refusal } = await workplace();
    hub.add(ID, { files: { "a.txt": "a" } });
    let after = "1";
    let limited = 1;
    hub.misbehave = (_, answer) => {
      if (limited-- <= 0) return false;
      answer.writeHead(429, { "retry-after": after }).end();
      return true;
    };
    const start = performance.now();
    await snapshot();
    expect(performance.now() - start).toBeGreaterThan(990);
    [after, limited] = ["3600", 1];
    expect(await refusal({ force_download: true })).toMatch(
      /answered 429; the hub limits how often it is asked; with HF_TOKEN.*come back in 60 minutes/,
    );
  });

  test("500 and 503 are tried again", async () => {
    const { hub, snapshot } = await workplace();
    hub.add(ID, { files: { "a.txt": "a" } });
    let failures = 2;
    hub.misbehave = (_, answer) => {
      if (failures-- <= 0) return false;
      answer.writeHead(failures === 1 ? 500 : 503).end();
      return true;
    };
    expect(readFileSync(join(await snapshot(), "a.txt"), "utf8")).toBe("a");
  });

  test("an answer that is no hub's", async () => {
    const { hub, refusal } = await workplace();
    for (const body of ["<html>log in</html>", "[]", '{"sha":"../../x"}', '{"sha":1}', "null"]) {
      hub.misbehave = (_, answer) => {
        answer.end(body);
        return true;
      };
      expect(await refusal()).toMatch(/no JSON|is it a hub\?/);
    }
  });

  test("a list in pages", async () => {
    const { hub, snapshot } = await workplace();
    hub.pageSize = 3;
    const names = Array.from({ length: 10 }, (_, i) => `${i}.txt`);
    hub.add(ID, { files: Object.fromEntries(names.map((name) => [name, name])) });
    expect(readdirSync(await snapshot()).toSorted()).toEqual(names);
  });

  test("a next page of the list on another host", async () => {
    const { hub, refusal } = await workplace();
    hub.add(ID, { files: { "a.txt": "a" } });
    hub.misbehave = ({ url }, answer) => {
      if (url.includes("/tree/")) {
        answer.setHeader("link", `<${hub.cdn}/api/models/x>; rel="next"`);
      }
      return false;
    };
    expect(await refusal()).toMatch(/next page of the list of files is on another host/);
  });
});

describe("redirects", () => {
  test("the token goes to the hub and to no other host", async () => {
    const { hub, snapshot } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes, "a.txt": "a" } });
    await snapshot({ token: TOKEN });
    for (const { host, headers } of hub.seen) {
      expect(headers.authorization).toBe(host === "hub" ? `Bearer ${TOKEN}` : undefined);
    }
    expect(hub.seen.some(({ host }) => host === "cdn")).toBe(true);
  });

  test.for([
    ["file:///etc/passwd", /redirects to file: \(only https is followed\)/],
    ["ftp://example.org/a", /redirects to ftp:/],
    [
      "http://example.org/a?sig=abc",
      /redirects to http:\/\/example.org\/a, which is not encrypted/,
    ],
    ["http://169.254.169.254/latest/meta-data", /an address of the machine's own link/],
    ["https://169.254.169.254/latest", /an address of the machine's own link/],
    ["http://2852039166/latest", /an address of the machine's own link/],
    ["http://[::ffff:169.254.169.254]/", /an address of the machine's own link/],
    ["http://[fe80::1]/", /an address of the machine's own link/],
    ["http://metadata.google.internal/", /an address of the machine's own link/],
    ["https://user:password@example.org/", /with a user's name in the address/],
    ["http://", /an address that cannot be read/],
  ] as const)("to %s is refused", async ([location, expected]) => {
    const { hub, refusal } = await workplace();
    hub.add(ID, { files: { "model.bin": bytes } });
    hub.misbehave = ({ url }, answer) => {
      if (!url.includes("/resolve/")) return false;
      answer.writeHead(302, { location }).end();
      return true;
    };
    const message = await refusal({ token: TOKEN });
    expect(message).toMatch(expected);
    expect(message).not.toMatch(/sig=|password|hf_secret/);
  });

  test("of a public hub to this machine or its network", async () => {
    const { redirectTarget } = await import("../../src/hub/redirect.ts");
    const to = (location: string) => (): string =>
      redirectTarget("https://hub.example", "https://hub.example/a/b", location);
    for (const near of [
      "127.0.0.1",
      "localhost",
      "10.0.0.1",
      "192.168.1.1",
      "[::1]",
      "[fd00::1]",
    ]) {
      expect(to(`https://${near}/x`)).toThrow(/this machine or its own network/);
    }
    expect(to("../c")()).toBe("https://hub.example/c");
    expect(to("https://cdn.example/x?sig=1#f")()).toBe("https://cdn.example/x?sig=1");
    expect(to("http://hub.example/x")).toThrow(/not encrypted/);
  });

  test("that never end", async () => {
    const { hub, refusal } = await workplace();
    hub.misbehave = ({ url }, answer) => {
      answer.writeHead(302, { location: url }).end();
      return true;
    };
    expect(await refusal()).toMatch(/redirects more than 8 times/);
  });

  test("of a renamed repository, on the hub itself", async () => {
    const { hub, snapshot } = await workplace();
    hub.add("test-org/New-Name", { files: { "a.txt": "a" } });
    hub.misbehave = ({ url }, answer) => {
      if (!url.includes(ID)) return false;
      answer.writeHead(307, { location: url.replace(ID, "test-org/New-Name") }).end();
      return true;
    };
    expect(readFileSync(join(await snapshot(), "a.txt"), "utf8")).toBe("a");
  });
});

test("the token is in no message, whatever the server says", async () => {
  const { hub, refusal } = await workplace();
  hub.misbehave = ({ headers }, answer) => {
    const echo = `you sent ${headers.authorization} \u001b[31mred`;
    answer.writeHead(403, { "x-error-message": encodeHeader(echo) }).end(echo);
    return true;
  };
  const message = await refusal({ token: TOKEN });
  expect(message).toContain("you sent Bearer (token)");
  expect(message).not.toContain("hf_secret");
  expect(message).not.toContain("\u001b");
});

const encodeHeader = (text: string): string => text.replace(/[^\x20-\x7e]/g, "\t");

test("a token with a line break in it is refused, and not shown", async () => {
  const { refusal } = await workplace();
  expect(await refusal({ token: "hf_a\u00e9b" })).toMatch(/^InputError: .*holds characters/);
  expect(await refusal({ token: "hf_x y" })).not.toContain("hf_x");
});

test("the hub cannot be reached: what the cache has is used, else the message says so", async () => {
  const { hub, snapshot, defaults, refusal } = await workplace();
  hub.add(ID, { files: { "a.txt": "a", "b.txt": "b" } });
  const folder = await snapshot({ allow_patterns: "a.txt" });
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const nowhere = { ...defaults, hubEndpoint: `http://127.0.0.1:${port}` };
  const again = downloadSnapshot("test", ID, { allow_patterns: "a.txt" }, nowhere);
  expect(await again).toBe(folder);
  const other = await messageOf(downloadSnapshot("test", ID, {}, nowhere));
  expect(other).toMatch(
    /the cache of models has no b.txt, and the hub does not give them: .*refused/,
  );
  const unknown = await messageOf(downloadSnapshot("test", "a/b", {}, nowhere));
  expect(unknown).toMatch(/the connection was refused \(ECONNREFUSED\); tried 5 times/);
  hub.misbehave = (_, answer) => {
    refuse(answer, 404, "RevisionNotFound");
    return true;
  };
  expect(await refusal()).toMatch(/no revision/);
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
