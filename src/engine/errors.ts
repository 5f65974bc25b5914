// Errors across a thread's border: class, message and stack survive.

import { CheckpointError, EngineError, InputError, MemoryError, TemplateError } from "../errors.ts";
import type { ErrorData } from "./messages.ts";

const classes = { CheckpointError, EngineError, InputError, MemoryError, TemplateError } as const;

export function errorData(error: unknown): ErrorData {
  if (!(error instanceof Error)) return { name: "EngineError", message: String(error) };
  return { name: error.name, message: error.message, stack: error.stack };
}

/** The error again; one that is none of ours is an EngineError, since the engine should not have thrown it. */
export function errorFrom({ name, message, stack }: ErrorData): Error {
  const known = Object.hasOwn(classes, name) ? classes[name as keyof typeof classes] : undefined;
  const error = known
    ? new known(message)
    : new EngineError(`the engine failed: ${name}: ${message}`);
  if (stack !== undefined) error.stack = stack;
  return error;
}
