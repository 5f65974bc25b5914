// How many bytes leaves and scratch may take: by the limit that the caller set, or by what the system has available.
// Does not know what they are for.

import { availableBytes, machine } from "#platform";
import { MemoryError } from "../../errors.ts";
import { showBytes } from "../../show-bytes.ts";

export class Budget {
  readonly #limit: number | undefined;
  readonly #taken: () => number;
  /** The machine's memory in bytes, kept after the first question. */
  #machine: number | undefined;

  /**
   * @param limit bytes; not given: what the system has available
   * @param taken bytes that are in use now
   */
  constructor(limit: number | undefined, taken: () => number) {
    this.#limit = limit;
    this.#taken = taken;
  }

  /** Bytes that may still be taken now. */
  get free(): number {
    return Math.max(0, this.#limit === undefined ? availableBytes() : this.#limit - this.#taken());
  }

  /** Bytes that may be taken in all. */
  get total(): number {
    return this.#limit ?? machine().memory.total;
  }

  /** Bytes that may ever be taken beside what is in use now. */
  get most(): number {
    if (this.#limit !== undefined) return this.free;
    return (this.#machine ??= machine().memory.total);
  }

  /** @throws MemoryError less than `bytes` may still be taken; `need` says what for */
  check(bytes: number, need: string): void {
    const { free } = this;
    if (bytes <= free) return;
    const limit =
      this.#limit === undefined
        ? `${showBytes(free)} are available on this machine`
        : `the limit of ${showBytes(this.#limit)} less ${showBytes(this.#taken())} in use leaves ${showBytes(free)}`;
    const raise = this.#limit === undefined ? "close other programs" : "raise memoryLimit";
    throw new MemoryError(
      `${need}, but ${limit}; ${raise}, use a smaller dtype, quantise the model, or choose a shorter max_length or a smaller batch`,
    );
  }
}
