// Decodes a run of byte tokens, one byte at a time. The text of a run that is valid UTF-8 so far is its characters; of any other run,
// also of one that ends within a character, a U+FFFD for each of its bytes. Text that was read is not kept. Knows nothing of tokens.

import { BROKEN, UNFINISHED, Utf8Reader } from "./utf8-reader.ts";

const REPLACEMENT = "\u{fffd}";

export class RunDecoder {
  #bytes = 0;
  // of the characters so far: their number, the place after the last space, the first and the last
  #points = 0;
  #space = 0;
  #first: string | undefined;
  #last: string | undefined;
  // the characters from number #from on; earlier ones have been read and dropped
  #characters: string[] = [];
  #from = 0;
  #broken = false;
  readonly #reader = new Utf8Reader();

  /** Characters of the run as text. */
  get length(): number {
    return this.#valid ? this.#points : this.#bytes;
  }

  /** The place after the last space, 0 for none. */
  get space(): number {
    return this.#valid ? this.#space : 0;
  }

  get first(): string | undefined {
    return this.#valid ? this.#first : this.#bytes > 0 ? REPLACEMENT : undefined;
  }

  get last(): string | undefined {
    return this.#valid ? this.#last : this.#bytes > 0 ? REPLACEMENT : undefined;
  }

  get #valid(): boolean {
    return !this.#broken && !this.#reader.unfinished;
  }

  push(byte: number): void {
    this.#bytes++;
    if (this.#broken) return;
    const point = this.#reader.push(byte);
    if (point === BROKEN) this.#broken = true;
    else if (point !== UNFINISHED) this.#push(point);
  }

  /** The characters [from, to). Those before `to` are dropped and must not be read again, unless the run becomes invalid. */
  between(from: number, to: number): string {
    if (!this.#valid) return REPLACEMENT.repeat(Math.max(to - from, 0));
    const text = this.#characters.slice(from - this.#from, to - this.#from).join("");
    this.#characters = this.#characters.slice(to - this.#from);
    this.#from = to;
    return text;
  }

  /** The characters from `from` on. */
  from(from: number): string {
    return this.between(Math.min(from, this.length), this.length);
  }

  clear(): void {
    this.#bytes = 0;
    this.#points = 0;
    this.#space = 0;
    this.#first = undefined;
    this.#last = undefined;
    this.#characters = [];
    this.#from = 0;
    this.#broken = false;
    this.#reader.clear();
  }

  #push(point: number): void {
    const character = String.fromCodePoint(point);
    this.#first ??= character;
    this.#last = character;
    this.#points++;
    if (point === 0x20) this.#space = this.#points;
    this.#characters.push(character);
  }
}
