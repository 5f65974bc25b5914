// How many WebAssembly memories a backend may have, and how large: each reserves addresses for all that it can grow to, and a page
// in a browser, or a process with a limit, has few. Knows nothing of what is kept in them.

import type { MemoryMaxima } from "#platform";
import { MemoryError } from "../../errors.ts";
import { showBytes } from "./budget.ts";

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
  readonly #limits: number[];
  #refused = false;

  /** @param limits bytes of each memory that exists; kept up to date */
  constructor(maxima: MemoryMaxima, limits: number[]) {
    this.#maxima = maxima;
    this.#limits = limits;
    this.#perMemory = Math.min(maxima.perMemory, REACH);
  }

  /** Bytes that memories which are not made yet can hold together. */
  get left(): number {
    const left = this.#maxima.total - this.#taken;
    return this.#refused || left < LEAST ? 0 : left;
  }

  /** Another memory; undefined when there are no addresses for it. */
  another(shared: boolean): SizedMemory | undefined {
    while (this.left > 0) {
      const limit = Math.floor(Math.min(this.#perMemory, this.left) / PAGE) * PAGE;
      const memory = limit < LEAST ? undefined : makeMemory(limit, shared);
      if (memory !== undefined) {
        this.#limits.push(limit);
        return { memory, limit };
      }
      if (limit < LEAST) this.#refused = true;
      this.#perMemory = limit / 2;
    }
    return undefined;
  }

  /**
   * @param need says what the bytes are for
   * @param unused bytes that the memories that exist can still hold
   * @throws MemoryError less than `bytes` are left in these memories and for others
   */
  check(bytes: number, need: string, unused: number): void {
    const room = unused + this.left;
    if (bytes <= room) return;
    const limits = this.#limits.map(showBytes).join(" + ");
    throw new MemoryError(
      `${need}, but WebAssembly memories have ${showBytes(room)} of addresses left (memories of ${limits}, and ${showBytes(this.left)} for ` +
        "others: see env.wasm.addressSpace); use a smaller dtype, quantise the model, or choose a shorter max_length",
    );
  }

  get #taken(): number {
    return this.#limits.reduce((sum, limit) => sum + limit, 0);
  }

  /** Why there is no other memory. */
  refusal(): MemoryError {
    const { perMemory, total } = this.#maxima;
    const why = this.#refused
      ? `the system refused ${showBytes(Math.min(perMemory, REACH))} and less, down to ${showBytes(LEAST)}`
      : `they may take ${showBytes(total)} together, by env.wasm.addressSpace or by what a limit of the system leaves beside threads`;
    return new MemoryError(
      `no addresses are left for another WebAssembly memory: the model's memories take ${showBytes(this.#taken)}, and ${why}; ` +
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
