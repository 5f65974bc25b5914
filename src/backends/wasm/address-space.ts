// Decides how many WebAssembly memories a backend has, and how large they may grow. A memory reserves addresses for its full size
// at once, and a browser's page, or a process with a limit, has few of them. Knows nothing of what is kept in them.

import type { MemoryMaxima } from "#platform";
import { MemoryError } from "../../errors.ts";
import { showBytes } from "../../show-bytes.ts";

/** Bytes of WebAssembly's unit of memory. */
export const PAGE = 65536;
/** Bytes that 32-bit addresses reach: 4 GiB. */
const REACH = 65536 * PAGE;
/** Bytes (1 MiB) that a memory must be able to hold in order to be of use. */
const LEAST = 16 * PAGE;

/** A memory, and how many bytes it can grow to. */
export type SizedMemory = { readonly memory: WebAssembly.Memory; readonly limit: number };

/** Makes memories as long as there are addresses: as large as allowed, or smaller if the system refuses that. */
export class AddressSpace {
  readonly #maxima: MemoryMaxima;
  /** The most bytes of the next memory: as allowed, and halved each time the system refuses. */
  #perMemory: number;
  readonly #limits: number[];
  #refused = false;

  /** @param limits the limit in bytes of each memory so far; this object adds those of new ones */
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

  /** Makes another memory; undefined when there are no addresses for it. */
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

/** Makes a memory that can grow to `limit`; undefined when the system does not give that many addresses. */
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
