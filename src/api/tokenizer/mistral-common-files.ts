// Opens the tokenizer of Mistral AI's own layout: tekken.json, or a SentencePiece model whose name says the version of its encodings.
// Knows nothing of calls and batches.

import { joinPath, listFiles, readBytes } from "#platform";
import { CheckpointError } from "../../errors.ts";
import {
  type ChatCompletionRequest,
  encodeRequest,
  type RequestOptions,
} from "../../text/mistral-common/chat-request.ts";
import { type EncodedRequest, RequestEncoder } from "../../text/mistral-common/encode.ts";
import type { KnownSettings } from "../../text/mistral-common/model-settings.ts";
import { rulesOf } from "../../text/mistral-common/rules.ts";
import {
  encodingVersion,
  type EncodingVersion,
  versionOfModelFile,
} from "../../text/mistral-common/version.ts";
import { readSentencePiece } from "../../text/sentencepiece.ts";
import { readTekken } from "../../text/tekken.ts";
import { TextTokenizer } from "../../text/tokenizer.ts";

const TEKKEN = "tekken.json";

/** How requests become ids in the version of a tokenizer's file. */
export type RequestEncoding = {
  version: EncodingVersion;
  chat(request: ChatCompletionRequest, options: RequestOptions): EncodedRequest;
  fim(prompt: string, suffix: string | null, where: string): EncodedRequest;
};

export type MistralTokenizerFile = {
  backend: TextTokenizer;
  requests: RequestEncoding;
  /** Where the file lies, and its name. */
  path: string;
  name: string;
  kind: "tekken" | "sentencepiece";
};

/** The tokenizer's file among these names: tekken.json, else of the SentencePiece models the last by name, as mistral-common takes it; undefined: none. */
export function mistralTokenizerFile(names: readonly string[]): string | undefined {
  if (names.includes(TEKKEN)) return TEKKEN;
  return names
    .filter((name) => versionOfModelFile(name) !== undefined)
    .toSorted()
    .at(-1);
}

/** Whether these are the files of Mistral AI's own layout alone: nothing in them says how Transformers' tokenizer is set up. */
export function isMistralLayout(names: readonly string[]): boolean {
  if (names.includes("tokenizer.json")) return false;
  if (names.includes(TEKKEN)) return true;
  const versioned = names.some((name) => /^tokenizer\.model\.v\d+(?:m\d+)?$/.test(name));
  return versioned && !names.includes("tokenizer_config.json");
}

/**
 * @param version the encodings of conversations; default: what the file says
 * @throws CheckpointError there is no such file, or it is malformed
 */
export async function openMistralTokenizer(
  folder: string,
  version: EncodingVersion | undefined,
): Promise<MistralTokenizerFile> {
  const name = mistralTokenizerFile(await listFiles(folder));
  if (name === undefined) {
    throw new CheckpointError(
      `${folder}: no tekken.json and no tokenizer.model of Mistral AI's own layout (tokenizer.model.v3 and so on)`,
    );
  }
  const path = joinPath(folder, name);
  const bytes = await readBytes(path);
  if (name === TEKKEN) {
    const { parts, version: own, knownSettings } = readTekken(bytes, path);
    const backend = new TextTokenizer(parts, path);
    const requests = requestEncoding(backend, version ?? own, path, knownSettings);
    return { backend, requests, path, name, kind: "tekken" };
  }
  // SentencePiece puts a space before every text, as `legacy` does
  const backend = new TextTokenizer(readSentencePiece(bytes, path, { legacy: true }), path);
  const own = encodingVersion(versionOfModelFile(name), path);
  const requests = requestEncoding(backend, version ?? own, path, undefined);
  return { backend, requests, path, name, kind: "sentencepiece" };
}

function requestEncoding(
  backend: TextTokenizer,
  version: EncodingVersion,
  path: string,
  knownSettings: KnownSettings | undefined,
): RequestEncoding {
  const tokenizer = {
    encodePlain: (text: string) => backend.encodePlain(text),
    controlId(token: string): number {
      // a SentencePiece model gives the id of its unknown token for a name that it does not have, and mistral-common takes it
      const id = backend.isSpecial(token) ? backend.tokenToId(token) : backend.model.unk;
      if (id !== undefined) return id;
      throw new CheckpointError(
        `${path}: no control token ${token}, which the encoding ${version} needs; is the version of the file right?`,
      );
    },
  };
  const encoder = new RequestEncoder(tokenizer, rulesOf(version), knownSettings);
  return {
    version,
    chat: (request, options) => encodeRequest(encoder, request, options),
    fim: (prompt, suffix, where) => encoder.encodeFim(prompt, suffix, where),
  };
}
