// Requests through the proxies that the environment names, without a flag of Node.

import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { downloadSnapshot } from "../../src/hub/snapshot.ts";
import type { MockHub } from "./mock-hub.ts";
import { ID, messageOf, workplace } from "./workplace.ts";

/** A proxy that sends every request to the mock, and refuses tunnels. */
async function proxyTo(hub: MockHub): Promise<{ address: string; seen: string[] }> {
  const seen: string[] = [];
  const server: Server = createServer((asked, answer) => {
    seen.push(`${asked.method} ${asked.url}`);
    const { pathname, search } = new URL(asked.url ?? "");
    const forward = request(`${hub.endpoint}${pathname}${search}`, { headers: asked.headers });
    forward.on("response", (got) => {
      answer.writeHead(got.statusCode ?? 500, got.headers);
      got.pipe(answer);
    });
    forward.end();
  });
  server.on("connect", ({ url }, socket) => {
    seen.push(`CONNECT ${url}`);
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function environmentOf(values: Record<string, string>): void {
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]) {
    vi.stubEnv(name, values[name]);
    vi.stubEnv(name.toLowerCase(), values[name.toLowerCase()]);
  }
  onTestFinished(() => void vi.unstubAllEnvs());
}

test.for(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])("%s", async (name) => {
  const { hub, defaults } = await workplace();
  hub.add(ID, { files: { "a.txt": "a" } });
  const proxy = await proxyTo(hub);
  environmentOf({ [name]: proxy.address });
  const settings = { ...defaults, hubEndpoint: "http://hub.invalid" };
  const folder = await downloadSnapshot("test", ID, {}, settings);
  expect(readFileSync(join(folder, "a.txt"), "utf8")).toBe("a");
  expect(proxy.seen[0]).toBe(`GET http://hub.invalid/api/models/${ID}/revision/main`);
  expect(proxy.seen.length).toBe(hub.seen.length);
});

test("NO_PROXY", async () => {
  const { hub, snapshot } = await workplace();
  hub.add(ID, { files: { "a.txt": "a" } });
  const proxy = await proxyTo(hub);
  environmentOf({ HTTP_PROXY: proxy.address, NO_PROXY: "example.org,127.0.0.1" });
  await snapshot();
  expect(proxy.seen).toEqual([]);
});

test("HTTPS_PROXY: a tunnel, and a message if the proxy refuses it", async () => {
  const { hub, defaults } = await workplace();
  const proxy = await proxyTo(hub);
  environmentOf({ HTTPS_PROXY: proxy.address.replace("http://", "http://user:secret@") });
  const settings = { ...defaults, hubEndpoint: "https://hub.invalid" };
  const message = await messageOf(downloadSnapshot("test", ID, {}, settings));
  expect(proxy.seen[0]).toBe("CONNECT hub.invalid:443");
  expect(message).toMatch(/https:\/\/hub.invalid.*the proxy did not let the connection through/);
  expect(message).not.toContain("secret");
});
