// Reads numbers and strings of a GGUF header front to back, through a window of the file. Each length is compared with the bytes that
// are left in the file before memory is taken for it. Does not know what the values mean.

import { CheckpointError } from "../errors.ts";
import { MAX_HEADER_BYTES, type ByteSource } from "./safetensors.ts";

/** Bytes that are read at once: 1 MiB. */
const WINDOW = 1 << 20;

export class GgufReader {
  readonly path: string;
  readonly #source: ByteSource;
  #window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #view: DataView = new DataView(this.#window.buffer);
  /** Where the window begins in the file. */
  #begin = 0;
  /** Where the next value begins in the window. */
  #at = 0;

  constructor(path: string, source: ByteSource) {
    this.path = path;
    this.#source = source;
  }

  /** Bytes of the file read so far. */
  get at(): number {
    return this.#begin + this.#at;
  }

  /** Bytes of the file that are left to read. */
  get left(): number {
    return this.#source.size - this.at;
  }

  /** Whether the next `bytes` can be taken; if not, await `load` first. */
  holds(bytes: number): boolean {
    return this.#at + bytes <= this.#window.length;
  }

  /** Brings the next `bytes` into the window. @throws CheckpointError the file ends before, or the header is too long */
  async load(bytes: number, what: string): Promise<void> {
    if (bytes > this.left) {
      throw new CheckpointError(
        `${this.path}: ${what} at byte ${this.at} takes ${bytes} bytes, but only ${this.left} are left in the file; ${DAMAGED}`,
      );
    }
    const begin = this.at;
    if (begin + bytes > MAX_HEADER_BYTES) {
      throw new CheckpointError(
        `${this.path}: the header goes on after ${begin} bytes (${what} of ${bytes}), at most ${MAX_HEADER_BYTES} are read; ${DAMAGED}`,
      );
    }
    const window = new Uint8Array(Math.min(Math.max(bytes, WINDOW), this.left));
    await this.#source.readInto(window, begin);
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#begin = begin;
    this.#at = 0;
  }

  /** The next value of a fixed size; the window must hold it. */
  take<T>(type: Scalar<T>): T {
    const value = type.get(this.#view, this.#at);
    this.#at += type.bytes;
    return value;
  }

  /** What the window holds, from its beginning. */
  first(): Uint8Array<ArrayBuffer> {
    return this.#window;
  }

  /** The next bytes as a view on the window, which must hold them. */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    return this.#window.subarray(this.#at, (this.#at += count));
  }

  async scalar<T>(type: Scalar<T>, what: string): Promise<T> {
    if (!this.holds(type.bytes)) await this.load(type.bytes, what);
    return this.take(type);
  }

  /** A number of things that take at least `each` bytes in the file. @throws CheckpointError more than the file can hold */
  async count(each: number, what: string): Promise<number> {
    const count = await this.scalar(u64, what);
    const most = Math.floor(this.left / each);
    if (count > most) {
      throw new CheckpointError(
        `${this.path}: ${what} is ${count}, but the ${this.left} bytes left in the file hold at most ${most}; ${DAMAGED}`,
      );
    }
    return Number(count);
  }

  async string(what: string): Promise<string> {
    const length = await this.count(1, `the length of ${what}`);
    if (!this.holds(length)) await this.load(length, what);
    return this.#text(length, what);
  }

  /** The next string, or undefined if the window does not hold all of it. Without a promise: a vocabulary has some 10⁵ strings. */
  heldString(what: string): string | undefined {
    if (!this.holds(8)) return undefined;
    const length = u64.get(this.#view, this.#at);
    if (typeof length === "bigint" || !this.holds(8 + length)) return undefined;
    this.#at += 8;
    return this.#text(length, what);
  }

  #text(length: number, what: string): string {
    try {
      return utf8.decode(this.bytes(length));
    } catch (cause) {
      throw new CheckpointError(`${this.path}: ${what} is not UTF-8; ${DAMAGED}`, { cause });
    }
  }
}

/** What to do about a file whose header contradicts itself. */
export const DAMAGED = "the file is incomplete or damaged: fetch it again, or write it again";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A type whose values all have the same size. */
export type Scalar<T> = { readonly bytes: number; get(view: DataView, at: number): T };

export const u32: Scalar<number> = { bytes: 4, get: (view, at) => view.getUint32(at, true) };
/** A number if it is exact (below 2^53), else a bigint. */
export const u64: Scalar<number | bigint> = {
  bytes: 8,
  get: (view, at) => exact(view.getBigUint64(at, true)),
};
export const i64: Scalar<number | bigint> = {
  bytes: 8,
  get: (view, at) => exact(view.getBigInt64(at, true)),
};

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
