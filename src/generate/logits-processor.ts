// What a logits processor is: it changes one sequence's scores before a token is chosen. Knows none of them.

/** What a processor may look at: one sequence of the batch. */
export type ProcessorContext = {
  /** [prompt + new] prompt with the left padding of the batch, as `generate` was given it, and the tokens since */
  readonly ids: Int32Array;
  /** Left padding at the front of `ids` */
  readonly padding: number;
  /** Tokens of the prompt, left padding included */
  readonly promptLength: number;
  /** New tokens so far */
  readonly step: number;
  /** The sequence's row in the batch */
  readonly sequence: number;
};

/** Changes the scores [V] of one sequence in place, at once or when its promise resolves. Keeps nothing from one call to the next. */
export type LogitsProcessor = (
  context: ProcessorContext,
  scores: Float32Array,
) => void | Promise<void>;
