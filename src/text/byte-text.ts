// The text of a stream of byte level tokens, a byte at a time: what has been printed is not kept, and nothing is decoded twice. Bytes
// that belong to no character become U+FFFD as in the WHATWG decoder. Knows nothing of lines and of where text goes.

import { byteLevelBytes } from "./byte-level.ts";
import { BROKEN, UNFINISHED, Utf8Reader } from "./utf8-reader.ts";

const REPLACEMENT = "\u{fffd}";

export class ByteText {
  readonly #reader = new Utf8Reader();
  /** The characters that have not been taken. */
  #waiting = "";
  #last: string | undefined;

  /** The last character of the text, also if it was taken; U+FFFD for one that is not finished. */
  get last(): string | undefined {
    return this.#reader.unfinished ? REPLACEMENT : this.#last;
  }

  add(token: string): void {
    for (const byte of byteLevelBytes(token)) this.#push(byte);
  }

  /** Ends the run of bytes: those that come make no character with those before. */
  cut(): void {
    if (this.#reader.unfinished) this.#append(REPLACEMENT);
    this.#reader.clear();
  }

  /** The finished characters up to the last space. They are not given again. */
  takeWords(): string {
    const end = this.#waiting.lastIndexOf(" ") + 1;
    const text = this.#waiting.slice(0, end);
    this.#waiting = this.#waiting.slice(end);
    return text;
  }

  /** All that was not taken; an unfinished character is a U+FFFD. */
  takeAll(): string {
    this.cut();
    const text = this.#waiting;
    this.#waiting = "";
    return text;
  }

  #push(byte: number): void {
    const began = this.#reader.unfinished;
    const point = this.#reader.push(byte);
    if (point === UNFINISHED) return;
    if (point !== BROKEN) {
      this.#append(String.fromCodePoint(point));
      return;
    }
    this.#append(REPLACEMENT);
    // the byte that did not continue a character may begin one
    if (began) this.#push(byte);
  }

  #append(character: string): void {
    this.#waiting += character;
    this.#last = character;
  }
}
