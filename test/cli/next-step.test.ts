// The line below an error fits the error, the command and the flags.

import { expect, test } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import type { CommandName } from "../../src/cli/commands.ts";
import { nextStep } from "../../src/cli/next-step.ts";
import {
  CheckpointError,
  EngineError,
  InputError,
  MemoryError,
  TemplateError,
} from "../../src/errors.ts";

const step = (error: unknown, command?: CommandName, argv?: string[]): string =>
  nextStep(
    error,
    command,
    command === undefined || argv === undefined ? undefined : parseArguments(command, argv),
  );

const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
  ...{ syscall: "write", code: "ENOSPC" },
});

const unknownHost = new CheckpointError("x", {
  cause: new TypeError("fetch failed", {
    cause: Object.assign(new Error("y"), { code: "ENOTFOUND" }),
  }),
});
const refused = new CheckpointError("x", {
  cause: new AggregateError([Object.assign(new Error("y"), { code: "ECONNREFUSED" })]),
});

test.each([
  [unknownHost, "pull", ["a/b"], /^check the network; behind a proxy set HTTPS_PROXY/],
  [refused, "run", ["-m", "a/b", "Hi"], /^check the network; .*HF_ENDPOINT/],
  [new InputError("x"), undefined, undefined, / help$/],
  [new InputError("x"), "run", undefined, / run --help$/],
  [new CheckpointError("x"), "run", ["-m", "a b", "Hi"], /^check "a b"/],
  [new CheckpointError("x"), "chat", ["./7B"], /^check ".\/7B"/],
  [new CheckpointError("x"), "run", ["Hi"], /^the embedded model is damaged/],
  [new CheckpointError("x"), "eval", ["ppl", "./7B"], /^check ".\/7B"/],
  [new CheckpointError("x"), "eval", ["kl", "--reference", "./7B"], /^check ".\/7B"/],
  [new CheckpointError("x"), "eval", ["kl", "a", "--reference", "b"], /^check "a" and "b"/],
  [new CheckpointError("x"), "pull", ["a/b"], /^when that is mended, give the same command again/],
  [new CheckpointError("x"), "verify", ["a/b"], / ls$/],
  [new CheckpointError("x"), "quantize", ["./7B"], /^nothing was written; check ".\/7B"/],
  [new MemoryError("x"), "run", ["-m", "7B"], /--quantization q4/],
  [new MemoryError("x"), "run", ["-m", "7B", "--quantization", "q4"], /^what this machine has/],
  [new TemplateError("x"), "run", ["Hi"], /^--continue/],
  [new TemplateError("x"), "chat", [], /\/clear/],
  [new EngineError("x"), "run", ["Hi"], /--device reference/],
  [full, "quantize", ["7B"], /^the system refused it/],
  [new TypeError("x"), "run", ["Hi"], /^this is a fault of mistral/],
] as [unknown, CommandName | undefined, string[] | undefined, RegExp][])(
  "%s of %s %j",
  (error, command, argv, expected) => {
    expect(step(error, command, argv)).toMatch(expected);
    expect(step(error, command, argv)).not.toMatch(/npx mistral\b/);
  },
);
