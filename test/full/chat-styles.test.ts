// Templates in the styles of published models against Jinja2 in bench/.venv. With MISTRAL_WRITE_STYLES the results are stored for
// test/text/chat-styles.test.ts.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TemplateError } from "../../src/errors.ts";
import { renderChatTemplate } from "../../src/text/chat-template.ts";
import { STYLE_CASES } from "../text/chat-style-templates.ts";
import { renderedByJinja } from "./jinja.ts";

test(`${STYLE_CASES.length} conversations through templates`, { timeout: 60_000 }, () => {
  const theirs = renderedByJinja([...STYLE_CASES]).map(({ text }) => text ?? null);
  const ours = STYLE_CASES.map(({ template, variables }) => {
    try {
      return renderChatTemplate(template, variables).text;
    } catch (error) {
      if (error instanceof TemplateError) return null;
      throw error;
    }
  });
  expect(ours).toEqual(theirs);
  if (process.env.MISTRAL_WRITE_STYLES === undefined) return;
  const file = join(import.meta.dirname, "../text/chat-styles.json");
  writeFileSync(file, `${JSON.stringify(theirs, null, 2)}\n`);
});
