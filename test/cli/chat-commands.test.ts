// What is typed after a slash, and the file of earlier questions.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import { isChatCommand, runChatCommand } from "../../src/cli/chat-commands.ts";
import type { ChatState } from "../../src/cli/chat-commands.ts";
import { readHistory, writeHistory } from "../../src/cli/chat-history.ts";
import { InputError } from "../../src/errors.ts";
import { GenerationConfig } from "../../src/index.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mistral-chat-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const said = [
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Once\nupon" },
] as const;

function state(clear: () => void = () => {}): ChatState {
  const own = new GenerationConfig({ temperature: 0.7, top_k: 40 });
  const conversation: ChatState["conversation"] = {
    ...{ messages: said, own, system: undefined, clear: async () => clear() },
    instruct: () => {},
    restore: async () => {},
  };
  return { conversation, flags: parseArguments("chat", []).flags, seed: 5 };
}

test("a slash begins a command, but not in a text of several lines", () => {
  expect(isChatCommand("/help")).toBe(true);
  expect(isChatCommand("  /set seed 3")).toBe(true);
  expect(isChatCommand("what is 1/2?")).toBe(false);
  expect(isChatCommand("/exit\nrm -rf /")).toBe(false);
});

test("/help lists every command", async () => {
  const { show } = await runChatCommand("/help", state());
  for (const name of ["/help", "/clear", "/system", "/save", "/load", "/set", "/exit"])
    expect(show).toContain(name);
});

test.each([
  ["/hlep", 'unknown command "/hlep"; did you mean "/help"? (/help lists all)'],
  ["/constructor", 'unknown command "/constructor" (/help lists all)'],
  ["/set temprature 3", '/set: unknown setting "temprature"; did you mean "temperature"?'],
  ["/set temperature hot", '--temperature: expected a number from 0 to 1000, got "hot"'],
  ["/set temperature", "/set temperature: a value is missing"],
  ["/set greedy perhaps", "/set greedy: expected on or off"],
  ["/save", "/save needs a file name, such as /save chat.json"],
])("%s is refused", async (line, message) => {
  await expect(runChatCommand(line, state())).rejects.toThrow(new InputError(message));
});

test("/clear forgets, /exit leaves", async () => {
  let cleared = 0;
  await runChatCommand(
    "/clear",
    state(() => void cleared++),
  );
  expect(cleared).toBe(1);
  for (const line of ["/exit", "/quit", "/bye"]) {
    expect(await runChatCommand(line, state())).toMatchObject({ leave: true });
  }
});

test("/set changes settings, with either spelling; greedy and temperature exclude each other", async () => {
  const chat = state();
  await runChatCommand("/set temperature 0.5", chat);
  await runChatCommand("/set max_new_tokens 12", chat);
  await runChatCommand("/set seed 9", chat);
  expect(chat).toMatchObject({ flags: { temperature: 0.5, "max-new-tokens": 12 }, seed: 9 });
  await runChatCommand("/set repetition_penalty 1.2", chat);
  await runChatCommand("/set greedy on", chat);
  await runChatCommand("/set min-new-tokens 3", chat);
  expect(chat.flags).toMatchObject({ greedy: true, temperature: undefined });
  expect(chat.flags).toMatchObject({ "repetition-penalty": 1.2, "min-new-tokens": 3 });
  expect((await runChatCommand("/set", chat)).show).toMatch(
    /temperature +0\.7 \(the model's own\)/,
  );
  expect((await runChatCommand("/set", chat)).show).toMatch(/greedy +on\n.*seed +9/s);
});

describe("/save", () => {
  test("writes the messages to a file that only its owner can read", async () => {
    const file = join(folder, "saved.json");
    const { show } = await runChatCommand(`/save ${file}`, state());
    expect(show).toBe(`Saved 2 messages to ${file}.`);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(said);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("never writes over a file", async () => {
    const file = join(folder, "mine.txt");
    writeFileSync(file, "precious");
    await expect(runChatCommand(`/save ${file}`, state())).rejects.toThrow("it exists already");
    expect(readFileSync(file, "utf8")).toBe("precious");
  });
});

describe("/load", () => {
  const loaded = async (text: string): Promise<unknown> => {
    const file = join(folder, "load.json");
    writeFileSync(file, text);
    let messages: unknown;
    const chat = state();
    const conversation = {
      ...chat.conversation,
      restore: async (given: unknown) => void (messages = given),
    };
    await runChatCommand(`/load ${file}`, { ...chat, conversation });
    return messages;
  };

  test("reads what /save wrote, a system message too", async () => {
    const all = [{ role: "system", content: "Be brief." }, ...said];
    expect(await loaded(JSON.stringify(all))).toEqual(all);
  });

  test.each([
    ["not JSON", "[", "not JSON"],
    ["no array", "{}", "expected an array"],
    ["another role", '[{"role":"tool","content":"x"}]', "expected an array"],
    ["no text", '[{"role":"user"}]', "expected an array"],
    ["null", "[null]", "expected an array"],
  ])("%s is refused", async (_what, text, message) => {
    await expect(loaded(text)).rejects.toThrow(message);
  });

  test("a file that is not there is told", async () => {
    await expect(runChatCommand("/load nowhere.json", state())).rejects.toThrow("ENOENT");
  });
});

test("/system sets, shows and removes what the model is told", async () => {
  const told: (string | undefined)[] = [];
  const chat = state();
  const conversation = {
    ...chat.conversation,
    instruct: (content: string | undefined) => void told.push(content),
    get system() {
      return told.at(-1);
    },
  };
  const run = async (line: string): Promise<string> =>
    (await runChatCommand(line, { ...chat, conversation })).show;
  expect(await run("/system")).toBe("No system message.");
  expect(await run("/system Be brief.")).toBe("System message: Be brief.");
  expect(await run("/system off")).toBe("No system message.");
  expect(told).toEqual(["Be brief.", undefined]);
});

test("earlier questions: mode 600, also when the file was open to others; no file is no history", () => {
  const file = join(folder, "state", "chat_history");
  expect(readHistory(file)).toEqual([]);
  writeHistory(file, ["second", "several\nlines", "first"]);
  expect(readHistory(file)).toEqual(["second", "first"]);
  expect(statSync(file).mode & 0o777).toBe(0o600);

  const open = join(folder, "open");
  writeFileSync(open, "", { mode: 0o644 });
  writeHistory(open, ["x"]);
  expect(statSync(open).mode & 0o777).toBe(0o600);
});
