// The chat goldens: 58 small programs, 66 conversations through each of four templates, and generation marks; text or error, exact.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { TemplateError } from "../../src/errors.ts";
import { Float, renderChatTemplate } from "../../src/text/chat-template.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type Result = { text: string } | { error: string; message: string };
type Program = {
  name: string;
  template: string;
  variables: Record<string, unknown>;
  result: Result;
};
type Message = Record<string, unknown>;
type Conversation = {
  name: string;
  messages: Message[];
  kwargs: Record<string, unknown>;
  result: Result;
};

/** JSON whose numbers written with a point or exponent become Float, as Python's json reads them. */
function readWithFloats<T>(path: string): T {
  const withFloats = (_key: string, value: unknown, { source }: { source?: string }): unknown =>
    typeof value === "number" && source !== undefined && /[.eE]/.test(source)
      ? new Float(value)
      : value;
  const parse = JSON.parse as (
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ) => T;
  return parse(readFileSync(goldenPath(path), "utf8"), withFloats);
}

type Outcome = { text: string } | { message: string };

/** The text or the error's message, without the place that syntax errors name. */
function outcome(run: () => string): Outcome {
  try {
    return { text: run() };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { message: error.message.replace(/ \(chat template, line \d+, column \d+\)$/, "") };
  }
}

const wanted = (result: Result): Outcome =>
  "text" in result ? { text: result.text } : { message: result.message };

describe("jinja.json", () => {
  const { cases } = readWithFloats<{ cases: Program[] }>("chat/jinja.json");
  test("has all programs", () => expect(cases.length).toBeGreaterThanOrEqual(58));
  test.each(cases)("$name", ({ template, variables, result }) => {
    expect(outcome(() => renderChatTemplate(template, variables).text)).toEqual(wanted(result));
  });
});

const withoutNulls = (message: Message): Message =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));

/** What Transformers' apply_chat_template does before and after the template, as far as these cases use it. */
function applied(template: string, { messages, kwargs }: Conversation): string {
  const {
    tools = null,
    documents = null,
    continue_final_message: continues = false,
    add_generation_prompt = false,
    ...more
  } = kwargs;
  const given = messages.map(withoutNulls);
  const variables = {
    messages: given,
    tools,
    documents,
    add_generation_prompt,
    bos_token: "<s>",
    eos_token: "</s>",
    unk_token: "<unk>",
    ...more,
  };
  if (continues === false) return renderChatTemplate(template, variables).text;
  const tag = "CONTINUE_FINAL_MESSAGE_TAG ";
  const last = given.at(-1);
  const content = String(last?.content);
  const marked = [...given.slice(0, -1), { ...last, content: content + tag }];
  const { text } = renderChatTemplate(template, { ...variables, messages: marked });
  const at = text.lastIndexOf(tag.trim());
  const kept = text.slice(0, at);
  return text.slice(at, at + tag.length) === tag ? kept : kept.trimEnd();
}

describe.each(["instruct-v0.1-2023", "instruct-v0.2-2023", "instruct-v0.2", "instruct-v0.3"])(
  "%s",
  (name) => {
    const template = readFileSync(goldenPath(`chat/templates/${name}.jinja`), "utf8");
    const { cases } = readWithFloats<{ cases: Conversation[] }>(`chat/${name}.json`);
    // Errors of these classes are raised by apply_chat_template around the template, not in it.
    const inTemplate = cases.filter(
      ({ result }) => !("error" in result && ["ValueError"].includes(result.error)),
    );
    test("has all conversations", () => expect(cases.length).toBeGreaterThanOrEqual(66));
    test.each(inTemplate)("$name", (conversation) => {
      expect(outcome(() => applied(template, conversation))).toEqual(wanted(conversation.result));
    });
  },
);

describe("batches.json", () => {
  type Mask = {
    kind: string;
    name: string;
    template_text: string;
    messages: Message[];
    assistant_masks: number[];
  };
  const { cases } = goldenJson<{ cases: Mask[] }>("chat/batches.json");
  const masks = cases.filter(({ kind }) => kind === "assistant_mask");
  test.each(masks)("generation ranges: $name", ({ template_text, messages, assistant_masks }) => {
    const { text, generation } = renderChatTemplate(template_text, {
      messages,
      bos_token: "<s>",
      eos_token: "</s>",
    });
    const answers = messages
      .filter(({ role }) => role !== "user")
      .map(({ content }) => `${String(content)}</s>`);
    expect(generation.map(([start, end]) => text.slice(start, end))).toEqual(answers);
    expect(assistant_masks.includes(1)).toBe(answers.length > 0);
  });
});
