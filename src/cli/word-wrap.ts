// Breaks lines between words, where a terminal would break them within words, in text that arrives in pieces.
// Knows nothing of streams. Control characters must have been removed.

const wide =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u;
const zeroWidth = /[\p{Mn}\p{Me}\p{Cf}]/u;
const tabStop = 8;

export class WordWrap {
  readonly #columns: () => number;
  #column = 0;
  /** White space that has not been written: it is dropped if the next word begins a new line. */
  #gap = "";
  /** Whether a line may be broken before the next piece, because white space came before it. */
  #betweenWords = true;

  /** @param columns the width of the terminal at this moment */
  constructor(columns: () => number) {
    this.#columns = columns;
  }

  /** The text to write for the next piece. */
  put(text: string): string {
    let out = "";
    for (const piece of text.match(/\n|[^\S\n]+|\S+/g) ?? []) {
      if (piece === "\n") {
        out += piece;
        [this.#column, this.#gap, this.#betweenWords] = [0, "", true];
      } else if (/^\s/.test(piece)) {
        this.#gap += piece;
        this.#betweenWords = true;
      } else {
        out += this.#word(piece);
      }
    }
    return out;
  }

  #word(word: string): string {
    const columns = Math.max(1, this.#columns());
    const end = advance(advance(this.#column, this.#gap), word);
    const breaks = this.#betweenWords && this.#column > 0 && end > columns;
    const before = breaks ? "\n" : this.#gap;
    const column = breaks ? advance(0, word) : end;
    // The terminal itself breaks a word that is longer than a line.
    this.#column = column > columns ? ((column - 1) % columns) + 1 : column;
    this.#gap = "";
    this.#betweenWords = false;
    return before + word;
  }
}

/** A whole text with its lines broken between words. */
export function wrapped(text: string, columns: number): string {
  return new WordWrap(() => columns).put(text);
}

/** The column after `text`, which begins at `column`. */
function advance(column: number, text: string): number {
  let at = column;
  for (const char of text) {
    if (char === "\t") at += tabStop - (at % tabStop);
    else if (wide.test(char)) at += 2;
    else if (!zeroWidth.test(char)) at += 1;
  }
  return at;
}
