// Makes messages of lines: each line is one, but what stands between two """ is one message of several lines.
// Does not know where lines come from.

const mark = '"""';

export class MessageLines {
  /** The lines since a `"""`; undefined outside of such a text. */
  #open: string[] | undefined;

  /** Whether a text of several lines has begun and not ended. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Takes a line. @returns a message that is complete now and not empty */
  put(line: string): string | undefined {
    let rest = line;
    if (this.#open === undefined) {
      const begin = line.trimStart();
      if (!begin.startsWith(mark)) return filled(line);
      this.#open = [];
      rest = begin.slice(mark.length);
    }
    if (!rest.trimEnd().endsWith(mark)) {
      this.#open.push(rest);
      return undefined;
    }
    this.#open.push(rest.trimEnd().slice(0, -mark.length));
    return this.end();
  }

  /** No more lines come, or none of this text. @returns the message so far, if there is one */
  end(): string | undefined {
    const lines = this.#open ?? [];
    this.#open = undefined;
    return filled(lines.join("\n").replace(/^\n/, "").replace(/\n$/, ""));
  }
}

const filled = (text: string): string | undefined => (text.trim() === "" ? undefined : text);
