// Makes the help texts from the tables of commands and flags; each fits a terminal of 24 lines and 80 columns. Knows nothing of streams.

import { unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { commands } from "./commands.ts";
import type { CommandName } from "./commands.ts";
import { flagGroups, flags } from "./flags.ts";
import type { Flag, FlagGroup, FlagName } from "./flags.ts";
import { programName } from "./program-name.ts";
import { wrapped } from "./word-wrap.ts";

const columns = 80;

/** The command of that name. @throws InputError there is none; the message names the nearest one */
export function commandNamed(name: string): CommandName {
  const known = Object.keys(commands) as CommandName[];
  const found = known.find((command) => command === name);
  if (found === undefined) throw new InputError(unknownName("command", name, known));
  return found;
}

/** What `help <topic>` prints: a command, or a group of flags. @throws InputError there is none of that name */
export function topicHelp(name: string): string {
  if (Object.hasOwn(flagGroups, name)) return groupHelp(name as FlagGroup);
  const known = [...Object.keys(commands), ...Object.keys(flagGroups)];
  if (Object.hasOwn(commands, name)) return commandHelp(name as CommandName);
  throw new InputError(unknownName("command", name, known));
}

/** What `help` prints: the commands and a first example. */
export function generalHelp(): string {
  return [
    "mistral: runs Mistral language models on this machine; nothing is sent anywhere.",
    "",
    `Usage: ${programName()} <command> [flags]`,
    "",
    ...table(Object.entries(commands).map(([name, { summary }]) => [name, summary])),
    "",
    "  -v, --version  show the version",
    "  -h, --help     after a command: its flags, with examples",
    "",
    "Examples:",
    ...(["run", "chat", "doctor"] as const).flatMap((name) =>
      examples(commands[name].examples.slice(0, 1)),
    ),
    "",
  ].join("\n");
}

/** What `<command> --help` prints. */
export function commandHelp(name: CommandName): string {
  const command = commands[name];
  return [
    `mistral ${name}: ${command.summary}`,
    `Usage: ${programName()} ${name} ${command.usage}`,
    "",
    command.description,
    "",
    // Who reads this has found --help.
    ...flagTable(command.flags.filter((flag) => flag !== "help")),
    ...command.groups.flatMap((group) => named(group)),
    "",
    ...examples(command.examples),
    "",
  ].join("\n");
}

function groupHelp(group: FlagGroup): string {
  const { title, flags: names } = flagGroups[group];
  return [`${title}:`, "", ...flagTable(names), ""].join("\n");
}

/** The flags of a group by name, and where they are explained. */
function named(group: FlagGroup): string[] {
  const names = flagGroups[group].flags.map((flag) => `--${flag}`).join(" ");
  return wrapped(`${group} (see: help ${group}): ${names}`, columns - 2)
    .split("\n")
    .map((line) => `  ${line}`);
}

function flagTable(names: readonly FlagName[]): string[] {
  return table(names.map((flag) => [flagText(flag), flags[flag].help]));
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

/** Each with its meaning behind it where the line has room, else without. */
function examples(rows: readonly (readonly [string, string])[]): string[] {
  return rows.map(([command, meaning]) => {
    const line = `  ${command.replaceAll("mistral ", `${programName()} `)}`;
    const whole = `${line}   # ${meaning}`;
    return whole.length <= columns ? whole : line;
  });
}
