// Reads command-line arguments by the table of flags: typed values, or an InputError that names the nearest known flag.
// Does not know what a flag does.

import { parseArgs } from "node:util";
import { unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { commands, flagsOf } from "./commands.ts";
import type { CommandName } from "./commands.ts";
import { flags } from "./flags.ts";
import type { Flag, FlagName } from "./flags.ts";

type Value = {
  switch: boolean;
  text: string | undefined;
  texts: readonly string[];
  integer: number | undefined;
  number: number | undefined;
};

/** The value of every flag; false, undefined or [] if it was not given. */
export type FlagValues = { readonly [Name in FlagName]: ValueOf<(typeof flags)[Name]> };
type ValueOf<F extends Flag> = F extends { readonly among: readonly (infer Word)[] }
  ? Word | undefined
  : Value[F["type"]];

export type Arguments = { readonly flags: FlagValues; readonly words: readonly string[] };

/**
 * The flags and words of one command.
 * @throws InputError a flag that the command does not have; a value that is missing, out of range or not expected; too many words
 */
export function parseArguments(name: CommandName, argv: readonly string[]): Arguments {
  const command = commands[name];
  const known = flagsOf(name);
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      known.map((flag) => [
        flag,
        { type: takesValue(flags[flag]) ? "string" : "boolean", ...short(flags[flag]) },
      ]),
    ),
  });
  const given = new Map<string, string[]>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const flag = known.find((each) => each === token.name);
    if (flag === undefined) throw new InputError(`${name}: ${unknownFlag(name, token.rawName)}`);
    given.set(flag, [
      ...(given.get(flag) ?? []),
      checkedText(flag, token.value, token.inlineValue),
    ]);
  }
  if (words.length > command.positionals) {
    throw new InputError(
      `${name}: unexpected ${JSON.stringify(words[command.positionals])}; expected ${name} ${command.usage}`,
    );
  }
  const values = Object.entries(flags).map(([flag, spec]) => [
    flag,
    read(flag, spec, given.get(flag)),
  ]);
  return { flags: Object.fromEntries(values) as FlagValues, words };
}

const takesValue = (flag: Flag): boolean => flag.type !== "switch";
const short = (flag: Flag): { short?: string } =>
  flag.short === undefined ? {} : { short: flag.short };

function unknownFlag(name: CommandName, raw: string): string {
  const known = flagsOf(name).map((flag) => `--${flag}`);
  return unknownName("flag", raw, raw.startsWith("--") ? known : []);
}

function checkedText(
  flag: FlagName,
  value: string | undefined,
  inline: boolean | undefined,
): string {
  if (!takesValue(flags[flag])) {
    if (value !== undefined)
      throw new InputError(`--${flag}: takes no value, got ${JSON.stringify(value)}`);
    return "";
  }
  if (value === undefined || value === "" || (inline !== true && value.startsWith("--"))) {
    throw new InputError(`--${flag}: a value is missing; write --${flag}=<value>`);
  }
  return value;
}

function read(name: string, flag: Flag, texts: readonly string[] | undefined): Value[Flag["type"]] {
  const text = texts?.at(-1);
  if (flag.type === "switch") return text !== undefined;
  if (flag.type === "texts") return texts ?? [];
  if (text === undefined) return undefined;
  if (flag.type === "text") return among(name, flag, text);
  const [from, to] = flag.range ?? [-Infinity, Infinity];
  const number = text.trim() === "" ? Number.NaN : Number(text);
  const isRight = flag.type === "integer" ? Number.isInteger(number) : Number.isFinite(number);
  if (isRight && number >= from && number <= to) return number;
  const kind = flag.type === "integer" ? "a whole number" : "a number";
  throw new InputError(
    `--${name}: expected ${kind} from ${from} to ${to}, got ${JSON.stringify(text)}`,
  );
}

/** Names that others give to methods of quantisation. */
const sameMethod: Readonly<Record<string, string>> = {
  ...{ int4: "q4", "4bit": "q4", "4": "q4", q4_0: "q4", q4_k_m: "q4" },
  ...{ "8bit": "q8", "8": "q8", q8_0: "q8" },
};

/** What to say of a value that a flag does not have: `unknown value "int4"; did you mean "q4"? Expected nf4, …`. */
export function unknownValue(text: string, known: readonly string[]): string {
  const expected = known.join(", ");
  const same = sameMethod[text.toLowerCase()];
  const method = flags.quantization.among.find((one) => one === (same ?? text.toLowerCase()));
  if (method !== undefined && !known.includes(method)) {
    const what = /4/.test(method) ? "for 4 bits" : "for 8 bits";
    return `unknown value ${JSON.stringify(text)}; ${what}: --quantization ${method}; expected ${expected}`;
  }
  if (method !== undefined) {
    return `unknown value ${JSON.stringify(text)}; did you mean ${JSON.stringify(method)}? Expected ${expected}`;
  }
  const said = unknownName("value", text, known);
  return said.endsWith("?") ? `${said} Expected ${expected}` : `${said}; expected ${expected}`;
}

function among(name: string, flag: Flag, text: string): string {
  if (flag.among === undefined || flag.among.includes(text)) return text;
  throw new InputError(`--${name}: ${unknownValue(text, flag.among)}`);
}
