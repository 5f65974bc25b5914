// A strict JSON reader (RFC 8259) for headers of untrusted files. It shows what JSON.parse hides, a key that comes twice and the
// digits of a number, and builds nothing that the caller does not ask for: the caller pulls values, and the text is walked once,
// front to back. Does not know what a header means.

const MAX_DEPTH = 128;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

export class JsonReader {
  readonly #text: string;
  readonly #fail: (what: string) => Error;
  #at = 0;
  #depth = 0;

  /** @param fail makes the error to throw, from what is wrong and where */
  constructor(text: string, fail: (what: string) => Error) {
    this.#text = text;
    this.#fail = fail;
  }

  /** Characters read so far. */
  get at(): number {
    return this.#at;
  }

  /** Reads an object; `onKey` is called with each key and must read its value. A key that comes twice is refused. */
  object(onKey: (key: string) => void): void {
    this.#enter("{", "an object");
    const keys = new Set<string>();
    if (!this.#close("}")) {
      do {
        const key = this.string();
        if (keys.has(key)) throw this.error(`the key ${shown(key)} comes twice`);
        keys.add(key);
        this.#expect(":", "a colon after a key");
        onKey(key);
      } while (this.#next("}"));
    }
    this.#depth--;
  }

  /** Reads an array; `onItem` is called before each item and must read it. */
  array(onItem: () => void): void {
    this.#enter("[", "an array");
    if (!this.#close("]")) {
      do onItem();
      while (this.#next("]"));
    }
    this.#depth--;
  }

  string(): string {
    this.#space();
    if (this.#text[this.#at] !== '"')
      throw this.error(`a string was expected, ${this.#seen()} came`);
    const begin = this.#at;
    let escaped = false;
    for (;;) {
      const c = this.#text.charCodeAt(++this.#at);
      if (c === 0x22) break;
      if (Number.isNaN(c)) throw this.error("the text ends within a string");
      if (c < 0x20) throw this.error("a control character stands in a string");
      if (c !== 0x5c) continue;
      escaped = true;
      this.#at++;
    }
    this.#at++;
    if (!escaped) return this.#text.slice(begin + 1, this.#at - 1);
    return this.#unescape(this.#text.slice(begin, this.#at));
  }

  /** Reads a number and gives its digits as they stand in the text. */
  number(): string {
    this.#space();
    NUMBER.lastIndex = this.#at;
    const digits = NUMBER.exec(this.#text)?.[0];
    if (digits === undefined) throw this.error(`a number was expected, ${this.#seen()} came`);
    this.#at += digits.length;
    return digits;
  }

  /** Reads `null`, `true` or `false` when it comes next. */
  literal(): null | boolean | undefined {
    this.#space();
    for (const [word, value] of [
      ["null", null] as const,
      ["true", true] as const,
      ["false", false] as const,
    ]) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return undefined;
  }

  /** Reads any value and drops it. */
  skip(): void {
    this.#space();
    const c = this.#text[this.#at];
    if (c === "{") this.object(() => this.skip());
    else if (c === "[") this.array(() => this.skip());
    else if (c === '"') this.string();
    else if (this.literal() === undefined) this.number();
  }

  /** Whether the next value is an object, an array, a string, or something else. */
  peek(): "object" | "array" | "string" | "other" {
    this.#space();
    const c = this.#text[this.#at];
    return c === "{" ? "object" : c === "[" ? "array" : c === '"' ? "string" : "other";
  }

  /** Only white space may follow. */
  end(): void {
    this.#space();
    if (this.#at < this.#text.length) throw this.error(`more text follows: ${this.#seen()}`);
  }

  /** The error for something wrong at this place. */
  error(what: string): Error {
    return this.#fail(`${what} (character ${this.#at})`);
  }

  #enter(open: string, what: string): void {
    this.#expect(open, what);
    if (++this.#depth > MAX_DEPTH) throw this.error(`nested deeper than ${MAX_DEPTH}`);
  }

  #close(end: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== end) return false;
    this.#at++;
    return true;
  }

  #next(end: string): boolean {
    if (this.#close(end)) return false;
    this.#expect(",", `a comma or ${end}`);
    return true;
  }

  #expect(c: string, what: string): void {
    this.#space();
    if (this.#text[this.#at] !== c) throw this.error(`${what} was expected, ${this.#seen()} came`);
    this.#at++;
  }

  #space(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      this.#at++;
    }
  }

  #seen(): string {
    return this.#at < this.#text.length
      ? shown(this.#text.slice(this.#at, this.#at + 12))
      : "the end of the text";
  }

  #unescape(quoted: string): string {
    let value: string;
    try {
      value = JSON.parse(quoted) as string;
    } catch {
      throw this.error(`${shown(quoted)} is no JSON string`);
    }
    if (!value.isWellFormed()) throw this.error(`${shown(quoted)} holds half a surrogate pair`);
    return value;
  }
}

/** A name from a file as it may stand in a message: quoted, escaped, at most about 80 characters. */
export function shown(name: string): string {
  return name.length <= 80
    ? JSON.stringify(name)
    : `${JSON.stringify(name.slice(0, 60))}… (${name.length} characters)`;
}
