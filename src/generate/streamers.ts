// Turn tokens into pieces of text while they are generated: TextStream passes the pieces on, TextIteratorStreamer is iterated or read as a
// ReadableStream. Which text is final follows Transformers' rule: whole lines, Chinese characters at once, else up to the last space.
// They use a tokenizer only for decoding, and know no model.

import { checkOptions } from "../did-you-mean.ts";
import { EngineError, InputError } from "../errors.ts";
import { TextQueue } from "./text-queue.ts";

export type DecodeOptions = {
  /** Whether to leave special tokens out. Default false. */
  readonly skip_special_tokens?: boolean;
  /** Accepted, and changes nothing, as in Transformers for BPE. */
  readonly clean_up_tokenization_spaces?: boolean;
};

export type StreamDecodeOptions = DecodeOptions & {
  /**
   * true: the pieces are together exactly what `decode` gives for all tokens. Default false, as in Transformers: each line is decoded as
   * a text of its own, and with a SentencePiece vocabulary a space at the begin of each line is lost
   */
  readonly wholeText?: boolean;
};

/** Takes tokens one after the other, and gives the text that later tokens will not change. */
export type TokenDecoder = {
  put(ids: Iterable<number>): string;
  /** The rest of the text. The next token begins a new one */
  end(): string;
};

/** What a streamer needs of a tokenizer. */
export type StreamTokenizer = {
  decode(ids: number[], options?: DecodeOptions): string;
  /** A decoder whose cost does not grow with the text; without it all tokens of a line are decoded again at each one */
  stream_decoder?(options: StreamDecodeOptions): TokenDecoder;
};

/** One row of ids, several rows, or a tensor of one or two dimensions. */
export type TokenValues =
  | number
  | ArrayLike<number | bigint>
  | readonly ArrayLike<number | bigint>[]
  | { readonly dims: readonly number[]; readonly data: ArrayLike<number | bigint> };

/** What `generate` feeds: first the prompt [B, S], then each step's tokens [B] (−1: that sequence has ended), then the end. */
export type Streamer = {
  /** @returns a promise when the reader is behind: `generate` then waits for it before it goes on */
  put(value: TokenValues): void | Promise<void>;
  end(): void | Promise<void>;
  /** `generate` failed, or was aborted: no end will come */
  fail?(reason: unknown): void;
};

export type TextStreamerOptions = StreamDecodeOptions & {
  /** Leave the prompt out. Default false */
  readonly skip_prompt?: boolean;
  /** Gets the text; TextStreamer then prints nothing */
  readonly callback_function?: (text: string) => void;
  /** Gets the ids of each step, before their text */
  readonly token_callback_function?: (ids: number[]) => void;
};

const STREAMER_OPTIONS = [
  "skip_prompt",
  "skip_special_tokens",
  "clean_up_tokenization_spaces",
  "wholeText",
  "callback_function",
  "token_callback_function",
];

/** Gives the text of one sequence piece by piece to `on_finalized_text`. */
export abstract class TextStream implements Streamer {
  protected readonly options: TextStreamerOptions;
  /** Sequences of the running stream; 0 before the first tokens. */
  protected sequences: number = 0;
  readonly #tokenizer: StreamTokenizer;
  #decoders: TokenDecoder[] = [];

  /** @throws InputError unknown option */
  constructor(tokenizer: StreamTokenizer, options: TextStreamerOptions = {}) {
    checkOptions("streamer", options, new Set([...STREAMER_OPTIONS, ...this.ownOptions()]));
    this.#tokenizer = tokenizer;
    this.options = options;
  }

