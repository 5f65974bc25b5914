// Where the hub is, where its cache lies, with which token and which patience: from the options of a call, `env`, and the environment
// variables of Python's huggingface_hub. Sends nothing.

import { environment, exists, homeFolder, joinPath, readText, webFetch } from "#platform";
import type { WebFetch } from "#platform";
import { InputError } from "../errors.ts";
import { shownName } from "./names.ts";

/** Options of a call that say where files come from. */
export type HubPlaceOptions = {
  /** A branch, a tag or a commit. Default: "main". */
  revision?: string | null;
  /** The folder of the cache. Default: HF_HUB_CACHE, else the folder `hub` in HF_HOME, else `~/.cache/huggingface/hub`. */
  cache_dir?: string | null;
  /** Whether to use the cache alone and open no connection. Default: false, or true if HF_HUB_OFFLINE is set. */
  local_files_only?: boolean | null;
  /** Whether to fetch files again that the cache holds. Default: false. */
  force_download?: boolean | null;
  /**
   * A token of the hub; true: the one of HF_TOKEN or of the token file is needed; false: none is sent.
   * Default: the one of HF_TOKEN, else of the token file, if there is one. It never appears in messages.
   */
  token?: string | boolean | null;
};

/** Options of a call that fetches files. */
export type HubOptions = HubPlaceOptions & {
  /** Stops all downloads; the promise rejects with the signal's reason, and what has come stays for the next try. */
  signal?: AbortSignal | null;
};

/** Settings of the process, which options of a call override and which override environment variables. */
export type HubDefaults = {
  fetch: WebFetch | undefined;
  cacheDir: string | undefined;
  hubEndpoint: string | undefined;
  offline: boolean | undefined;
};

export type HubSettings = {
  /** Such as "https://huggingface.co", without a slash at its end. */
  readonly endpoint: string;
  readonly cacheDir: string;
  readonly offline: boolean;
  /** Why no connection is opened, for messages. */
  readonly offlineBecause: string;
  readonly token: string | undefined;
  readonly fetch: WebFetch;
  /** Milliseconds in which the headers of an answer must come. */
  readonly answerTimeout: number;
  /** Milliseconds in which the next bytes of a download must come. */
  readonly stallTimeout: number;
  /** Whether links are made in the cache; else files are moved or copied. */
  readonly links: boolean;
  readonly signal: AbortSignal | undefined;
};

const PUBLIC_HUB = "https://huggingface.co";

/** @throws InputError an option, a setting or a variable that cannot be used */
export async function hubSettings(
  where: string,
  options: HubOptions,
  defaults: HubDefaults,
): Promise<HubSettings> {
  checkTypes(where, options);
  const offlineBecause = whyOffline(options, defaults);
  return {
    endpoint: endpointOf(where, defaults),
    cacheDir: cacheFolder(where, options.cache_dir, defaults),
    offline: offlineBecause !== undefined,
    offlineBecause: offlineBecause ?? "",
    token: await tokenOf(where, options.token ?? undefined),
    fetch: defaults.fetch ?? webFetch,
    answerTimeout: seconds("HF_HUB_ETAG_TIMEOUT", 10),
    stallTimeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT", 10),
    links: !isTrue("HF_HUB_DISABLE_SYMLINKS"),
    signal: options.signal ?? undefined,
  };
}

function checkTypes(where: string, options: HubOptions): void {
  const { token } = options;
  if (!["string", "boolean", "undefined"].includes(typeof (token ?? undefined))) {
    throw new InputError(`${where}: token: ${typeof token}: expected a text, true or false`);
  }
  for (const name of ["force_download", "local_files_only"] as const) {
    if (["boolean", "undefined"].includes(typeof (options[name] ?? undefined))) continue;
    throw new InputError(`${where}: ${name}: ${shownName(options[name])}: expected true or false`);
  }
}

