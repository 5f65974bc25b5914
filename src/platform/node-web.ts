// Requests over HTTP on Node, through the proxies that the environment names. A browser build offers the same function by its `fetch`.
// Follows no redirect and retries nothing: that is src/hub's.

import { Agent as PlainAgent, type IncomingMessage, request as requestPlain } from "node:http";
import { Agent as SecureAgent, request as requestSecure } from "node:https";
import { InputError } from "../errors.ts";

/** What is used of an answer: a part of what `fetch` gives. */
export type WebResponse = {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: {
    getReader(): {
      read(): Promise<{ readonly done?: boolean; readonly value?: Uint8Array }>;
      cancel(reason?: unknown): Promise<void>;
    };
  } | null;
};

/** A function that sends a GET request, as the global `fetch` does. */
export type WebFetch = (
  url: string,
  init: {
    readonly method: "GET";
    readonly headers: Record<string, string>;
    readonly redirect: "manual";
    readonly signal: AbortSignal;
  },
) => Promise<WebResponse>;

type ProxySettings = { HTTP_PROXY?: string; HTTPS_PROXY?: string; NO_PROXY?: string };

/** Sends a request and resolves with the answer when its headers are there. @throws InputError a proxy that this Node cannot use */
export const webFetch: WebFetch = async (url, { method, headers, signal }) => {
  const secure = url.startsWith("https:");
  const proxies = proxySettings();
  if (Object.keys(proxies).length > 0 && !knowsProxies()) {
    throw new InputError(
      `a proxy is set (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY), which takes Node 24.5 or newer; this is ${process.version}`,
    );
  }
  const agent = agentFor(secure, proxies);
  return new Promise((resolve, reject) => {
    const call = (secure ? requestSecure : requestPlain)(url, { method, headers, signal, agent });
    call.on("error", reject);
    call.on("response", (answer) => resolve(responseOf(answer)));
    call.end();
  });
};

function responseOf(answer: IncomingMessage): WebResponse {
  return {
    status: answer.statusCode ?? 0,
    headers: {
      get(name) {
        const value = answer.headers[name.toLowerCase()];
        return Array.isArray(value) ? value.join(", ") : (value ?? null);
      },
    },
    body: {
      getReader() {
        const pieces = answer[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
        return {
          read: async () => {
            const { done, value } = await pieces.next();
            return done === true ? { done } : { done: false, value: value as Uint8Array };
          },
          cancel: async () => void answer.destroy(),
        };
      },
    },
  };
}

/** The first of the names that is set, in capitals or not, as curl and Python read them. */
function proxySettings(): ProxySettings {
  const get = (name: string): string | undefined =>
    process.env[name.toLowerCase()] || process.env[name] || undefined;
  const all = get("ALL_PROXY");
  const plain = get("HTTP_PROXY") ?? all;
  const secure = get("HTTPS_PROXY") ?? all;
  if (plain === undefined && secure === undefined) return {};
  const none = get("NO_PROXY");
  return {
    ...(plain !== undefined && { HTTP_PROXY: plain }),
    ...(secure !== undefined && { HTTPS_PROXY: secure }),
    ...(none !== undefined && { NO_PROXY: none }),
  };
}

const knowsProxies = (): boolean => {
  const [major, minor] = process.versions.node.split(".").map(Number);
  return major > 24 || (major === 24 && minor >= 5);
};

// Kept, so that connections are used again. An idle connection does not keep the process alive.
const agents = new Map<string, PlainAgent>();

function agentFor(secure: boolean, proxyEnv: ProxySettings): PlainAgent {
  const key = JSON.stringify([secure, proxyEnv]);
  const known = agents.get(key);
  if (known !== undefined) return known;
  const options = { keepAlive: true, ...(Object.keys(proxyEnv).length > 0 && { proxyEnv }) };
  const made = secure ? new SecureAgent(options) : new PlainAgent(options);
  agents.set(key, made);
  return made;
}
