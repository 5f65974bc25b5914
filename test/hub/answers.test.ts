// What hubs answer besides files: refusals, redirects, limits, pages that are no hub's; and no answer at all. Every message says what to
// do, and none shows the token.

import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { redirectTarget } from "../../src/hub/redirect.ts";
import { downloadSnapshot } from "../../src/hub/snapshot.ts";
import { refuse } from "./mock-hub.ts";
import { ID, messageOf, someBytes, workplace } from "./workplace.ts";

const TOKEN = "hf_secretSecretSecretSecret";
const bytes = someBytes(300_000);

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

  test("of a public hub to this machine or its network", () => {
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

test("a hub that redirects to another hub: its answers count", async () => {
  const { hub, refusal } = await workplace();
  hub.misbehave = ({ host, url }, answer) => {
    if (host === "cdn") refuse(answer, 404, "RepoNotFound");
    else answer.writeHead(307, { location: `${hub.cdn}${url}` }).end();
    return true;
  };
  expect(await refusal()).toMatch(/has no model "test-org\/Tiny-Mistral" \(404 RepoNotFound/);
  expect(hub.seen.length).toBe(2);
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
  const warn = vi.spyOn(console, "warn").mockReturnValue();
  onTestFinished(() => warn.mockRestore());
  const again = downloadSnapshot("test", ID, { allow_patterns: "a.txt" }, nowhere);
  expect(await again).toBe(folder);
  expect(warn.mock.calls.flat().join()).toMatch(
    /using commit [0-9a-f]{40} from the cache of models: .*refused/,
  );
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
