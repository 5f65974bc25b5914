// What mistral-common refuses, by the name of its exception. All are InputErrors here: the caller's conversation is wrong, and nothing
// has been changed. Knows no rules.

import { InputError } from "../../errors.ts";

/** The names of mistral-common's exceptions; ValidationError is that of its data classes: a field is missing or of a wrong type. */
export type RefusalKind =
  | "InvalidAssistantMessageException"
  | "InvalidFunctionCallException"
  | "InvalidMessageStructureException"
  | "InvalidRequestException"
  | "InvalidSystemPromptException"
  | "InvalidToolException"
  | "InvalidToolMessageException"
  | "InvalidToolSchemaException"
  | "InvalidUserMessageException"
  | "TokenizerException"
  | "UnsupportedTokenizerFeatureException"
  | "ValidationError"
  | "ValueError";

/** An error that says what was being done, what is wrong, and under which name mistral-common reports it. */
export function refusal(where: string, kind: RefusalKind, message: string): InputError {
  return new InputError(`${where}: ${message} (mistral-common: ${kind})`);
}
