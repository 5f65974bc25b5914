// The versions of mistral-common's encodings of conversations, and which one a tokenizer's file has. Models are trained with one of
// them: a version says which control tokens stand around messages, tools and their results. Knows nothing of tokens.

import { unknownName } from "../../did-you-mean.ts";
import { CheckpointError } from "../../errors.ts";

export type EncodingVersion = "v1" | "v2" | "v3" | "v7" | "v11" | "v13" | "v15";

export const ENCODING_VERSIONS: readonly EncodingVersion[] = [
  "v1",
  "v2",
  "v3",
  "v7",
  "v11",
  "v13",
  "v15",
];

/** The number of a version, by which versions are ordered. */
export function versionNumber(version: EncodingVersion): number {
  return Number(version.slice(1));
}

/** @throws CheckpointError no version of mistral-common */
export function encodingVersion(value: unknown, where: string): EncodingVersion {
  const known = ENCODING_VERSIONS.find((version) => version === value);
  if (known !== undefined) return known;
  const versions = ENCODING_VERSIONS.join(", ");
  throw new CheckpointError(
    `${where}: ${unknownName("version", value ?? null, ENCODING_VERSIONS)}; known are ${versions}`,
  );
}

// tokenizer.model.v3, mistral_instruct_tokenizer_240323.model.v3, and .v7m1 of models that also read images
const MODEL_FILE = /\.model(?:\.(v\d+)(m\d+)?)?$/;

/** The version that the name of a SentencePiece file says; a plain .model is v1. undefined: no name of such a file. */
export function versionOfModelFile(name: string): EncodingVersion | undefined {
  const match = MODEL_FILE.exec(name);
  if (match === null) return undefined;
  const said = match[1] ?? "v1";
  return ENCODING_VERSIONS.find((version) => version === said);
}
