// A queue from one writer to one reader. `push` never waits; `room` tells the writer when it should wait because the reader is behind.
// While nobody reads, all pieces are kept, as in Transformers, so that text can also be read after the generation.
// Knows nothing of text.

type Item<T> = { readonly value: T } | { readonly failed: boolean; readonly reason?: unknown };

export class TextQueue<T> {
  readonly #highWaterMark: number;
  readonly #timeout: number;
  readonly #timeoutError: () => Error;
  #items: Item<T>[] = [];
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;
  #reading = false;
  /** The reader left early: what still comes of this stream is dropped. */
  #dropping = false;

  /** @param timeout milliseconds that a reader waits for a piece */
  constructor(highWaterMark: number, timeout: number, timeoutError: () => Error) {
    this.#highWaterMark = highWaterMark;
    this.#timeout = timeout;
    this.#timeoutError = timeoutError;
  }

  push(value: T): void {
    this.#add({ value });
  }

  close(): void {
    this.#add({ failed: false });
    this.#dropping = false;
  }

  fail(reason: unknown): void {
    this.#add({ failed: true, reason });
    this.#dropping = false;
  }

  /** What the writer should wait for before it adds more, if anything. */
  room(): Promise<void> | undefined {
    if (!this.#reading || this.#items.length < this.#highWaterMark) return undefined;
    return new Promise((resolve) => {
      this.#wakeWriter = resolve;
    });
  }

  /** The pieces up to the next end of the stream. */
  read(): AsyncIterator<T> {
    this.#reading = true;
    let ended = false;
    const end = (): IteratorResult<T> => {
      ended = true;
      this.#reading = false;
      this.#wakeWriter?.();
      return { done: true, value: undefined };
    };
    return {
      next: async () => {
        if (ended) return end();
        if (this.#items.length === 0) await this.#arrival();
        const item = this.#items.shift() as Item<T>;
        if (this.#items.length < this.#highWaterMark) this.#wakeWriter?.();
        if ("value" in item) return { done: false, value: item.value };
        end();
        if (item.failed) throw item.reason;
        return { done: true, value: undefined };
      },
      return: async () => {
        if (ended) return end();
        const last = this.#items.findIndex((item) => !("value" in item));
        this.#dropping = last < 0;
        this.#items = last < 0 ? [] : this.#items.slice(last + 1);
        return end();
      },
    };
  }

  #add(item: Item<T>): void {
    if (this.#dropping) return;
    this.#items.push(item);
    this.#wakeReader?.();
  }

  async #arrival(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#wakeReader = resolve;
      if (this.#timeout < Infinity) {
        timer = setTimeout(() => reject(this.#timeoutError()), this.#timeout);
      }
    });
    this.#wakeReader = undefined;
    clearTimeout(timer);
  }
}
