// UTF-8 one byte at a time: says which character a byte completes, and which byte cannot follow (Table 3-7 of the Unicode Standard: no
// overlong forms, no surrogates, nothing above U+10FFFF). Knows nothing of tokens and of what stands in a broken character's place.

/** The byte begins or continues a character. */
export const UNFINISHED: number = -1;
/** The byte is no UTF-8 at its place. The character before it that was unfinished is given up. */
export const BROKEN: number = -2;

export class Utf8Reader {
  // of an unfinished character: how many bytes are missing, its bits so far, and the range of the next byte
  #missing = 0;
  #bits = 0;
  #low = 0x80;
  #high = 0xbf;

  /** Whether a character has begun and not ended. */
  get unfinished(): boolean {
    return this.#missing > 0;
  }

  /** @returns the code point of the character that ends with this byte, UNFINISHED or BROKEN */
  push(byte: number): number {
    if (this.#missing > 0) {
      if (byte < this.#low || byte > this.#high) {
        this.#missing = 0;
        return BROKEN;
      }
      this.#bits = (this.#bits << 6) | (byte & 0x3f);
      this.#low = 0x80;
      this.#high = 0xbf;
      return --this.#missing === 0 ? this.#bits : UNFINISHED;
    }
    if (byte < 0x80) return byte;
    if (byte < 0xc2 || byte >= 0xf5) return BROKEN;
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.#bits = byte & (0x3f >> this.#missing);
    this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return UNFINISHED;
  }

  /** Gives up an unfinished character. */
  clear(): void {
    this.#missing = 0;
  }
}
