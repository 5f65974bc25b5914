// What went wrong with the hub, as errors that callers may ask for the kind of: whether the cache may be used instead, whether to try
// again. Every text is free of tokens and of the query part of addresses, which holds signatures. Knows no requests.

import { CheckpointError } from "../errors.ts";

export type FailureKind =
  /** No answer, or one that says that the server cannot answer now. */
  | "unreachable"
  /** 401 or 403, or a repository that does not exist: which of them, a hub does not always tell. */
  | "no access"
  /** The repository exists, but has no such branch, tag or commit. */
  | "no revision"
  /** The revision exists, but has no such file. */
  | "no file"
  /** No network was to be used, and the cache does not hold what was asked for. */
  | "not cached";

const kinds = new WeakMap<object, FailureKind>();

export function failure(
  kind: FailureKind,
  message: string,
  options?: { cause?: unknown },
): CheckpointError {
  const error = new CheckpointError(message, options);
  kinds.set(error, kind);
  return error;
}

/** Undefined for an error that is not about reaching a repository. */
export function failureKind(error: unknown): FailureKind | undefined {
  return typeof error === "object" && error !== null ? kinds.get(error) : undefined;
}

/** An address without user, password, query and fragment. */
export function shownAddress(url: string): string {
  if (!URL.canParse(url)) return "an address that cannot be read";
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
}

/** What a server says of its error, on one line, without control characters and without the token. */
export function shownServerText(text: string, token: string | undefined): string {
  const safe = token === undefined ? text : text.replaceAll(token, "(token)");
  // oxlint-disable-next-line no-control-regex
  const line = safe.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, " ").trim();
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}
