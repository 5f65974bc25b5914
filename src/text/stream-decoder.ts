// Decodes a stream of tokens: gives text as soon as later tokens cannot change it, in exactly the pieces that Transformers'
// TextStreamer prints. These are whole lines, all text up to a Chinese character, else text up to the last space; none ends within
// a UTF-8 character. The cost of a token does not grow with the text before it. Knows nothing of prompts and of where text goes.

import { ByteText } from "./byte-text.ts";
import { byteOfToken } from "./decoder.ts";
import { RunDecoder } from "./run-decoder.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export class StreamDecoder {
  readonly #tokenizer: TextTokenizer;
  readonly #skipSpecial: boolean;
  readonly #wholeText: boolean;
  #text: GrowingText;

  /**
   * `skipSpecial`: special tokens print nothing. `wholeText`: the pieces are together what decoding all tokens gives. Without it each
   * line is decoded as a text of its own, as Transformers does, so that a decoder which drops the text's first space drops one a line.
   */
  constructor(
    tokenizer: TextTokenizer,
    { skipSpecial, wholeText = false }: { skipSpecial: boolean; wholeText?: boolean },
  ) {
    this.#tokenizer = tokenizer;
    this.#skipSpecial = skipSpecial;
    this.#wholeText = wholeText;
    this.#text = this.#begin();
  }

  /** Takes token ids. @returns the text that no later token can change, without what was returned before; often "" */
  put(ids: Iterable<number>): string {
    for (const id of ids) {
      const token = this.#tokenizer.idToToken(id);
      if (token === undefined) continue;
      if (this.#skipSpecial && this.#tokenizer.isSpecial(token)) this.#text.leaveOut();
      else this.#text.add(token);
    }
    const printed = this.#text.print();
    if (printed.ends) {
      if (this.#wholeText) this.#text.forget();
      else this.#text = this.#begin();
    }
    return printed.text;
  }

  /** Ends the text. @returns what was still held back; the next `put` begins a new text */
  end(): string {
    const rest = this.#text.rest();
    this.#text = this.#begin();
    return rest;
  }

  #begin(): GrowingText {
    const { decoder } = this.#tokenizer;
    if (decoder.byteLevel === true) return new ByteLine(decoder.separateRuns === true);
    return decoder.streamable === undefined
      ? new RedecodedText((tokens) => decoder.decode(tokens))
      : new IncrementalText(decoder.streamable.replaced, decoder.streamable.stripped);
  }
}

/** The text of the tokens since the last line end. A part of it has been printed. */
type GrowingText = {
  add(token: string): void;
  /** A special token comes here that is not printed. */
  leaveOut(): void;
  /** What can be printed now; `ends` when the line has ended and the next token begins a new text. */
  print(): { text: string; ends: boolean };
  /** All that is not printed. */
  rest(): string;
  /** A line has ended, and all of it was printed: drops what later tokens do not need. */
  forget(): void;
};

/** Decodes all tokens since the last line end again, each time: for decoders that are not `streamable`. */
class RedecodedText implements GrowingText {
  readonly #decode: (tokens: readonly string[]) => string;
  #tokens: string[] = [];
  #printed = 0;

  constructor(decode: (tokens: readonly string[]) => string) {
    this.#decode = decode;
  }

  add(token: string): void {
    this.#tokens.push(token);
  }

  leaveOut(): void {}

