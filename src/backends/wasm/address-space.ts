// How many WebAssembly memories a backend may have, and how large: each reserves addresses for all that it can grow to, and a page
// in a browser, or a process with a limit, has few. Knows nothing of what is kept in them.

import type { MemoryMaxima } from "#platform";
import { MemoryError } from "../../errors.ts";

/** WebAssembly's unit, bytes. */
export const PAGE = 65536;
/** What 32-bit addresses reach. */
const REACH = 65536 * PAGE;
/** A memory that can hold less is of no use. */
const LEAST = 16 * PAGE;

/** A memory, and how many bytes it can grow to. */
export type SizedMemory = { readonly memory: WebAssembly.Memory; readonly limit: number };

/** Makes memories while there are addresses for them: as large as they may be, or smaller where the system refuses that. */
export class AddressSpace {
  readonly #maxima: MemoryMaxima;
  /** Bytes of another memory at most: less than allowed once the system has refused. */
  #perMemory: number;
  #taken = 0;
  #refused = false;

  constructor(maxima: MemoryMaxima) {
    this.#maxima = maxima;
    this.#perMemory = Math.min(maxima.perMemory, REACH);
  }

  /** Bytes that memories which are not made yet can hold together. */
  get left(): number {
    const left = this.#maxima.total - this.#taken;
    return this.#refused || left < LEAST ? 0 : left;
  }

  /** Counts a memory that exists. */
  count(limit: number): void {
    this.#taken += limit;
  }

  /** Another memory; undefined when there are no addresses for it. */
  another(shared: boolean): SizedMemory | undefined {
    while (this.left > 0) {
      const limit = Math.floor(Math.min(this.#perMemory, this.left) / PAGE) * PAGE;
      const memory = limit < LEAST ? undefined : makeMemory(limit, shared);
      if (memory !== undefined) {
        this.count(limit);
        return { memory, limit };
      }
      if (limit < LEAST) this.#refused = true;
      this.#perMemory = limit / 2;
    }
    return undefined;
  }

  /** @throws MemoryError less than `bytes` are left in these memories and for others; `need` says what for */
  check(
    bytes: number,
    need: string,
    made: readonly { readonly limit: number; readonly unused: number }[],
  ): void {
    const room = made.reduce((sum, { unused }) => sum + unused, this.left);
    if (bytes <= room) return;
    const limits = made.map(({ limit }) => show(limit)).join(" + ");
    throw new MemoryError(
      `${need}, but WebAssembly memories have ${show(room)} of addresses left (memories of ${limits}, and ${show(this.left)} for ` +
        "others: see env.wasm.addressSpace); use a smaller dtype, quantise the model, or choose a shorter max_length",
    );
  }

  /** Why there is no other memory. */
  refusal(): MemoryError {
    const { perMemory, total } = this.#maxima;
    const why = this.#refused
      ? `the system refused ${show(Math.min(perMemory, REACH))} and less, down to ${show(LEAST)}`
      : `they may take ${show(total)} together, by env.wasm.addressSpace or by what a limit of the system leaves beside threads`;
    return new MemoryError(
      `no addresses are left for another WebAssembly memory: the model's memories take ${show(this.#taken)}, and ${why}; ` +
        "raise the limit (ulimit -v unlimited), use fewer threads, or close other models",
    );
  }
}

/** Undefined when the system does not give that many addresses. No memory is used yet. */
function makeMemory(limit: number, shared: boolean): WebAssembly.Memory | undefined {
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: limit / PAGE, shared });
    // Where V8 cannot reserve the maximum, it makes a shared memory that cannot grow, and says nothing.
    memory.grow(1);
    return memory;
  } catch {
    return undefined;
  }
}

/** Bytes, for messages. */
export function show(bytes: number): string {
  return bytes >= 1e8 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(2)} MB`;
}
