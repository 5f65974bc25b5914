// Makes the help texts from the tables of commands and flags. Knows nothing of streams.

import { unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { commands } from "./commands.ts";
import type { CommandName } from "./commands.ts";
import { flags } from "./flags.ts";
import type { Flag, FlagName } from "./flags.ts";

/** The command of that name. @throws InputError there is none; the message names the nearest one */
export function commandNamed(name: string): CommandName {
  const known = Object.keys(commands) as CommandName[];
  const found = known.find((command) => command === name);
  if (found === undefined) throw new InputError(unknownName("command", name, known));
  return found;
}

/** What `mistral help` prints: the commands and a first example. */
export function generalHelp(): string {
  return [
    "mistral: runs Mistral language models on this machine; nothing is sent anywhere.",
    "",
    "Usage: mistral <command> [flags]",
    "",
    ...table(Object.entries(commands).map(([name, { summary }]) => [name, summary])),
    "",
    "  -v, --version  show the version",
    "  -h, --help     after a command: its flags, with examples",
    "",
    "Examples:",
    ...examples(["run", "chat", "doctor"].map((name) => commands[commandNamed(name)].examples[0])),
    "",
  ].join("\n");
}

/** What `mistral <command> --help` prints. */
export function commandHelp(name: CommandName): string {
  const command = commands[name];
  return [
    `mistral ${name}: ${command.summary}`,
    "",
    `Usage: mistral ${name} ${command.usage}`,
    "",
    command.description,
    "",
    "Flags:",
    ...table(command.flags.map((flag) => [flagText(flag), flags[flag].help])),
    "",
    "Examples:",
    ...examples(command.examples),
    "",
  ].join("\n");
}

function flagText(name: FlagName): string {
  const flag: Flag = flags[name];
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  return `${short}--${name}${flag.value === undefined ? "" : ` ${flag.value}`}`;
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

function examples(rows: readonly (readonly [string, string])[]): string[] {
  return rows.flatMap(([command, meaning]) => [`  ${command}`, `      ${meaning}`]);
}