  /** Takes tokens. @throws InputError more than one sequence */
  put(value: TokenValues): void | Promise<void> {
    const rows = this.#perSequence(value);
    const isPrompt = this.#decoders.length === 0;
    if (isPrompt) this.#decoders = rows.map(() => this.#makeDecoder());
    if (isPrompt && this.options.skip_prompt) return;
    rows.forEach((ids, index) => {
      if (ids.length === 0) return;
      this.options.token_callback_function?.(ids);
      this.on_finalized_text(this.#decoders[index].put(ids), false, index);
    });
  }

  /** Gives what was held back. The streamer can be used again afterwards. */
  end(): void | Promise<void> {
    const decoders = this.#decoders.length > 0 ? this.#decoders : [this.#makeDecoder()];
    this.#decoders = [];
    decoders.forEach((decoder, index) => {
      this.on_finalized_text(decoder.end(), index === decoders.length - 1, index);
    });
    this.sequences = 0;
  }

  /** Ends the stream without what was held back. The streamer can be used again afterwards. */
  fail(_reason: unknown): void {
    this.#decoders = [];
    this.sequences = 0;
  }

  /** Called with each piece of text, "" included; once with `stream_end`. `index`: the sequence of a batch */
  abstract on_finalized_text(text: string, stream_end: boolean, index: number): void;

  /** Options of a derived class. */
  protected ownOptions(): readonly string[] {
    return [];
  }

  /** Whether it can tell several sequences apart. */
  protected takesBatches(): boolean {
    return false;
  }

  #makeDecoder(): TokenDecoder {
    const { skip_special_tokens = false, clean_up_tokenization_spaces, wholeText } = this.options;
    const decoding = { skip_special_tokens, clean_up_tokenization_spaces };
    const incremental = !clean_up_tokenization_spaces && this.#tokenizer.stream_decoder;
    return incremental
      ? incremental.call(this.#tokenizer, { ...decoding, wholeText })
      : new Redecoder((ids) => this.#tokenizer.decode(ids, decoding), wholeText);
  }

  /** The new ids of each sequence. */
  #perSequence(value: TokenValues): number[][] {
    const { rows, flat } = rowsOf(value);
    if (this.#decoders.length === 0) {
      if (rows.length > 1 && !this.takesBatches()) {
        throw new InputError(
          `TextStreamer: ${rows.length} sequences, expected one; TextIteratorStreamer gives { index, text } for several`,
        );
      }
      this.sequences = rows.length;
      return rows;
    }
    const perSequence = flat && this.sequences > 1 ? rows[0].map((id) => [id]) : rows;
    if (perSequence.length !== this.sequences) {
      throw new InputError(
        `streamer: tokens of ${perSequence.length} sequences after a prompt of ${this.sequences}`,
      );
    }
    return perSequence.map((ids) => ids.filter((id) => id >= 0));
  }
}

/** A piece of the text of sequence `index` of a batch. */
export type IndexedText = { readonly index: number; readonly text: string };

export type TextIteratorStreamerOptions = TextStreamerOptions & {
  /** Seconds that a reader waits for the next piece; default: for ever */
  readonly timeout?: number | null;
  /** Pieces that may wait for a reader before `put` asks generate to wait. Default 64; without a reader it never does */
  readonly highWaterMark?: number;
};

/**
 * Text for a reader: `for await (const text of streamer)`, or `streamer.readable`. One reader; empty pieces are left out.
 *
 * Of one sequence the pieces are strings; of a batch they are `{ index, text }`, and the type is
 * `new TextIteratorStreamer<IndexedText>(…)`. A reader that stops early does not stop the generation: abort its `signal`.
 */
export class TextIteratorStreamer<Piece = string>
  extends TextStream
  implements AsyncIterable<Piece>
{
  readonly #queue: TextQueue<Piece>;

  /** @throws InputError unknown option */
  constructor(tokenizer: StreamTokenizer, options: TextIteratorStreamerOptions = {}) {
    super(tokenizer, options);
    const seconds = options.timeout ?? Infinity;
    this.#queue = new TextQueue(options.highWaterMark ?? 64, seconds * 1000, () => {
      return new EngineError(
        `TextIteratorStreamer: no text came for ${seconds} seconds; raise timeout, or see what generate rejected with`,
      );
    });
  }

  override put(value: TokenValues): void | Promise<void> {
    void super.put(value);
    return this.#queue.room();
  }

  override on_finalized_text(text: string, stream_end: boolean = false, index: number = 0): void {
    if (text !== "") this.options.callback_function?.(text);
    const piece = this.sequences > 1 ? { index, text } : text;
    if (text !== "") this.#queue.push(piece as Piece);
    if (stream_end) this.#queue.close();
  }

  /** Ends the stream with an error that the reader gets. */
  override fail(reason: unknown): void {
    super.fail(reason);
    this.#queue.fail(reason);
  }

  /** The same text as a stream, with back-pressure. */
  get readable(): ReadableStream<Piece> {
    const pieces = this[Symbol.asyncIterator]();
    return new ReadableStream<Piece>({
      pull: async (controller) => {
        const piece = await pieces.next();
        if (piece.done) controller.close();
        else controller.enqueue(piece.value);
      },
      cancel: async () => {
        await pieces.return?.();
      },
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<Piece> {
    return this.#queue.read();
  }

  protected override ownOptions(): readonly string[] {
    return ["timeout", "highWaterMark"];
  }

  protected override takesBatches(): boolean {
    return true;
  }
}

/**
 * Transformers' own rule: decode all tokens since the last line end (of the whole text: all tokens), and print what cannot change.
 * Counted in code points, as there.
 */
class Redecoder implements TokenDecoder {
  readonly #decode: (ids: number[]) => string;
  readonly #wholeText: boolean;
  #ids: number[] = [];
  #printed = 0;

  constructor(decode: (ids: number[]) => string, wholeText: boolean = false) {
    this.#decode = decode;
    this.#wholeText = wholeText;
  }

  put(ids: Iterable<number>): string {
    this.#ids.push(...ids);
    const text = [...this.#decode(this.#ids)];
    const last = text.at(-1);
    const end = last === "\n" || isChinese(last) ? text.length : text.lastIndexOf(" ") + 1;
    const printable = text.slice(this.#printed, end);
    this.#printed += printable.length;
    if (last === "\n" && !this.#wholeText) this.#restart();
    return printable.join("");
  }

  end(): string {
    const rest = this.#ids.length > 0 ? [...this.#decode(this.#ids)].slice(this.#printed) : [];
    this.#restart();
    return rest.join("");
  }

  #restart(): void {
    this.#ids = [];
    this.#printed = 0;
  }
}

/** The blocks that Transformers prints at once: CJK ideographs, but neither kana nor hangul. */
const IDEOGRAPHS =
  /^[\u{3400}-\u{4dbf}\u{4e00}-\u{9fff}\u{f900}-\u{faff}\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2f800}-\u{2fa1f}]$/u;

function isChinese(character: string | undefined): boolean {
  return character !== undefined && IDEOGRAPHS.test(character);
}

/** Rows of ids; `flat` when one row was given without an outer dimension. */
function rowsOf(value: TokenValues): { rows: number[][]; flat: boolean } {
  if (typeof value === "number") return { rows: [[value]], flat: true };
  if ("dims" in value) {
    const ids = Array.from(value.data, Number);
    if (value.dims.length === 1) return { rows: [ids], flat: true };
    const [B, S] = value.dims;
    return {
      rows: Array.from({ length: B }, (_, b) => ids.slice(b * S, (b + 1) * S)),
      flat: false,
    };
  }
  const items = Array.from(value as ArrayLike<number | bigint | ArrayLike<number | bigint>>);
  const nested = items.filter(
    (item): item is ArrayLike<number | bigint> => typeof item === "object",
  );
  if (nested.length > 0) return { rows: nested.map((row) => Array.from(row, Number)), flat: false };
  return { rows: [items.map(Number)], flat: true };
}
