// model.safetensors.index.json: which shard holds which tensor. The file is not trusted: a shard must be a plain file
// name in this folder, a key may not come twice, and sizes are bounded before anything is built. Does not open the shards.

import { openFile } from "#platform";
import { CheckpointError } from "../errors.ts";
import { JsonReader, shown } from "./json-reader.ts";
import { MAX_HEADER_BYTES, MAX_TENSORS } from "./safetensors.ts";

const MAX_SHARDS = 10_000;

/** Reads the index: tensor name → file name of its shard, in the file's order. @throws CheckpointError */
export async function readShardIndex(path: string): Promise<ReadonlyMap<string, string>> {
  const file = await openFile(path);
  try {
    if (file.size > MAX_HEADER_BYTES) {
      throw new CheckpointError(
        `${path}: the index has ${file.size} bytes, at most ${MAX_HEADER_BYTES} are read`,
      );
    }
    const bytes = new Uint8Array(file.size);
    await file.readInto(bytes, 0);
    return parseShardIndex(path, bytes);
  } finally {
    await file.close();
  }
}

function parseShardIndex(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): ReadonlyMap<string, string> {
  const malformed = (why: string): CheckpointError =>
    new CheckpointError(`${path}: the index is malformed: ${why}; fetch it again`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw malformed("it is not UTF-8");
  }
  const shardOf = new Map<string, string>();
  let seen = false;
  const json = new JsonReader(text, malformed);
  json.object((key) => {
    if (key !== "weight_map") return json.skip();
    seen = true;
    json.object((tensor) => {
      if (shardOf.size === MAX_TENSORS) throw json.error(`more than ${MAX_TENSORS} tensors`);
      shardOf.set(tensor, plainFileName(path, tensor, json.string()));
    });
  });
  json.end();
  if (!seen || shardOf.size === 0) {
    throw new CheckpointError(
      `${path}: ${seen ? "weight_map is empty" : "there is no weight_map"}; fetch it again`,
    );
  }
  const shards = new Set(shardOf.values()).size;
  if (shards > MAX_SHARDS) {
    throw new CheckpointError(
      `${path}: weight_map names ${shards} files, at most ${MAX_SHARDS} are opened`,
    );
  }
  return shardOf;
}

function plainFileName(path: string, tensor: string, name: string): string {
  // No separators of any system, no drive letters, no control characters, no name that means a folder.
  // oxlint-disable-next-line no-control-regex
  if (/^[^/\\:\u0000-\u001f]+\.safetensors$/.test(name) && name.length <= 255) return name;
  throw new CheckpointError(
    `${path}: weight_map places tensor ${shown(tensor)} in ${shown(name)}, expected a plain name such as ` +
      '"model-00001-of-00002.safetensors" of a file in the same folder; do not trust this checkpoint',
  );
}
