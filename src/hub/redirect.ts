// Where a redirect may lead: over https to any public host, over http only where the hub itself is spoken to so, and never to addresses
// of this machine or its own network, unless the hub is there too. Sends nothing.

import { failure, shownAddress } from "./failure.ts";

/**
 * The address that a redirect leads to.
 * @param endpoint the address of the hub
 * @throws CheckpointError an address that is not followed
 */
export function redirectTarget(endpoint: string, from: string, location: string | null): string {
  if (location === null || !URL.canParse(location, from)) {
    throw refused(from, "an address that cannot be read", "a server that is no hub");
  }
  const target = new URL(location, from);
  const hub = new URL(endpoint);
  const shown = shownAddress(target.href);
  if (target.protocol !== "https:" && target.protocol !== "http:") {
    throw refused(from, `${target.protocol} (only https is followed)`);
  }
  if (target.username !== "" || target.password !== "") {
    throw refused(from, `${shown} with a user's name in the address`);
  }
  const near = nearness(target.hostname);
  if (near === "link-local") throw refused(from, `${shown}, an address of the machine's own link`);
  if (near !== "public" && nearness(hub.hostname) === "public") {
    throw refused(from, `${shown}, an address of this machine or its own network`);
  }
  const isPlain = target.protocol === "http:";
  const plainHub = hub.protocol === "http:";
  if (isPlain && !(plainHub && (target.hostname === hub.hostname || near === "loopback"))) {
    throw refused(from, `${shown}, which is not encrypted`);
  }
  target.hash = "";
  return target.href;
}

/** Whether a token that was meant for one address may be sent to another. */
export function sameOrigin(a: string, b: string): boolean {
  return new URL(a).origin === new URL(b).origin;
}

function refused(
  from: string,
  what: string,
  who = "a proxy or a server that is not to be trusted",
) {
  return failure(
    "unreachable",
    `${shownAddress(from)} redirects to ${what}: refused; behind HF_ENDPOINT or on the way to it may be ${who}`,
  );
}

/** What kind of address a host name is, as URL writes it: IPv4 in four decimal numbers, IPv6 in brackets. */
export function nearness(hostname: string): "public" | "private" | "loopback" | "link-local" {
  const host = hostname.toLowerCase().replace(/\.$/, "");
  if (host === "localhost" || host.endsWith(".localhost")) return "loopback";
  if (host === "metadata.google.internal") return "link-local";
  if (host.startsWith("[")) return nearnessOf6(host.slice(1, -1));
  return /^\d+\.\d+\.\d+\.\d+$/.test(host) ? nearnessOf4(host.split(".").map(Number)) : "public";
}

function nearnessOf4([a, b]: readonly number[]): ReturnType<typeof nearness> {
  if (a === 127) return "loopback";
  if (a === 169 && b === 254) return "link-local";
  const isPrivate =
    a === 0 ||
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 100 && b >= 64 && b < 128);
  return isPrivate ? "private" : "public";
}

function nearnessOf6(host: string): ReturnType<typeof nearness> {
  if (host === "::1") return "loopback";
  // IPv4 within IPv6, such as ::ffff:7f00:1.
  const mapped = /^::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (mapped !== null) {
    const [high, low] = mapped.slice(1).map((part) => Number.parseInt(part, 16));
    return nearnessOf4([high >> 8, high & 255, low >> 8, low & 255]);
  }
  if (/^fe[89ab]/.test(host)) return "link-local";
  return host === "::" || /^f[cd]/.test(host) ? "private" : "public";
}
