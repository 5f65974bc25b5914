// What a repository holds at a commit: every file with its size and its hash, as the hub lists them and as the cache keeps the list
// (`trees/<commit>.json`, the format of Python's huggingface_hub). The hub is not trusted: hashes, sizes and paths are checked.

import { CheckpointError } from "../errors.ts";
import { failure } from "./failure.ts";
import { isSha1, isSha256, leavesFolder, shownName } from "./names.ts";
import { type Answer, get, type Subject, tryAgain } from "./request.ts";
import { ATTEMPTS, withRetries } from "./retry.ts";
import type { HubSettings } from "./settings.ts";

export type ListedFile = {
  readonly bytes: number;
  /** What its bytes are checked by, and the name of its blob in the cache: SHA-256 for large files, git's SHA-1 for others. */
  readonly hash: string;
  /** The SHA-1 of the file in git: for a large one, of the pointer that git keeps. */
  readonly gitHash: string;
};

/** Path in the repository → the file there. */
export type Listing = ReadonlyMap<string, ListedFile>;

/** Most bytes of an answer of the API that are read. */
const MAX_ANSWER = 64 * 2 ** 20;
const MAX_FILES = 100_000;
const MAX_PAGES = 1000;

/** The commit that a revision stands for now. @throws CheckpointError as `get` */
export async function resolveRevision(
  settings: HubSettings,
  subject: Subject,
  attempts: number = ATTEMPTS,
): Promise<string> {
  const url = `${settings.endpoint}/api/models/${subject.id}/revision/${encodeURIComponent(subject.revision)}`;
  const { value } = await getJson(settings, url, subject, attempts);
  const commit =
    typeof value === "object" && value !== null && "sha" in value ? value.sha : undefined;
  if (typeof commit === "string" && isSha1(commit)) return commit;
  throw noHub(
    settings,
    `the commit of ${subject.id} is ${shownName(commit)}, expected 40 hexadecimal digits`,
  );
}

/** Every file of a commit. @throws CheckpointError as `get`; a listing that cannot be right */
export async function fetchListing(
  settings: HubSettings,
  subject: Subject,
  commit: string,
): Promise<Listing> {
  const files = new Map<string, ListedFile>();
  const first = `${settings.endpoint}/api/models/${subject.id}/tree/${commit}?recursive=true&expand=false`;
  let url: string | undefined = first;
  for (let page = 0; url !== undefined; page++) {
    if (page === MAX_PAGES)
      throw noHub(settings, `the list of files has more than ${MAX_PAGES} pages`);
    const { value, next } = await getJson(settings, url, subject);
    if (!Array.isArray(value)) throw noHub(settings, "the list of files is no JSON array");
    for (const entry of value as unknown[]) addEntry(settings, files, entry);
    if (files.size > MAX_FILES) {
      throw new CheckpointError(
        `${subject.id} lists more than ${MAX_FILES} files, which no model needs; do not trust it`,
      );
    }
    url = next;
  }
  return files;
}

function addEntry(settings: HubSettings, files: Map<string, ListedFile>, entry: unknown): void {
  const field = (from: unknown, name: string): unknown =>
    typeof from === "object" && from !== null && Object.hasOwn(from, name)
      ? (from as Record<string, unknown>)[name]
      : undefined;
  if (field(entry, "type") !== "file") return;
  const path = field(entry, "path");
  if (typeof path !== "string" || leavesFolder(path)) {
    throw new CheckpointError(
      `${settings.endpoint} lists the file ${shownName(path)}, which lies outside its repository; do not trust this repository`,
    );
  }
  const lfs = field(entry, "lfs") ?? undefined;
  const gitHash = field(entry, "oid");
  const bytes = lfs === undefined ? field(entry, "size") : field(lfs, "size");
  const hash = lfs === undefined ? gitHash : field(lfs, "oid");
  if (!isHash(gitHash, false) || !isHash(hash, lfs !== undefined)) {
    throw new CheckpointError(
      `${settings.endpoint} lists ${shownName(path)} with the hash ${shownName(isHash(gitHash, false) ? hash : gitHash)}; ` +
        "expected 40 hexadecimal digits, or 64 for a large file; do not trust this repository",
    );
  }
  if (!isSize(bytes)) {
    throw new CheckpointError(
      `${settings.endpoint} lists ${shownName(path)} with the size ${shownName(bytes)}, expected a number of bytes`,
    );
  }
  files.set(path, { bytes, hash, gitHash });
}

