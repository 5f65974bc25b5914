// Decoders of tokenizer.json: tokens → text, a chain of steps over a list of strings. A kind that is not known here is
// refused by name. Knows nothing of ids.

import { CheckpointError } from "../errors.ts";
import { byteLevelBytes, fromByteLevel } from "./byte-level.ts";
import { Fields } from "./json-fields.ts";
import { readPattern } from "./pattern.ts";

type Step = {
  run(tokens: string[]): string[];
  /** What the step makes of a token in the middle of a text, where that is not `run` of the token alone. */
  bytesOf?(token: string): readonly number[] | string;
};

export type Decoder = {
  /** The text of these tokens. */
  decode(tokens: readonly string[]): string;
  /** The bytes that a token adds to a text if it is not the first one; UTF-8 that may begin and end within a character. */
  bytesOf(token: string): Uint8Array;
  /**
   * Defined when the steps are any number of Replace, then ByteFallback, Fuse, and perhaps Strip of one leading character. Then
   * a text is the texts of its tokens one after the other (a run of byte tokens counts as one), and StreamDecoder need not
   * decode earlier tokens again.
   */
  readonly streamable: Streamable | undefined;
  /** Whether a text is the bytes of its tokens in GPT-2's alphabet, and nothing else. Default false. */
  readonly byteLevel?: boolean;
  /** Whether bytes before and after a special token that is left out make no character together. Default false. */
  readonly separateRuns?: boolean;
};

export type Streamable = {
  /** A token after the Replace steps. */
  replaced(token: string): string;
  /** The character that is dropped once where the text begins with it; undefined: none. */
  readonly stripped: string | undefined;
};

/** The decoder that a file describes; null: tokens joined by spaces. @throws CheckpointError a kind that is not supported */
export function readDecoder(value: unknown, where: string): Decoder {
  if (value === null || value === undefined) {
    return {
      decode: (tokens) => tokens.join(" "),
      bytesOf: (token) => new TextEncoder().encode(` ${token}`),
      streamable: undefined,
    };
  }
  const fields = flatten(new Fields(value, where));
  const types = fields.map((step) => step.string("type"));
  // after these a text is one piece, and only its ends can be stripped
  const fusedFrom = types.findIndex((type) => type === "Fuse" || type === "ByteLevel");
  const steps = fields.map((step, i) => readStep(step, fusedFrom >= 0 && i > fusedFrom));
  return {
    decode: (tokens) => steps.reduce((list, step) => step.run(list), [...tokens]).join(""),
    bytesOf: (token) => bytesAlone(steps, token),
    streamable: readStreamable(fields, steps),
    byteLevel: types.join() === "ByteLevel",
  };
}

/** The byte that a token like `<0x0A>` stands for, or −1. */
export function byteOfToken(token: string): number {
  // the length alone excludes most tokens
  return token.length === 6 && BYTE_TOKEN.test(token) ? Number.parseInt(token.slice(3, 5), 16) : -1;
}

const BYTE_TOKEN = /^<0x[0-9A-Fa-f]{2}>$/;

function flatten(fields: Fields): Fields[] {
  return fields.string("type") === "Sequence"
    ? fields.objects("decoders").flatMap(flatten)
    : [fields];
}

/** `fused`: the step sees a whole text, not its tokens. */
function readStep(fields: Fields, fused: boolean): Step {
  const type = fields.string("type");
  switch (type) {
    case "Replace": {
      const pattern = readPattern(fields);
      const content = fields.string("content");
      return { run: (tokens) => tokens.map((token) => pattern.replace(token, content)) };
    }
    case "ByteFallback":
      return { run: byteFallback, bytesOf: fallbackByte };
    case "Fuse":
      return { run: (tokens) => [tokens.join("")], bytesOf: (token) => token };
    case "Strip": {
      const content = fields.string("content");
      const start = fields.integer("start");
      const stop = fields.integer("stop");
      const run = (tokens: string[]): string[] =>
        tokens.map((token) => strip(token, content, start, stop));
      return fused ? { run, bytesOf: (token) => token } : { run };
    }
    case "Metaspace": {
      const mark = fields.string("replacement", "▁");
      const kept = fields.string("prepend_scheme", "always") === "never";
      return {
        run: (tokens) =>
          tokens.map((token, i) => token.replaceAll(mark, i === 0 && !kept ? "" : " ")),
        bytesOf: (token) => token.replaceAll(mark, " "),
      };
    }
    case "ByteLevel":
      return { run: (tokens) => [fromByteLevel(tokens)], bytesOf: byteLevelBytes };
    default:
      throw new CheckpointError(
        `${fields.where}: decoder "${type}" is not supported; known are Sequence, Replace, ByteFallback, ` +
          "Fuse, Strip, Metaspace, ByteLevel",
      );
  }
}

function readStreamable(fields: readonly Fields[], steps: readonly Step[]): Streamable | undefined {
  const types = fields.map((step) => step.string("type"));
  const replaces = types.findIndex((type) => type !== "Replace");
  const rest = fields.slice(replaces);
  const chain = types.slice(replaces).join(" ");
  if (chain !== "ByteFallback Fuse" && chain !== "ByteFallback Fuse Strip") return undefined;
  let stripped: string | undefined;
  if (rest.length === 3) {
    const [, , last] = rest;
    const content = last.string("content");
    if (last.integer("start") !== 1 || last.integer("stop") !== 0) return undefined;
    if ([...content].length !== 1) return undefined;
    stripped = content;
  }
  const first = steps.slice(0, replaces);
  return {
    replaced: (token) => first.reduce((list, step) => step.run(list), [token]).join(""),
    stripped,
  };
}

/** The bytes that the steps make of one token in the middle of a text. */
function bytesAlone(steps: readonly Step[], token: string): Uint8Array {
  let text = token;
  for (const step of steps) {
    const result = step.bytesOf?.(text) ?? step.run([text]).join("");
    if (typeof result !== "string") return Uint8Array.from(result);
    text = result;
  }
  return new TextEncoder().encode(text);
}

function fallbackByte(token: string): readonly number[] | string {
  const byte = byteOfToken(token);
  return byte >= 0 ? [byte] : token;
}

/** Each run of byte tokens becomes its text; one that is not valid UTF-8 becomes a U+FFFD for each of its bytes. */
function byteFallback(tokens: string[]): string[] {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    out.push(...utf8(bytes));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = byteOfToken(token);
    if (byte >= 0) bytes.push(byte);
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
}

function utf8(bytes: readonly number[]): string[] {
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return [decoder.decode(Uint8Array.from(bytes))];
  } catch {
    return bytes.map(() => "\u{fffd}");
  }
}

function strip(token: string, content: string, start: number, stop: number): string {
  const characters = [...token];
  let from = 0;
  while (from < start && characters[from] === content) from++;
  let to = characters.length;
  while (to > characters.length - stop && to > from && characters[to - 1] === content) to--;
  return from === 0 && to === characters.length ? token : characters.slice(from, to).join("");
}
