// Messages of the library as the command tells them.

import { expect, test } from "vitest";
import { inCommandWords } from "../../src/cli/command-words.ts";

test.each([
  ["model: huggingface.co has no model", "chat", "chat: huggingface.co has no model"],
  ["verifyCachedModel: a/b is not in the cache", "verify", "verify: a/b is not in the cache"],
  ["removeCachedModel: a/b is not there", "rm", "rm: a/b is not there"],
  ["out.json: model: is kept within a message", "run", "out.json: model: is kept within a message"],
] as const)("%s", (message, command, expected) => {
  expect(inCommandWords(message, command)).toBe(expected);
});
