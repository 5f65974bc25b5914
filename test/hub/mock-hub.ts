// A hub on loopback for tests: the parts of the hub's API that the client uses, and a second server that stands for the network that
// holds large files. Both can be told to misbehave.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export type MockFile = { readonly bytes: Buffer; readonly large: boolean };

/** One request that came, to either server. */
export type Seen = {
  readonly host: "hub" | "cdn";
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
};

/** Answers a request in place of the mock; false: the mock answers as usual. */
export type Misbehaviour = (
  seen: Seen,
  answer: ServerResponse,
  file: MockFile | undefined,
) => boolean | Promise<boolean>;

export type MockRepository = {
  /** Path → content; strings are small files, buffers are large ones. */
  files: Record<string, string | Buffer>;
  commit?: string;
  /** Entries of the list of files that replace the usual ones, by path. */
  listed?: Record<string, object>;
};

export const gitSha1 = (bytes: Buffer): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
export const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

export class MockHub {
  readonly seen: Seen[] = [];
  readonly repositories: Map<string, Required<MockRepository>> = new Map();
  misbehave: Misbehaviour = () => false;
  /** How many entries a page of the list of files has. */
  pageSize: number = 1000;
  #hub: Server | undefined;
  #cdn: Server | undefined;

  get endpoint(): string {
    return addressOf(this.#hub);
  }

  get cdn(): string {
    return addressOf(this.#cdn);
  }

  add(id: string, repository: MockRepository): Required<MockRepository> {
    const text = JSON.stringify([id, Object.keys(repository.files), repository.commit]);
    const commit = repository.commit ?? createHash("sha1").update(text).digest("hex");
    const added = { listed: {}, ...repository, commit };
    this.repositories.set(id, added);
    return added;
  }

  async start(): Promise<this> {
    this.#hub = await listening((request, answer) => this.#answer("hub", request, answer));
    this.#cdn = await listening((request, answer) => this.#answer("cdn", request, answer));
    return this;
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server?.closeAllConnections();
      await new Promise((resolve) => server?.close(resolve));
    }
  }

  /** How often the bytes of a file were asked for. */
  downloads(path: string): number {
    return this.seen.filter(({ host, url }) =>
      host === "cdn"
        ? url.endsWith(`/${path}`)
        : url.includes(`/resolve/`) && url.endsWith(`/${path}`),
    ).length;
  }

  async #answer(
    host: "hub" | "cdn",
    request: IncomingMessage,
    answer: ServerResponse,
  ): Promise<void> {
    const url = decodeURIComponent(request.url ?? "");
    const seen: Seen = { host, method: request.method ?? "", url, headers: request.headers };
    this.seen.push(seen);
    const file = this.#fileOf(url);
    if (await this.misbehave(seen, answer, file)) return;
    if (host === "cdn") return sendFile(request, answer, file);
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^?]+)/.exec(url);
    if (api !== null) return this.#api(api, request, answer);
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url);
    const repository = resolve && this.repositories.get(resolve[1]);
    if (!repository) return refuse(answer, 401, "RepoNotFound");
    if (file === undefined) return refuse(answer, 404, "EntryNotFound");
    answer.setHeader("x-repo-commit", repository.commit);
    if (!file.large) return sendFile(request, answer, file);
    answer.setHeader("x-linked-size", file.bytes.length);
    answer.setHeader("x-linked-etag", `"${sha256(file.bytes)}"`);
    answer.writeHead(302, { location: `${this.cdn}/${resolve?.[1]}/${resolve?.[3]}` }).end();
  }

  #fileOf(url: string): MockFile | undefined {
    const [, id, path] =
      /^\/([^/]+\/[^/]+)\/(?:resolve\/[^/]+\/)?(.+)$/.exec(url) ?? ([] as string[]);
    const content = this.repositories.get(id)?.files[path];
    return content === undefined ? undefined : mockFile(content);
  }

  #api([, id, kind, revision]: string[], request: IncomingMessage, answer: ServerResponse): void {
    const repository = this.repositories.get(id);
    if (repository === undefined) return refuse(answer, 401, "RepoNotFound");
    const known = [repository.commit, "main", "refs/pr/1"];
    if (!known.includes(revision)) {
      // A tree may be asked for one folder, of which the mock has none.
      const isFolder = kind === "tree" && known.some((name) => revision.startsWith(`${name}/`));
      return refuse(answer, 404, isFolder ? "EntryNotFound" : "RevisionNotFound");
    }
    answer.setHeader("content-type", "application/json");
    if (kind === "revision") {
      const siblings = Object.keys(repository.files).map((rfilename) => ({ rfilename }));
      answer.end(JSON.stringify({ id, modelId: id, sha: repository.commit, siblings }));
      return;
    }
    const cursor = Number(/cursor=(\d+)/.exec(request.url ?? "")?.[1] ?? 0);
    const paths = Object.keys(repository.files);
    const page = paths.slice(cursor, cursor + this.pageSize).map((path) => {
      const { bytes, large } = mockFile(repository.files[path]);
      const lfs = { oid: sha256(bytes), size: bytes.length, pointerSize: 135 };
      const usual = { type: "file", oid: gitSha1(bytes), size: bytes.length, path };
      return repository.listed[path] ?? (large ? { ...usual, lfs } : usual);
    });
    if (cursor + this.pageSize < paths.length) {
      const next = `${this.endpoint}/api/models/${id}/tree/${revision}?recursive=true&cursor=${cursor + this.pageSize}`;
      answer.setHeader("link", `<${next}>; rel="next"`);
    }
    answer.end(
      JSON.stringify([{ type: "directory", path: "folder", oid: "0".repeat(40) }, ...page]),
    );
  }
}

/** A hub that runs until the test ends. */
export async function mockHub(): Promise<MockHub> {
  const hub = await new MockHub().start();
  onTestFinished(() => hub.stop());
  return hub;
}

export function refuse(answer: ServerResponse, status: number, code: string): void {
  answer.writeHead(status, { "x-error-code": code, "x-error-message": `mock: ${code}` }).end("{}");
}

function mockFile(content: string | Buffer): MockFile {
  return typeof content === "string"
    ? { bytes: Buffer.from(content), large: false }
    : { bytes: content, large: true };
}

/** Sends a file or a range of it. `If-Range` with another ETag gives all of it, as HTTP wants it. */
export function sendFile(
  request: IncomingMessage,
  answer: ServerResponse,
  file: MockFile | undefined,
): void {
  if (file === undefined) return refuse(answer, 404, "EntryNotFound");
  const { bytes, large } = file;
  const etag = `"${large ? sha256(bytes).slice(0, 32) : gitSha1(bytes)}"`;
  answer.setHeader("etag", etag);
  answer.setHeader("accept-ranges", "bytes");
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const condition = request.headers["if-range"];
  if (from === 0 || (condition !== undefined && condition !== etag)) {
    answer.writeHead(200, { "content-length": bytes.length });
    answer.end(request.method === "HEAD" ? undefined : bytes);
  } else if (from >= bytes.length) {
    answer.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
  } else {
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    answer.writeHead(206, { "content-length": bytes.length - from, "content-range": range });
    answer.end(bytes.subarray(from));
  }
}

async function listening(
  answer: (request: IncomingMessage, answer: ServerResponse) => Promise<void> | void,
): Promise<Server> {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function addressOf(server: Server | undefined): string {
  const { port } = (server as Server).address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}
