// Errors as plain data, so that class, message and stack survive the way from the engine worker to the caller's thread.

import { CheckpointError, EngineError, InputError, MemoryError, TemplateError } from "../errors.ts";
import type { ErrorData } from "./messages.ts";

const classes = { CheckpointError, EngineError, InputError, MemoryError, TemplateError } as const;

export function errorData(error: unknown): ErrorData {
  if (!(error instanceof Error)) return { name: "EngineError", message: String(error) };
  return { name: error.name, message: error.message, stack: error.stack };
}

/** The error that the data came from. One of a class that is not ours is a fault of the engine: an EngineError. */
export function errorFrom({ name, message, stack }: ErrorData): Error {
  const known = Object.hasOwn(classes, name) ? classes[name as keyof typeof classes] : undefined;
  const error = known
    ? new known(message)
    : new EngineError(`the engine failed: ${name}: ${message}`);
  if (stack !== undefined) error.stack = stack;
  return error;
}
