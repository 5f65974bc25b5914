// Whether files that are to be written fit on the disk, asked before the first byte of them. Knows no model.

import { freeBytes } from "#platform";
import { CheckpointError } from "../errors.ts";
import { showBytes } from "../show-bytes.ts";

/**
 * @param what   what takes the bytes, as a message begins: "quantize: the weights"
 * @param folder on the disk that is asked; it exists
 * @param remedy what to do besides making room
 * @throws CheckpointError the disk has less room
 */
export async function checkDiskRoom(
  what: string,
  folder: string,
  bytes: number,
  remedy = "try again",
): Promise<void> {
  const free = await freeBytes(folder);
  if (bytes <= free) return;
  throw new CheckpointError(
    `${what}: ${showBytes(bytes)} (${bytes} bytes) are needed, and the disk of ${folder} has room for ${showBytes(free)} (${free} bytes); make room, or ${remedy}`,
  );
}
