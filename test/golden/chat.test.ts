// Conversations of goldens/chat through apply_chat_template: text, ids, errors, batches and masks of assistant tokens.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import type {
  ChatMessage,
  ChatTemplateOptions,
} from "../../src/api/tokenizer/apply-chat-template.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";
import { parseWithFloats } from "../json-with-floats.ts";

type Case = {
  name: string;
  messages: ChatMessage[];
  kwargs: ChatTemplateOptions;
  result: { text?: string; ids?: number[]; error?: string; message?: string };
};

const readWithFloats = <T>(path: string): T =>
  parseWithFloats<T>(readFileSync(goldenPath(path), "utf8"));

const template = (name: string): string =>
  readFileSync(goldenPath(`chat/templates/${name}.jinja`), "utf8");

const names = ["instruct-v0.1-2023", "instruct-v0.2-2023", "instruct-v0.2", "instruct-v0.3"];

describe.each(names)("%s", (name) => {
  const { tokenizer: folder, cases } = readWithFloats<{ tokenizer: string; cases: Case[] }>(
    `chat/${name}.json`,
  );
  const loaded = AutoTokenizer.from_pretrained(goldenPath(`tokenizers/${folder}`));

  test(`${cases.length} conversations`, async () => {
    const t = await loaded;
    const chat_template = template(name);
    expect(cases).toHaveLength(66);
    const results = cases.map(({ name: title, messages, kwargs }) => {
      const options = { ...kwargs, chat_template };
      try {
        const text = t.apply_chat_template(messages, { ...options, tokenize: false });
        const ids = t.apply_chat_template(messages, { ...options, return_dict: false });
        const { input_ids } = t.apply_chat_template(messages, {
          ...options,
          tokenize: true,
          return_dict: true,
        });
        expect(input_ids).toEqual(ids);
        return { title, text, ids };
      } catch (error) {
        return { title, error: (error as Error).name, message: (error as Error).message };
      }
    });
    expect(results).toEqual(
      cases.map(({ name: title, result }) => ({
        title,
        ...(result.error ? refusal(result) : result),
      })),
    );
  });
});

/** Wrong use is an InputError; what the template or its language refuses, a TemplateError with a raised text as it is. */
function refusal({ error, message = "" }: Case["result"]): object {
  return {
    error: error === "ValueError" ? "InputError" : "TemplateError",
    message: expect.stringContaining(error === "TemplateError" ? message : ""),
  };
}

type Batch = {
  kind: "batch" | "batch_truncated" | "assistant_mask";
  template?: string;
  template_text?: string;
  padding_side?: "left" | "right";
  max_length?: number;
  messages: ChatMessage[] | ChatMessage[][];
  input_ids: number[] | number[][];
  attention_mask?: number[][];
  assistant_masks?: number[];
};

test("batches: padding, truncation, masks of assistant tokens", async () => {
  const t = await AutoTokenizer.from_pretrained(goldenPath("tokenizers/mistral-v1"), {
    pad_token: "<unk>",
  });
  const { cases } = goldenJson<{ cases: Batch[] }>("chat/batches.json");
  expect(cases.map(({ kind }) => kind)).toContain("assistant_mask");
  for (const c of cases) {
    t.padding_side = c.padding_side ?? "right";
    const chat_template = c.template_text ?? template(c.template ?? "");
    const options: Record<Batch["kind"], ChatTemplateOptions> = {
      batch: { padding: true },
      batch_truncated: { padding: "max_length", max_length: c.max_length, truncation: true },
      assistant_mask: { return_assistant_tokens_mask: true },
    };
    const out = t.apply_chat_template(c.messages, {
      ...options[c.kind],
      chat_template,
      tokenize: true,
      return_dict: true,
    });
    const { attention_mask, assistant_masks } = c;
    expect({ ...out }).toMatchObject({
      input_ids: c.input_ids,
      ...(attention_mask && { attention_mask }),
      ...(assistant_masks && { assistant_masks }),
    });
  }
});
