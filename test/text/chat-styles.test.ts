// Templates in the styles of published models: texts as Jinja2 gave them (chat-styles.json, written by test/full/chat-styles.test.ts;
// null: an error).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TemplateError } from "../../src/errors.ts";
import { renderChatTemplate } from "../../src/text/chat-template.ts";
import { STYLE_CASES } from "./chat-style-templates.ts";

const stored = JSON.parse(readFileSync(join(import.meta.dirname, "chat-styles.json"), "utf8")) as (
  | string
  | null
)[];

test("there is a result for each", () => {
  expect(stored).toHaveLength(STYLE_CASES.length);
  expect(stored.filter((text) => text !== null).length).toBeGreaterThanOrEqual(200);
});

test.each(STYLE_CASES.map((one, i) => ({ ...one, wanted: stored[i] })))(
  "$style: $conversation",
  ({ template, variables, wanted }) => {
    const render = (): string => renderChatTemplate(template, variables).text;
    if (wanted === null) expect(render).toThrow(TemplateError);
    else expect(render()).toBe(wanted);
  },
);
