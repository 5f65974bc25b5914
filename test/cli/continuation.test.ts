// The text of a continuation is exactly what its tokens say, spaces at the begin of lines included, and in a conversation it stays so.

import { expect, test } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import { streamContinuation } from "../../src/cli/continuation.ts";
import { Conversation } from "../../src/cli/conversation.ts";
import type { Opened } from "../../src/cli/load.ts";
import { AutoTokenizer, Tensor } from "../../src/index.ts";
import type { GenerateOptions } from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const tokenizer = await AutoTokenizer.from_pretrained(goldenPath("tokenizers/mistral-v1"));

/** A model that says `text`, whatever it is asked. */
function saying(text: string): Opened {
  const said = tokenizer(`Hi${text}`, { add_special_tokens: false }).input_ids as number[];
  const tokens = said.slice(
    (tokenizer("Hi", { add_special_tokens: false }).input_ids as number[]).length,
  );
  const model = {
    async generate(inputs: { input_ids: Tensor }, { streamer }: GenerateOptions) {
      const [prompt] = inputs.input_ids.tolist() as number[][];
      await streamer?.put(inputs.input_ids);
      for (const id of tokens) await streamer?.put([id]);
      await streamer?.end();
      const ids = [...prompt, ...tokens];
      return { sequences: new Tensor("int32", Int32Array.from(ids), [1, ids.length]) };
    },
  };
  return { model, tokenizer, name: "parrot", settings: {} } as unknown as Opened;
}

const text = ":\n   the a\n\n  b\n\tc\n d";

test("no space is lost after a line end", async () => {
  const inputs = tokenizer("Hi", { return_tensors: "pt" });
  const pieces: string[] = [];
  const result = await streamContinuation(saying(text), inputs, "text", {}, async (piece) => {
    pieces.push(piece);
  });
  expect(result.text).toBe(text);
  expect(pieces.join("")).toBe(text);
});

test("a conversation keeps the answer as it was said", async () => {
  const conversation = new Conversation(saying(text));
  const { flags } = parseArguments("chat", ["--greedy"]);
  const signal = new AbortController().signal;
  await conversation.answer("Hi", { flags, seed: 1, signal });
  expect(conversation.messages).toEqual([
    { role: "user", content: "Hi" },
    { role: "assistant", content: text },
  ]);
});
