// One GET request to the hub: redirects followed, time limits kept, answers that are no success made into errors that say what to do.
// Does not retry, and does not know what the bytes are.

import { type WebResponse } from "#platform";
import { CheckpointError, InputError } from "../errors.ts";
import { failure, shownAddress, shownServerText } from "./failure.ts";
import { redirectTarget, sameOrigin } from "./redirect.ts";
import type { HubSettings } from "./settings.ts";

/** What is asked of the hub, for messages. */
export type Subject = {
  readonly id: string;
  readonly revision: string;
  /** The path of a file in the repository. */
  readonly file?: string;
};

export type Answer = {
  readonly status: number;
  readonly headers: WebResponse["headers"];
  /** The next bytes; undefined at the end. @throws CheckpointError the connection broke, or nothing came for too long */
  read(): Promise<Uint8Array | undefined>;
  /** Ends the connection, if the answer was not read to its end. */
  close(): Promise<void>;
};

/** Errors after which trying again makes sense → how long the server asks to wait before, in milliseconds; 0 if it does not say. */
const waits = new WeakMap<Error, number>();

/** Milliseconds to wait at least before the next try; undefined if trying again would not help. */
export function waitBeforeRetry(error: Error): number | undefined {
  return waits.get(error);
}

/** An error after which trying again makes sense. @param waitMs how long the server asks to wait, in milliseconds */
export function tryAgain(message: string, waitMs: number = 0, cause?: unknown): CheckpointError {
  const error = failure("unreachable", message, { cause });
  waits.set(error, waitMs);
  return error;
}

const MAX_REDIRECTS = 8;

/**
 * Sends a GET request and resolves when a successful answer's headers are there: status 200, 206, or 416 for a range that is not there.
 * @throws CheckpointError what `failureKind` and `waitBeforeRetry` tell apart; the signal's reason
 */
export async function get(
  settings: HubSettings,
  url: string,
  subject: Subject,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  let address = url;
  for (let step = 0; step <= MAX_REDIRECTS; step++) {
    const answer = await exchange(settings, address, headers);
    if (![301, 302, 303, 307, 308].includes(answer.status)) {
      const isAnswer = [200, 206].includes(answer.status);
      if (isAnswer || (answer.status === 416 && headers.range !== undefined)) return answer;
      throw await refusal(settings, address, answer, subject);
    }
    await answer.close();
    address = redirectTarget(settings.endpoint, address, answer.headers.get("location"));
  }
  throw failure("unreachable", `${shownAddress(url)} redirects more than ${MAX_REDIRECTS} times`);
}

/** One request without redirects. The token goes to the hub's own host and to no other. */
async function exchange(
  settings: HubSettings,
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const { signal, token, endpoint } = settings;
  signal?.throwIfAborted();
  const own = sameOrigin(url, endpoint);
  const stop = new AbortController();
  let fail: (reason: unknown) => void = () => {};
  const stopWith = (reason: unknown): void => {
    stop.abort(reason);
    fail(reason);
  };
  const abort = (): void => stopWith(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const end = (): void => signal?.removeEventListener("abort", abort);
  // One step runs at a time.
  const within = async <T>(milliseconds: number, what: string, step: Promise<T>): Promise<T> => {
    const late = tryAgain(`${shownAddress(url)}: ${what} within ${milliseconds / 1000} s`);
    const timer = setTimeout(() => stopWith(late), milliseconds);
    try {
      return await new Promise<T>((resolve, reject) => {
        fail = reject;
        step.then(resolve, reject);
      });
    } catch (cause) {
      stop.abort(cause);
      end();
      if (signal?.aborted) throw signal.reason;
      if (cause === late) throw late;
      throw networkError(url, cause);
    } finally {
      clearTimeout(timer);
    }
  };
  const response = await within(
    settings.answerTimeout,
    "no answer",
    settings.fetch(url, {
      method: "GET",
      redirect: "manual",
      signal: stop.signal,
      headers: {
        "accept-encoding": "identity",
        "user-agent": "mistral.ts",
        ...headers,
        ...(own && token !== undefined && { authorization: `Bearer ${token}` }),
      },
    }),
  );
  const reader = response.body?.getReader();
  return {
    status: response.status,
    headers: response.headers,
    async read() {
      if (reader === undefined) return undefined;
      const { done, value } = await within(settings.stallTimeout, "no more bytes", reader.read());
      if (done !== true) return value;
      end();
      return undefined;
    },
    async close() {
      end();
      stop.abort();
      await reader?.cancel().catch(() => {}); // the connection may be gone already
    },
  };
}

function networkError(url: string, cause: unknown): Error {
  if (cause instanceof InputError || cause instanceof CheckpointError) return cause;
  const code = codeOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  const where = shownAddress(url);
  if (/CERT|SSL|TLS|SIGNATURE|ISSUER/.test(code)) {
    return failure(
      "unreachable",
      `${where}: its certificate is not trusted (${code}); behind a company's proxy, give Node its certificate by NODE_EXTRA_CA_CERTS`,
      { cause },
    );
  }
  return tryAgain(
    `${where}: ${MEANINGS[code] ?? "the connection failed"} (${code})`,
    undefined,
    cause,
  );
}

const MEANINGS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the host's address is not known",
  EAI_AGAIN: "the host's address is not known",
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection broke",
  ERR_PROXY_TUNNEL: "the proxy did not let the connection through",
};

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error instanceof AggregateError) return error.errors.map(codeOf).find((code) => code);
  return codeOf(error.cause);
}