  print(): { text: string; ends: boolean } {
    const text = [...this.#decode(this.#tokens)];
    const ends = text.at(-1) === "\n";
    const whole = ends || isChinese(text.at(-1));
    const printed = text.slice(this.#printed, whole ? undefined : text.lastIndexOf(" ") + 1);
    this.#printed += printed.length;
    return { text: printed.join(""), ends };
  }

  rest(): string {
    return [...this.#decode(this.#tokens)].slice(this.#printed).join("");
  }

  /** One token stays, so that the next is not the text's first. */
  forget(): void {
    this.#tokens = this.#tokens.slice(-1);
    this.#printed = [...this.#decode(this.#tokens)].length;
  }
}

/** The text of byte level tokens. `separate`: bytes on both sides of a token that is left out make no character together. */
class ByteLine implements GrowingText {
  readonly #text = new ByteText();
  readonly #separate: boolean;

  constructor(separate: boolean) {
    this.#separate = separate;
  }

  add(token: string): void {
    this.#text.add(token);
  }

  leaveOut(): void {
    if (this.#separate) this.#text.cut();
  }

  print(): { text: string; ends: boolean } {
    const { last } = this.#text;
    const ends = last === "\n";
    return { text: ends || isChinese(last) ? this.#text.takeAll() : this.#text.takeWords(), ends };
  }

  rest(): string {
    return this.#text.takeAll();
  }

  /** All was printed, and nothing is kept of it. */
  forget(): void {}
}

/**
 * The text in two parts: a settled one, and at its end a run of byte tokens that the next byte may change. Of both, only what has
 * not been printed is kept. Positions count code points, as in Python: when a run turns out not to be UTF-8, each of its bytes
 * becomes a U+FFFD, also of the part that has been printed, and printing goes on at the same position.
 */
class IncrementalText implements GrowingText {
  readonly #replaced: (token: string) => string;
  readonly #stripped: string | undefined;
  readonly #run = new RunDecoder();
  // of the settled text: its length, the place after its last space, its last character, and the part that has not been printed
  #length = 0;
  #space = 0;
  #last: string | undefined;
  #waiting = "";
  #printed = 0;

  constructor(replaced: (token: string) => string, stripped: string | undefined) {
    this.#replaced = replaced;
    this.#stripped = stripped;
  }

  leaveOut(): void {}

  add(token: string): void {
    const text = this.#replaced(token);
    const byte = byteOfToken(text);
    if (byte >= 0) this.#run.push(byte);
    else {
      this.#settle();
      this.#append(text);
    }
  }

  print(): { text: string; ends: boolean } {
    const run = this.#runView();
    const last = run.length > 0 ? run.last : this.#last;
    const ends = last === "\n";
    const length = this.#length + run.length;
    const to =
      ends || isChinese(last) ? length : run.space > 0 ? this.#length + run.space : this.#space;
    return { text: this.#take(to, run.skipped), ends };
  }

  rest(): string {
    const run = this.#runView();
    return this.#take(this.#length + run.length, run.skipped);
  }

  /** Only what was not printed is kept in any case. */
  forget(): void {}

  /** The run as it stands in the text: without a character stripped from the text's begin. */
  #runView(): { length: number; space: number; last: string | undefined; skipped: number } {
    const { length, space, last, first } = this.#run;
    const skipped = this.#strips(first) ? 1 : 0;
    return { length: length - skipped, space: Math.max(space - skipped, 0), last, skipped };
  }

  // whether the text has begun: only its very first character can be stripped
  #began = false;

  #strips(first: string | undefined): boolean {
    return !this.#began && first !== undefined && first === this.#stripped;
  }

  #settle(): void {
    if (this.#run.length === 0) return;
    const { skipped, length, space, last } = this.#runView();
    const from = Math.max(this.#printed - this.#length, 0);
    const text = this.#run.from(skipped + from);
    if (space > 0) this.#space = this.#length + space;
    if (length > 0) this.#last = last;
    this.#length += length;
    this.#began = true;
    this.#waiting += text;
    this.#run.clear();
  }

  #append(token: string): void {
    if (token === "") return;
    let text = token;
    const first = String.fromCodePoint(token.codePointAt(0) ?? 0);
    if (this.#strips(first)) text = token.slice(first.length);
    this.#began = true;
    if (text === "") return;
    const points = [...text];
    const space = points.lastIndexOf(" ");
    if (space >= 0) this.#space = this.#length + space + 1;
    // Where the run before became shorter after it was printed, as many characters of this token count as printed.
    const debt = Math.min(Math.max(this.#printed - this.#length, 0), points.length);
    this.#waiting += debt === 0 ? text : points.slice(debt).join("");
    this.#length += points.length;
    this.#last = points.at(-1);
  }

  /** The text up to position `to` that has not been printed; from now on it has. */
  #take(to: number, skipped: number): string {
    if (to <= this.#printed) return "";
    const fromRun = to - this.#length;
    let text: string;
    if (fromRun > 0) {
      const from = Math.max(this.#printed - this.#length, 0);
      text = this.#waiting + this.#run.between(skipped + from, skipped + fromRun);
      this.#waiting = "";
    } else {
      const cut = this.#length === to ? this.#waiting.length : this.#waiting.lastIndexOf(" ") + 1;
      text = this.#waiting.slice(0, cut);
      this.#waiting = this.#waiting.slice(cut);
    }
    this.#printed = to;
    return text;
  }
}

const CHINESE: readonly (readonly [number, number])[] = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b820, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];

/** Whether a character is of the blocks of Chinese characters that TextStreamer prints at once. */
function isChinese(character: string | undefined): boolean {
  const point = character?.codePointAt(0) ?? 0;
  return CHINESE.some(([from, to]) => point >= from && point <= to);
}
