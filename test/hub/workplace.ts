// What each test of the hub begins with: a hub on loopback, an empty cache, and settings that lead to both.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { expect, onTestFinished } from "vitest";
import { downloadSnapshot, type SnapshotOptions } from "../../src/hub/snapshot.ts";
import type { HubDefaults } from "../../src/hub/settings.ts";
import { goldenPath } from "../golden-files.ts";
import { type MockHub, mockHub } from "./mock-hub.ts";

export const ID = "test-org/Tiny-Mistral";

export type Workplace = {
  readonly hub: MockHub;
  readonly cache: string;
  readonly defaults: HubDefaults;
  /** snapshot_download of the repository ID. */
  snapshot(options?: SnapshotOptions): Promise<string>;
  /** The message of the error that snapshot_download ends with. */
  refusal(options?: SnapshotOptions): Promise<string>;
  /** A path in the repository's folder of the cache. */
  inCache(...path: string[]): string;
};

export async function workplace(): Promise<Workplace> {
  const hub = await mockHub();
  const cache = mkdtempSync(join(tmpdir(), "hub-"));
  onTestFinished(() => rmSync(cache, { recursive: true, force: true }));
  const defaults: HubDefaults = {
    fetch: undefined,
    cacheDir: cache,
    hubEndpoint: hub.endpoint,
    offline: undefined,
  };
  const snapshot = (options: SnapshotOptions = {}): Promise<string> =>
    downloadSnapshot("snapshot_download", ID, options, defaults);
  return {
    ...{ hub, cache, defaults, snapshot },
    refusal: (options) => messageOf(snapshot(options)),
    inCache: (...path) => join(cache, "models--test-org--Tiny-Mistral", ...path),
  };
}

/** The name and message of the error that a call ends with. Neither they nor causes and stacks may show what is secret. */
export async function messageOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    expect(inspect(error, { depth: 20 })).not.toMatch(/hf_secret|:secret/);
    if (error instanceof Error) return `${error.name}: ${error.message}`;
    throw error;
  }
  return "no error";
}

/** The files of a folder of golden data as a repository has them: weights are large files. */
export function goldenFiles(folder: string): Record<string, string | Buffer> {
  const path = goldenPath(folder);
  const names = readdirSync(path).filter((name) => statSync(join(path, name)).isFile());
  return Object.fromEntries(
    names.map((name) => {
      const bytes = readFileSync(join(path, name));
      return [name, /\.(safetensors|model|gguf)$/.test(name) ? bytes : bytes.toString()];
    }),
  );
}

/** Bytes that differ at each place, and by `seed`. */
export function someBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0, x = seed; i < length; i++) {
    x = (x * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    bytes[i] = x >> 16;
  }
  return bytes;
}
