// The few words that the API's thread and the engine worker share: they work while the worker computes and reads no messages.

const STOP = 0;
const MAIL = 1;
const OWNER = 2;

export class Control {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(12)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** The word that asks a running step to stop; the reference backend looks at it between two ops. */
  get stop(): Int32Array {
    return this.#words.subarray(STOP, STOP + 1);
  }

  askToStop(): void {
    Atomics.store(this.#words, STOP, 1);
  }

  clearStop(): void {
    Atomics.store(this.#words, STOP, 0);
  }

  /**
   * The id of the call that alone has rows in the running step, modulo 2³¹; 0: several calls have, or none. Only its abort may
   * stop the step; another call's abort takes effect when the step ends.
   */
  get owner(): number {
    return Atomics.load(this.#words, OWNER);
  }

  set owner(call: number) {
    Atomics.store(this.#words, OWNER, call);
  }

  /** Counts a message that was posted to the worker. */
  countMail(): void {
    Atomics.add(this.#words, MAIL, 1);
  }

  /** Messages posted so far: when the worker has received fewer, it lets its event loop turn. */
  get mail(): number {
    return Atomics.load(this.#words, MAIL);
  }
}
