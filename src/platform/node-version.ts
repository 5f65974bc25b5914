// Which Node this software runs on. Written so that older versions can read and run it: it says what they lack. Imports nothing.

export const REQUIRED_NODE = 24;

/** What is wrong with this Node's version; undefined if it is new enough. */
export function oldNode(): string | undefined {
  const { version, versions } = process;
  if (Number(versions.node.split(".")[0]) >= REQUIRED_NODE) return undefined;
  return `Node ${REQUIRED_NODE} or newer is needed, this is ${version}; install it from https://nodejs.org`;
}
