// The line below an error: what to do next, by the kind of error, the command and the flags. Messages name their own remedy where one is
// known there; this line says where to look. Does not know what a command does.

import { CheckpointError, EngineError, InputError, MemoryError, TemplateError } from "../errors.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandName } from "./commands.ts";
import { programName } from "./program-name.ts";

/** @param command undefined: the error is in its name. @param args undefined: the error is in its flags */
export function nextStep(
  error: unknown,
  command: CommandName | undefined,
  args: Arguments | undefined,
): string {
  const mistral = programName();
  if (error instanceof InputError) {
    return command === undefined || command === "help"
      ? `see: ${mistral} help`
      : `see: ${mistral} ${command} --help`;
  }
  if (isNetworkFailure(error)) {
    return "check the network; behind a proxy set HTTPS_PROXY, for another hub HF_ENDPOINT";
  }
  if (error instanceof CheckpointError) return checkpointStep(mistral, command, args);
  if (error instanceof MemoryError) {
    return args?.flags.quantization === undefined && command !== "quantize"
      ? `a smaller form of the model: --quantization q4; what this machine has: ${mistral} doctor`
      : `what this machine has: ${mistral} doctor`;
  }
  if (error instanceof TemplateError) {
    return command === "chat"
      ? "the model's chat template refused the conversation: /clear begins anew"
      : "--continue uses no chat template: it continues the prompt's text";
  }
  if (error instanceof EngineError) {
    return `try again; if it stays, try --device reference, and report it with: ${mistral} doctor --json`;
  }
  if (systemCode(error) !== undefined) {
    return "the system refused it: look at the disk, the rights and the limits of this machine";
  }
  return "this is a fault of mistral: run it again with MISTRAL_DEBUG=1 and report what it prints";
}

function checkpointStep(
  mistral: string,
  command: CommandName | undefined,
  args: Arguments | undefined,
): string {
  if (command === "pull") return "when that is mended, give the same command again";
  if (command === "ls" || command === "rm" || command === "verify")
    return `what the cache holds: ${mistral} ls`;
  // The words of `run` are a prompt, and the first one of `eval` says what is measured.
  const place = command === "run" ? undefined : command === "eval" ? 1 : 0;
  const model = (place === undefined ? undefined : args?.words.at(place)) ?? args?.flags.model;
  const named = [model, args?.flags.reference].flatMap((name) =>
    name === undefined ? [] : [JSON.stringify(name)],
  );
  if (named.length === 0) {
    return "the embedded model is damaged: install the package again, or name a model with --model";
  }
  return command === "quantize"
    ? `nothing was written; check ${named.join(" and ")}, and the disk of the new folder`
    : `check ${named.join(" and ")}; without a model the embedded one is used`;
}

/** Whether no connection could be made, as the innermost cause says. */
function isNetworkFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const codes = ["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH"];
  const known = [...codes, "ETIMEDOUT", "ERR_PROXY_TUNNEL"];
  if ("code" in error && known.includes(String(error.code))) return true;
  if (error instanceof AggregateError && error.errors.some(isNetworkFailure)) return true;
  return isNetworkFailure(error.cause);
}

/** Such as "ENOSPC", of an error that the operating system gave. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "syscall" in error && "code" in error
    ? String(error.code)
    : undefined;
}
