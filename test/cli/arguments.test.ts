// Flags: typed values, or a message that says which flag was meant.

import { expect, test } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import { commands, flagsOf } from "../../src/cli/commands.ts";
import type { CommandName } from "../../src/cli/commands.ts";
import { flagGroups, flags } from "../../src/cli/flags.ts";
import { commandHelp, commandNamed, generalHelp, topicHelp } from "../../src/cli/help.ts";
import { asItIs } from "../../src/cli/eval.ts";
import { programName } from "../../src/cli/program-name.ts";
import { InputError } from "../../src/errors.ts";

test("values are typed, short names work, words stay", () => {
  const { flags: given, words } = parseArguments("run", [
    "Once",
    "upon",
    "--seed=7",
    "-t",
    "0.5",
    "--top-k",
    "40",
    "--stop",
    "End",
    "--stop=--",
    "-q",
    "--",
    "--seed",
  ]);
  expect(words).toEqual(["Once", "upon", "--seed"]);
  expect(given).toMatchObject({
    seed: 7,
    temperature: 0.5,
    "top-k": 40,
    stop: ["End", "--"],
    quiet: true,
  });
  expect(given).toMatchObject({ model: undefined, greedy: false, json: false, "top-p": undefined });
});

test("the last one given counts; what begins with one hyphen is a value", () => {
  expect(parseArguments("run", ["--seed", "1", "--seed", "2"]).flags.seed).toBe(2);
  expect(parseArguments("run", ["--stop", "-x"]).flags.stop).toEqual(["-x"]);
});

test.each([
  ["run", ["--sed", "3"], 'run: unknown flag "--sed"; did you mean "--seed"?'],
  [
    "run",
    ["--max_new_tokens", "3"],
    'run: unknown flag "--max_new_tokens"; did you mean "--max-new-tokens"?',
  ],
  ["run", ["-z"], 'run: unknown flag "-z"'],
  ["chat", ["--json"], 'chat: unknown flag "--json"'],
  ["run", ["--seed", "1.5"], '--seed: expected a whole number from 0 to 2147483647, got "1.5"'],
  ["run", ["--seed="], "--seed: a value is missing; write --seed=<value>"],
  ["run", ["--seed= "], '--seed: expected a whole number from 0 to 2147483647, got " "'],
  ["run", ["--seed", "-1"], '--seed: expected a whole number from 0 to 2147483647, got "-1"'],
  ["run", ["--top-p", "2"], '--top-p: expected a number from 0 to 1, got "2"'],
  ["run", ["-n", "0"], '--max-new-tokens: expected a whole number from 1 to 2147483647, got "0"'],
  ["run", ["--stop="], "--stop: a value is missing; write --stop=<value>"],
  ["run", ["--temperature", "hot"], '--temperature: expected a number from 0 to 1000, got "hot"'],
  [
    "run",
    ["--temperature", "Infinity"],
    '--temperature: expected a number from 0 to 1000, got "Infinity"',
  ],
  ["run", ["--seed", "--json"], "--seed: a value is missing; write --seed=<value>"],
  ["run", ["--model"], "--model: a value is missing; write --model=<value>"],
  ["run", ["--greedy=yes"], '--greedy: takes no value, got "yes"'],
  ["run", ["--device", "cuda"], '--device: unknown value "cuda"; expected cpu, reference'],
  [
    "run",
    ["--attn", "eagre"],
    '--attn: unknown value "eagre"; did you mean "eager"? Expected flash_attention_2, sdpa, eager',
  ],
  [
    "run",
    ["--quantization", "int4"],
    '--quantization: unknown value "int4"; did you mean "q4"? Expected nf4, nf4-dq, fp4, fp4-dq, int8, q4, q8',
  ],
  [
    "run",
    ["--dtype", "q4"],
    '--dtype: unknown value "q4"; for 4 bits: --quantization q4; expected auto, float32, bfloat16, float16',
  ],
  ["doctor", ["now"], 'doctor: unexpected "now"; expected doctor [flags]'],
  ["chat", ["a", "b"], 'chat: unexpected "b"; expected chat [model] [flags]'],
] as [CommandName, string[], string][])("%s %j is refused", (command, argv, message) => {
  expect(() => parseArguments(command, argv)).toThrow(new InputError(message));
});

