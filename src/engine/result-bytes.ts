// Checks that memory has room for the results of a call before anything is computed: the engine holds them until the call ends.

import { availableBytes } from "#platform";
import { MemoryError } from "../errors.ts";
import { showBytes } from "../show-bytes.ts";

/**
 * Checks that `count` float32 arrays of those dimensions can be held.
 * @param remedy what the caller can do about it
 * @throws MemoryError with the arithmetic. Without this check the worker would die when it allocates them
 */
export function checkResultBytes(
  call: string,
  name: string,
  count: number,
  dims: readonly number[],
  remedy: string,
): void {
  const bytes = dims.reduce((a, b) => a * b, 1) * count * 4;
  const free = availableBytes();
  if (bytes <= free) return;
  throw new MemoryError(
    `${call}: ${name} ${count} × [${dims.join(", ")}] in float32 take ${showBytes(bytes)}, but ${showBytes(free)} are available; ${remedy}`,
  );
}
