// What the cache of downloaded models asks of Node: environment variables, the home folder, other processes, and hashes.
// A browser build offers the same functions.

import { createHash } from "node:crypto";
import { homedir, hostname } from "node:os";

/** The value of an environment variable; undefined if it is not set, or empty. */
export function environment(name: string): string | undefined {
  return process.env[name] || undefined;
}

/** The user's home folder. */
export function homeFolder(): string {
  return homedir();
}

/** The name of this machine in its network. */
export function hostName(): string {
  return hostname();
}

/** Whether a process of this machine has this number now. */
export function isProcessAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    // It exists, but belongs to another user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** A sum over bytes that come piece by piece. */
export type RunningHash = {
  update(bytes: Uint8Array): void;
  /** The sum in lower-case hexadecimal digits. To be called once. */
  digest(): string;
};

export function newHash(algorithm: "sha256" | "sha1"): RunningHash {
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") };
}
