// When a sequence ends: length, end-of-sequence tokens, stop strings, time, the caller's own criteria. Checked after every new token.
// Stop strings follow HF's StopStringCriteria (Transformers 5.23): bytes of the tokens, prompt included; a stop string counts when it ends
// anywhere inside the last token, whatever follows it there. Each check costs the last token and one stop string's length.
// Knows no tokenizer: only the bytes that a token stands for.

import { InputError } from "../errors.ts";

/** Why a sequence ended; `criteria`: a criterion of the caller's; `abort`: the caller aborted the call. */
export type StopReason = "eos" | "stop_string" | "length" | "time" | "criteria" | "abort";

/** The caller's own criterion: whether the sequence, prompt included (with its left padding), ends here. */
export type StoppingCriterion = (ids: Int32Array, sequence: number) => boolean;

/** The bytes that a token adds to the text, or undefined for an id that adds none: no stop string matches across it. */
export type TokenBytes = (id: number) => Uint8Array | undefined;

/** The fields of a generation config that end a sequence. Absent, null or empty: off. */
export type StoppingFields = {
  readonly eos_token_id: number | readonly number[] | null;
  readonly max_length?: number | null;
  readonly max_new_tokens?: number | null;
  readonly stop_strings?: string | readonly string[] | null;
  readonly max_time?: number | null;
};

export type StoppingSetting = {
  /** Columns of the prompts, left padding included */
  readonly promptLength: number;
  /** Needed when there are stop strings */
  readonly bytesOf?: TokenBytes;
  readonly stopping_criteria?: readonly StoppingCriterion[];
  /** Milliseconds; default `performance.now` */
  readonly now?: () => number;
};

/** Looks at one sequence of a call; keeps what it needs of the text so far. */
export type SequenceStop = {
  /** @param ids prompt and new tokens; the last one is new. To be called once for every new token */
  check(ids: Int32Array): StopReason | undefined;
};

/** The stopping criteria of one `generate` call. */
export class Stopping {
  /** The most tokens that a sequence may have, prompt included. */
  readonly maxLength: number;
  readonly #eos: ReadonlySet<number>;
  readonly #stopStrings: StopStrings | undefined;
  readonly #criteria: readonly StoppingCriterion[];
  readonly #deadline: number;
  readonly #now: () => number;

  /** `max_time` counts from here. @throws InputError for a value out of its range */
  constructor(config: StoppingFields, setting: StoppingSetting) {
    this.#now = setting.now ?? (() => performance.now());
    this.maxLength = lengthLimit(config, setting.promptLength);
    const eos = config.eos_token_id ?? [];
    this.#eos = new Set(typeof eos === "number" ? [eos] : eos);
    this.#criteria = setting.stopping_criteria ?? [];
    this.#deadline = Infinity;
    if (typeof config.max_time === "number") {
      if (!(config.max_time >= 0)) {
        throw new InputError(`max_time: expected seconds ≥ 0, got ${config.max_time}`);
      }
      this.#deadline = this.#now() + config.max_time * 1000;
    }
    const strings = config.stop_strings ?? [];
    if (typeof strings === "string" || strings.length > 0) {
      if (setting.bytesOf === undefined) {
        throw new InputError("stop_strings: pass the model's tokenizer as `tokenizer` to generate");
      }
      this.#stopStrings = new StopStrings(strings, setting.bytesOf);
    }
  }

  /** @param prompt the ids that `generate` was given, left padding included */
  start(sequence: number, prompt: Int32Array): SequenceStop {
    const matcher = this.#stopStrings?.matcher(prompt);
    return {
      check: (ids) => {
        const last = ids[ids.length - 1];
        const stringEnds = matcher?.push(last) ?? false;
        if (this.#eos.has(last)) return "eos";
        if (stringEnds) return "stop_string";
        if (ids.length >= this.maxLength) return "length";
        if (this.#now() > this.#deadline) return "time";
        if (this.#criteria.some((ends) => ends(ids, sequence))) return "criteria";
        return undefined;
      },
    };
  }
}

/** Stop strings as bytes, to be matched against the bytes of tokens. */
export class StopStrings {
  readonly #strings: readonly Uint8Array[];
  readonly #bytesOf: TokenBytes;
  readonly #longest: number;

  /** @throws InputError when there is none, or an empty one */
  constructor(strings: string | readonly string[], bytesOf: TokenBytes) {
    const list = typeof strings === "string" ? [strings] : strings;
    if (list.length === 0 || list.some((string) => string === "")) {
      throw new InputError(
        `stop_strings: expected one or more non-empty strings, got ${JSON.stringify(strings)}`,
      );
    }
    const encoder = new TextEncoder();
    this.#strings = list.map((string) => encoder.encode(string));
    this.#longest = Math.max(...this.#strings.map((string) => string.length));
    this.#bytesOf = bytesOf;
  }

  /** A matcher that has seen `prompt`. */
  matcher(prompt: Int32Array): { push(id: number): boolean } {
    let tail: Uint8Array = new Uint8Array();
    const push = (id: number): boolean => {
      const bytes = this.#bytesOf(id);
      if (bytes === undefined) {
        tail = new Uint8Array();
        return false;
      }
      const text = new Uint8Array(tail.length + bytes.length);
      text.set(tail);
      text.set(bytes, tail.length);
      const ends = this.#strings.some((string) => endsAfter(text, string, tail.length));
      tail = text.subarray(Math.max(0, text.length - this.#longest + 1));
      return ends;
    };
    // A token has a byte or more, but for a few: tokens further back than the longest string cannot matter.
    for (const id of prompt.subarray(Math.max(0, prompt.length - this.#longest))) push(id);
    return { push };
  }
}

/** Whether `string` occurs in `text` with its last byte at `from` or later. */
function endsAfter(text: Uint8Array, string: Uint8Array, from: number): boolean {
  for (
    let start = Math.max(0, from - string.length + 1);
    start + string.length <= text.length;
    start++
  ) {
    if (string.every((byte, i) => text[start + i] === byte)) return true;
  }
  return false;
}

function lengthLimit({ max_length, max_new_tokens }: StoppingFields, promptLength: number): number {
  if (typeof max_new_tokens === "number") {
    if (!Number.isInteger(max_new_tokens) || max_new_tokens <= 0) {
      throw new InputError(`max_new_tokens: expected an integer > 0, got ${max_new_tokens}`);
    }
    return promptLength + max_new_tokens;
  }
  if (typeof max_length !== "number") return Infinity;
  if (!(max_length > promptLength)) {
    throw new InputError(
      `max_length: ${max_length} leaves no room after a prompt of ${promptLength} tokens; raise it, or set max_new_tokens`,
    );
  }
  return max_length;
}