/** The folder that holds the cache's repositories. @param given the option cache_dir @throws InputError it is no text */
export function cacheFolder(where: string, given: unknown, defaults: HubDefaults): string {
  const chosen = given ?? undefined;
  if (chosen !== undefined && typeof chosen !== "string") {
    throw new InputError(`${where}: cache_dir: ${typeof chosen}: expected the path of a folder`);
  }
  const path =
    chosen ??
    defaults.cacheDir ??
    environment("HF_HUB_CACHE") ??
    environment("HUGGINGFACE_HUB_CACHE") ??
    joinPath(hubHome(), "hub");
  return expanded(path);
}

function hubHome(): string {
  const cache = environment("XDG_CACHE_HOME") ?? joinPath(homeFolder(), ".cache");
  return environment("HF_HOME") ?? joinPath(cache, "huggingface");
}

/** With "~" and $NAME replaced, as Python's expanduser and expandvars do. */
function expanded(path: string): string {
  const named = path.replace(/\$\{(\w+)\}|\$(\w+)/g, (all, a?: string, b?: string) => {
    return environment(a ?? b ?? "") ?? all;
  });
  return /^~(?=[\\/]|$)/.test(named) ? joinPath(homeFolder(), named.slice(1)) : named;
}

function whyOffline(options: HubOptions, defaults: HubDefaults): string | undefined {
  if (options.local_files_only === true) return "local_files_only is true";
  if (defaults.offline !== undefined) return defaults.offline ? "env.offline is true" : undefined;
  const variable = offlineVariable();
  return variable === undefined ? undefined : `${variable} is set`;
}

/** The environment variable that forbids connections; undefined if none does. */
export function offlineVariable(): string | undefined {
  return ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].find((name) => isTrue(name));
}

function isTrue(name: string): boolean {
  return /^(1|on|yes|true)$/i.test(environment(name) ?? "");
}

function endpointOf(where: string, defaults: HubDefaults): string {
  const text = defaults.hubEndpoint ?? environment("HF_ENDPOINT") ?? PUBLIC_HUB;
  const name = defaults.hubEndpoint === undefined ? "HF_ENDPOINT" : "env.hubEndpoint";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const fine = url !== undefined && /^https?:$/.test(url.protocol);
  const isBare = url?.username === "" && url.password === "" && url.search === "";
  if (fine && isBare) return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  throw new InputError(
    `${where}: ${name} is no address of a hub; expected one such as "${PUBLIC_HUB}", without a user, a password or a query`,
  );
}

async function tokenOf(
  where: string,
  given: string | boolean | undefined,
): Promise<string | undefined> {
  if (given === false) return undefined;
  if (given === undefined && isTrue("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return undefined;
  const token =
    typeof given === "string" ? cleaned(where, "the option token", given) : await ownToken(where);
  if (token === undefined && given === true) {
    throw new InputError(
      `${where}: token is true, but there is none; set HF_TOKEN, or write one into ${tokenFile()}`,
    );
  }
  return token;
}

async function ownToken(where: string): Promise<string | undefined> {
  const names = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
  const set = names.find((name) => environment(name) !== undefined);
  if (set !== undefined) return cleaned(where, set, environment(set) ?? "");
  const path = tokenFile();
  return (await exists(path)) ? cleaned(where, path, await readText(path)) : undefined;
}

function tokenFile(): string {
  return expanded(environment("HF_TOKEN_PATH") ?? joinPath(hubHome(), "token"));
}

/** Without line ends and spaces around. The message does not show the token. */
function cleaned(where: string, source: string, text: string): string | undefined {
  const token = text.replace(/[\r\n]/g, "").trim();
  if (token === "") return undefined;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new InputError(
    `${where}: ${source} holds characters that no token has; copy it again (it begins with hf_)`,
  );
}

/** Milliseconds of a variable in seconds. A timer that is set to more than 2^31 - 1 of them ends at once. */
function seconds(name: string, usual: number): number {
  const value = Number(environment(name) ?? usual);
  return Math.min((value > 0 ? value : usual) * 1000, 2 ** 31 - 1);
}