test("an unknown command names the nearest", () => {
  expect(() => commandNamed("chta")).toThrow(
    new InputError('unknown command "chta"; did you mean "chat"?'),
  );
  expect(() => commandNamed("constructor")).toThrow(InputError);
});

test("help shows every command and every flag that a command takes, with examples that parse", () => {
  for (const name of Object.keys(commands) as CommandName[]) {
    expect(generalHelp()).toContain(`  ${name} `);
    const help = commandHelp(name);
    for (const flag of flagsOf(name).filter((each) => each !== "help"))
      expect(help).toContain(`--${flag}`);
    for (const [example] of commands[name].examples) {
      const [, argv = ""] = example.split(`mistral ${name}`);
      const words = argv.split("|")[0].match(/"[^"]*"|\S+/g) ?? [];
      expect(parseArguments(name, words).words.length).toBeLessThanOrEqual(
        commands[name].positionals,
      );
    }
  }
});

test("a group of flags is a topic of help, with every flag", () => {
  for (const [group, { flags: names }] of Object.entries(flagGroups)) {
    for (const flag of names) expect(topicHelp(group)).toContain(`--${flag} `.trimEnd());
  }
  expect(topicHelp("chat")).toBe(commandHelp("chat"));
  expect(() => topicHelp("samplin")).toThrow('did you mean "sampling"?');
});

test("every flag belongs to a command, short names are unique", () => {
  const used = new Set((Object.keys(commands) as CommandName[]).flatMap(flagsOf));
  expect([...used].toSorted()).toEqual(Object.keys(flags).toSorted());
  const shorts = Object.values(flags).flatMap((flag) => ("short" in flag ? [flag.short] : []));
  expect(new Set(shorts).size).toBe(shorts.length);
});

test("every help fits a terminal of 24 lines and 80 columns, the prompt after it included", () => {
  const texts = [...Object.keys(commands), ...Object.keys(flagGroups)].map(topicHelp);
  for (const text of [...texts, generalHelp()]) {
    const lines = text.split("\n");
    expect(lines.length, text).toBeLessThanOrEqual(24);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  }
});

test("how to start the program again: never by a bare `npx mistral`", () => {
  const name = (env: NodeJS.ProcessEnv, script: string): string =>
    programName({ env, argv: ["node", script] });
  const script = { npm_lifecycle_event: "mistral", npm_command: "run-script" };
  expect(name({ npm_command: "exec" }, "/a/node_modules/.bin/mistral")).toBe(
    "npx @mistral-ts/mistral",
  );
  expect(name({}, "/usr/bin/mistral")).toBe("mistral");
  expect(name({}, "/a/dist/cli.js")).toBe("npx @mistral-ts/mistral");
  expect(name({ ...script, npm_package_name: "@mistral-ts/mistral" }, "/a/src/cli.ts")).toBe(
    "npm run --silent mistral --",
  );
  expect(name({ ...script, npm_package_name: "theirs" }, "/a/cli.js")).toBe(
    "npx @mistral-ts/mistral",
  );
});

test("eval's reference is loaded as it is stored; a revision is that of the model it was given for", () => {
  const asked = ["kl", "a/b", "--revision", "v2", "--dtype", "float16", "--threads", "2"];
  const same = asItIs(parseArguments("eval", asked).flags);
  expect(same).toMatchObject({ revision: "v2", dtype: undefined, threads: 2 });
  const other = asItIs(parseArguments("eval", [...asked, "--reference", "c/d"]).flags);
  expect(other).toMatchObject({ revision: undefined, reference: "c/d", threads: 2 });
});
