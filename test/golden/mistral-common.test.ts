// Conversations of goldens/chat/mistral-common.json: ids, text and refusals of mistral-common itself, in v1 and v3.

import { describe, expect, test } from "vitest";
import { MistralCommonBackend } from "../../src/api/tokenizer/mistral-common-backend.ts";
import { InputError } from "../../src/errors.ts";
import { goldenPath, readGolden } from "../golden-files.ts";
import { parseWithFloats } from "../json-with-floats.ts";

type Case = {
  version: "v1" | "v3";
  name: string;
  messages: object[];
  tools: object[];
  result: { ids?: number[]; text?: string; error?: string };
};

const { cases } = parseWithFloats<{ cases: Case[] }>(
  readGolden(goldenPath("chat/mistral-common.json")).toString(),
);

describe.each(["v1", "v3"] as const)("%s", (version) => {
  const loaded = MistralCommonBackend.from_pretrained(goldenPath(`tokenizers/mistral-${version}`), {
    version,
  });
  const own = cases.filter((one) => one.version === version);

  test(`${own.length} conversations`, async () => {
    const t = await loaded;
    expect(t.version).toBe(version);
    expect(own).toHaveLength(60);
    for (const { name, messages, tools, result } of own) {
      let got: object;
      try {
        const { tokens: ids, text } = t.encode_chat_completion({ messages, tools });
        got = { ids, text };
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        got = { error: /\(mistral-common: (\w+)\)$/.exec((error as Error).message)?.[1] };
      }
      expect({ name, ...got }).toEqual({ name, ...result });
    }
  });
});
