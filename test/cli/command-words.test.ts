// Messages of the library as the command tells them.

import { expect, test } from "vitest";
import { inCommandWords } from "../../src/cli/command-words.ts";

test.each([
  ["model: huggingface.co has no model", "chat", "chat: huggingface.co has no model"],
  ["verifyCachedModel: a/b is not in the cache", "verify", "verify: a/b is not in the cache"],
  ["removeCachedModel: a/b is not there", "rm", "rm: a/b is not there"],
  ["quantize: q4 exists already; give another name, or force", "quantize", /, or --force$/],
  ["quantization_config changes nothing for weights", "run", /^--quantization changes/],
  ["out.json: model: is kept within a message", "run", "out.json: model: is kept within a message"],
] as const)("%s", (message, command, expected) => {
  expect(inCommandWords(message, command)).toMatch(
    typeof expected === "string" ? new RegExp(`^${expected}$`) : expected,
  );
});
