// Lines become messages: one each, or several between two """.

import { expect, test } from "vitest";
import { MessageLines } from "../../src/cli/message-lines.ts";

function messages(...lines: string[]): (string | undefined)[] {
  const texts = new MessageLines();
  return [...lines.map((line) => texts.put(line)), texts.end()].filter(
    (text) => text !== undefined,
  );
}

test.each([
  ["each line is a message, empty ones are none", ["a", "", "  ", "b"], ["a", "b"]],
  ["several lines", ['"""', "a", "", " b", '"""', "c"], ["a\n\n b", "c"]],
  ["text beside the marks", ['"""a', 'b"""'], ["a\nb"]],
  ["in one line", ['"""a"""', "b"], ["a", "b"]],
  ["an empty text is no message", ['"""', '"""', '""" """'], []],
  ["the end of the lines ends it", ['"""', "a", "b"], ["a\nb"]],
  ["a mark within a line is text", ['say """ twice'], ['say """ twice']],
  ["commands within are text", ['"""', "/exit", '"""'], ["/exit"]],
])("%s", (_what, lines, expected) => {
  expect(messages(...lines)).toEqual(expected);
});

test("it tells whether a text has begun, and can drop it", () => {
  const texts = new MessageLines();
  texts.put('"""a');
  expect(texts.isOpen).toBe(true);
  texts.end();
  expect(texts.isOpen).toBe(false);
  expect(texts.put("b")).toBe("b");
});
