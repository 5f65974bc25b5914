// The five error classes. Every message says what was being done, what came, what was expected and the remedy.
// Imported from everywhere; knows nothing. An aborted call rejects with the `reason` of its signal, as platform functions do.

/** An argument of the caller is wrong: unknown option, shape, range, type. Nothing has been changed. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** A file of a model (weights, config, tokenizer) is missing, malformed or contradicts another one. Nothing has been allocated. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}

/** Something does not fit into memory; the message holds the arithmetic. Nothing has been allocated. */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
}

/** The engine failed: a kernel trapped, a worker died, numbers became non-finite. The next call works. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}

/** A chat template is wrong, raised an exception of its own, or went over its budget. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}
