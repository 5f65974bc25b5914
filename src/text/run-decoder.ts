// Decodes a run of byte tokens, one byte at a time. The text of a run that is valid UTF-8 so far is its characters; of any other run,
// also of one that ends within a character, a U+FFFD for each of its bytes. Text that was read is not kept. Knows nothing of tokens.

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
  // of an unfinished character: how many bytes are missing, its bits so far, and the range of the next byte
  #missing = 0;
  #bits = 0;
  #low = 0x80;
  #high = 0xbf;

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
    return !this.#broken && this.#missing === 0;
  }

  push(byte: number): void {
    this.#bytes++;
    if (this.#broken) return;
    if (this.#missing > 0) {
      if (byte < this.#low || byte > this.#high) this.#broken = true;
      else {
        this.#bits = (this.#bits << 6) | (byte & 0x3f);
        this.#low = 0x80;
        this.#high = 0xbf;
        if (--this.#missing === 0) this.#push(this.#bits);
      }
    } else if (byte < 0x80) this.#push(byte);
    else if (byte >= 0xc2 && byte < 0xf5) this.#open(byte);
    else this.#broken = true;
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
    this.#missing = 0;
  }

  #open(byte: number): void {
    // Table 3-7 of the Unicode Standard: no overlong forms, no surrogates, nothing above U+10FFFF
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.#bits = byte & (0x3f >> this.#missing);
    this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
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
