// Reads a settings file of a model folder (config.json, generation_config.json, …) into a plain object. Python's JSON is understood:
// NaN and Infinity as bare words, or as Transformers writes them, { "__float__": "NaN" }. Does not know what the keys mean.

import { readBytes } from "#platform";
import { CheckpointError } from "../errors.ts";
import { fileKind } from "./file-kind.ts";

/** Largest settings file that is read, in characters. */
const MAX_CHARACTERS = 16 * 2 ** 20;
const MAX_DEPTH = 100;
const REMEDY = "correct the file, or fetch the publisher's";

/** The object in a JSON file. @throws CheckpointError no such file, no JSON, no object */
export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  const bytes = await readBytes(path);
  const text = decode(path, bytes);
  if (text.length > MAX_CHARACTERS) {
    throw new CheckpointError(
      `${path}: a settings file of ${text.length} characters, at most ${MAX_CHARACTERS} are read`,
    );
  }
  const value = decodeFloats(path, parse(path, text), 0);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${path}: expected a JSON object; ${REMEDY}`);
  }
  return value as Record<string, unknown>;
}

/** Text of a file in UTF-8. @throws CheckpointError another encoding, or no text at all */
function decode(path: string, bytes: Uint8Array<ArrayBuffer>): string {
  if (bytes.length === 0) throw new CheckpointError(`${path}: the file is empty; ${REMEDY}`);
  const kind = fileKind(bytes);
  if (kind !== undefined) throw new CheckpointError(`${path} is no JSON file: ${kind}`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CheckpointError(`${path}: the file is not UTF-8 text; ${REMEDY}`, { cause });
  }
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // JSON.parse knows neither NaN nor Infinity. Make tagged objects of them (not within strings) and parse again. Most files have
    // none, and do not pay for this second pass.
    const tagged = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
      token.startsWith('"') ? token : `{"__float__":"${token}"}`,
    );
    try {
      if (tagged !== text) return JSON.parse(tagged);
    } catch {
      // The first error is the one that names a place in the file.
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(`${path}: this is no JSON (${why}); ${REMEDY}`, {
      cause,
    });
  }
}

function decodeFloats(path: string, value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new CheckpointError(`${path}: nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) return value.map((item) => decodeFloats(path, item, depth + 1));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0][0] === "__float__" && typeof entries[0][1] === "string") {
    return Number(entries[0][1]);
  }
  return Object.fromEntries(
    entries.map(([key, item]) => [key, decodeFloats(path, item, depth + 1)]),
  );
}