/** The error for an answer that is no success. */
async function refusal(
  settings: HubSettings,
  url: string,
  answer: Answer,
  subject: Subject,
): Promise<Error> {
  const { status, headers } = answer;
  const code = headers.get("x-error-code") ?? "";
  const told = shownServerText(headers.get("x-error-message") ?? "", settings.token);
  await answer.close();
  const said = `${status}${code === "" ? "" : ` ${shownServerText(code, settings.token)}`}${told === "" ? "" : `: ${told}`}`;
  // A mirror may redirect to another hub, whose answers carry a code; what holds large files does not.
  const ofHub = sameOrigin(url, settings.endpoint) || code !== "";
  const { id, revision, file } = subject;
  const page = `${settings.endpoint}/${id}`;
  const hub = new URL(settings.endpoint).host;
  if (status === 429 || status === 408 || status >= 500 || !ofHub) {
    const wait = waitOf(headers);
    const why =
      status === 429
        ? `the hub limits how often it is asked${settings.token === undefined ? "; with HF_TOKEN set it allows more" : ""}`
        : "the server cannot answer now";
    return tryAgain(`${shownAddress(url)} answered ${said}; ${why}`, wait);
  }
  if (code === "RevisionNotFound") {
    return failure(
      "no revision",
      `${id} on ${hub} has no revision "${revision}" (${said}); the branches and tags are at ${page}/tree/main`,
    );
  }
  if (code === "EntryNotFound" || (status === 404 && file !== undefined && code === "")) {
    return failure(
      "no file",
      `${id} on ${hub} has no file "${file ?? ""}" at revision "${revision}" (${said})`,
    );
  }
  const sent = settings.token !== undefined;
  if (code === "GatedRepo" || (status === 403 && code !== "RepoNotFound")) {
    const step = sent
      ? "the token that was sent (HF_TOKEN) has no access yet: accept the terms with its account, and allow it to read gated repositories"
      : "then set HF_TOKEN to a token of your account";
    return failure(
      "no access",
      `${id} is gated (${said}): accept its terms at ${page}; ${step} (${settings.endpoint}/settings/tokens)`,
    );
  }
  if (status === 401 || status === 404) {
    const step = sent
      ? "or the token that was sent (HF_TOKEN) is not valid or may not read it"
      : "or it is private: then set HF_TOKEN to a token that may read it";
    return failure(
      "no access",
      `${hub} has no model "${id}" (${said}); is the name right? See ${page}; ${step} (${settings.endpoint}/settings/tokens)`,
    );
  }
  return failure("unreachable", `${shownAddress(url)} answered ${said}; expected 200`);
}

/** Milliseconds to wait as the server says; 0 if it does not: Retry-After in seconds or as a date, or `t=` of RateLimit. */
function waitOf(headers: WebResponse["headers"]): number {
  const after = headers.get("retry-after");
  if (after !== null) {
    const seconds = /^\d+$/.test(after.trim())
      ? Number(after)
      : (Date.parse(after) - Date.now()) / 1000;
    if (Number.isFinite(seconds)) return Math.max(0, seconds) * 1000;
  }
  const reset = /(?:^|;)\s*t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  return reset === undefined ? 0 : Number(reset) * 1000;
}
