// Breaks lines between words, where a terminal would break them within words, in text that arrives in pieces.
// Knows nothing of streams. Control characters other than colours must have been removed.

const wide =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u;
const zeroWidth = /[\p{Mn}\p{Me}\p{Cf}]/u;
/** Line ends, other white space, characters of scripts that are broken anywhere, other words. */
const parts =
  /\n|[^\S\n]+|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu;
const breaksAnywhere = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;
// oxlint-disable-next-line no-control-regex -- the escape that begins a colour
const colours = /\u001b\[[\d;]*m/g;
const tabStop = 8;

/** Gives a part of a word its colour. */
type Paint = (text: string) => string;

export class WordWrap {
  readonly #columns: () => number;
  #column = 0;
  /** White space that has not been written: it is dropped if the next word begins a new line. */
  #gap = "";
  /** The word that may go on with the next piece, in parts of different colours. */
  #word: { readonly text: string; readonly paint: Paint }[] = [];
  /** Whether a line may be broken before the word. */
  #mayBreak = true;

  /** @param columns the width of the terminal at this moment */
  constructor(columns: () => number) {
    this.#columns = columns;
  }

  /** The text to write for the next piece, without its last word if that may go on. */
  put(text: string, paint: Paint = (part) => part): string {
    let out = "";
    for (const part of text.match(parts) ?? []) {
      if (part === "\n") {
        out += `${this.end()}\n`;
        [this.#column, this.#gap, this.#mayBreak] = [0, "", true];
      } else if (/^\s/.test(part)) {
        out += this.end();
        this.#gap += part;
        this.#mayBreak = true;
      } else if (breaksAnywhere.test(part)) {
        out += this.end();
        this.#mayBreak = true;
        this.#word.push({ text: part, paint });
        out += this.end();
        this.#mayBreak = true;
      } else {
        this.#word.push({ text: part, paint });
      }
    }
    // Nothing is gained by waiting for the end of a word that is longer than a line.
    return advance(0, this.#wordText()) > this.#columns() ? out + this.end() : out;
  }

  /** The word that was held back: it is complete. */
  end(): string {
    if (this.#word.length === 0) return "";
    const columns = Math.max(1, this.#columns());
    const word = this.#wordText();
    const end = advance(advance(this.#column, this.#gap), word);
    const breaks = this.#mayBreak && this.#column > 0 && end > columns;
    const before = breaks ? "\n" : this.#gap;
    const column = breaks ? advance(0, word) : end;
    // The terminal itself breaks a word that is longer than a line.
    this.#column = column > columns ? ((column - 1) % columns) + 1 : column;
    const painted = this.#word.map(({ text, paint }) => paint(text)).join("");
    [this.#gap, this.#word, this.#mayBreak] = ["", [], false];
    return before + painted;
  }

  #wordText(): string {
    return this.#word.map(({ text }) => text).join("");
  }
}

/** A whole text with its lines broken between words. */
export function wrapped(text: string, columns: number): string {
  const wrap = new WordWrap(() => columns);
  return wrap.put(text) + wrap.end();
}

/** The column after `text`, which begins at `column`. */
function advance(column: number, text: string): number {
  let at = column;
  for (const char of text.replace(colours, "")) {
    if (char === "\t") at += tabStop - (at % tabStop);
    else if (wide.test(char)) at += 2;
    else if (!zeroWidth.test(char)) at += 1;
  }
  return at;
}