const isHash = (value: unknown, isLarge: boolean): value is string =>
  typeof value === "string" && (isLarge ? isSha256(value) : isSha1(value));
const isSize = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

async function getJson(
  settings: HubSettings,
  url: string,
  subject: Subject,
  attempts?: number,
): Promise<{ value: unknown; next: string | undefined }> {
  return withRetries(
    settings.signal,
    async () => {
      const answer = await get(settings, url, subject);
      try {
        const text = await readAll(settings, answer);
        return { value: JSON.parse(text) as unknown, next: nextPage(settings, url, answer) };
      } catch (cause) {
        if (cause instanceof SyntaxError) throw noHub(settings, "the answer is no JSON");
        throw cause;
      } finally {
        await answer.close();
      }
    },
    attempts,
  );
}

async function readAll(settings: HubSettings, answer: Answer): Promise<string> {
  refuseEncoded(settings.endpoint, answer);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for (let piece = await answer.read(); piece !== undefined; piece = await answer.read()) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > MAX_ANSWER) throw noHub(settings, `an answer has more than ${MAX_ANSWER} bytes`);
  }
  const announced = answer.headers.get("content-length");
  if (announced !== null && bytes < Number(announced)) {
    throw tryAgain(`${settings.endpoint}: ${bytes} of ${announced} bytes came of an answer`);
  }
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return new TextDecoder().decode(all);
}

/** A packed answer may unpack to any size, and its length is not that of the file. @throws CheckpointError */
export function refuseEncoded(from: string, answer: Answer): void {
  const encoding = answer.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding === "identity" || encoding === "") return;
  throw failure(
    "unreachable",
    `${from} answered with content-encoding ${shownName(encoding)}, though bytes as they are were asked for; a proxy may pack them: switch that off`,
  );
}

/** The address of the next page: in a header such as `<https://…>; rel="next"`, and on the same host. */
function nextPage(settings: HubSettings, url: string, answer: Answer): string | undefined {
  const link = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(answer.headers.get("link") ?? "")?.[1];
  if (link === undefined) return undefined;
  const next = URL.canParse(link, url) ? new URL(link, url) : undefined;
  if (next?.origin === new URL(settings.endpoint).origin) return next.href;
  throw noHub(settings, "the next page of the list of files is on another host");
}

function noHub(settings: HubSettings, why: string): CheckpointError {
  return failure(
    "unreachable",
    `${settings.endpoint}: ${why}; is it a hub? Look at HF_ENDPOINT, and at a proxy on the way to it`,
  );
}

const FORMAT = 1;

/** The list as the cache keeps it. */
export function listingJson(listing: Listing): string {
  const names = [...listing.keys()].toSorted();
  const files = names.map((name) => {
    const { bytes, hash, gitHash } = listing.get(name) as ListedFile;
    const large = hash === gitHash ? {} : { lfs_sha256: hash, lfs_size: bytes };
    return [name, { size: bytes, blob_id: gitHash, ...large }];
  });
  return JSON.stringify(
    { format_version: FORMAT, files: Object.fromEntries(files) as object },
    null,
    1,
  );
}

/** Undefined: the text is no list of files, or of another format; then it has to be fetched again. */
export function parseListing(text: string): Listing | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { format_version, files } = (value ?? {}) as { format_version?: unknown; files?: unknown };
  if (format_version !== FORMAT || typeof files !== "object" || files === null) return undefined;
  const listing = new Map<string, ListedFile>();
  for (const [path, entry] of Object.entries(files as Record<string, Record<string, unknown>>)) {
    const { size, blob_id: gitHash, lfs_sha256: sha256, lfs_size: lfsSize } = entry ?? {};
    const isLarge = sha256 !== undefined && sha256 !== null;
    const bytes = isLarge ? lfsSize : size;
    const hash = isLarge ? sha256 : gitHash;
    if (leavesFolder(path) || !isHash(gitHash, false) || !isHash(hash, isLarge) || !isSize(bytes)) {
      return undefined;
    }
    listing.set(path, { bytes, hash, gitHash });
  }
  return listing;
}
