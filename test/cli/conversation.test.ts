// A conversation with the embedded model: what is kept between answers changes nothing but the work.

import { afterAll, beforeAll, expect, test } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import { Conversation } from "../../src/cli/conversation.ts";
import type { Opened } from "../../src/cli/load.ts";
import { AutoModelForCausalLM, AutoTokenizer, Tensor, defaultModel } from "../../src/index.ts";

let real: Opened;
beforeAll(async () => {
  const folder = await defaultModel();
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  real = {
    tokenizer,
    model: await AutoModelForCausalLM.from_pretrained(folder, { threads: 1 }),
    name: "stories",
    settings: {},
  };
});
afterAll(async () => {
  await real.model.dispose();
});

const { flags } = parseArguments("chat", ["--greedy", "-n", "12"]);
const never = new AbortController().signal;

/** The model, with a note of how many columns each call found in its cache. */
function watched(): { opened: Opened; found: number[] } {
  const found: number[] = [];
  const model = new Proxy(real.model, {
    get(target, name) {
      if (name !== "generate") return Reflect.get(target, name, target);
      return (inputs: Parameters<Opened["model"]["generate"]>[0], options: object) => {
        const past = (inputs as { past_key_values?: { get_seq_length(): number } }).past_key_values;
        found.push(past?.get_seq_length() ?? 0);
        return target.generate(inputs, options);
      };
    },
  });
  return { opened: { ...real, model }, found };
}

/** The greedy answer computed from nothing. */
async function fresh(messages: Conversation["messages"]): Promise<string> {
  const inputs = real.tokenizer.apply_chat_template(messages, {
    add_generation_prompt: true,
    return_tensors: "pt",
  });
  const ids = await real.model.generate({ ...inputs, do_sample: false, max_new_tokens: 12 });
  const prompt = Tensor.from(inputs.input_ids).dims[1];
  const [sequence] = ids.tolist() as number[][];
  return real.tokenizer.decode(sequence.slice(prompt), { skip_special_tokens: true });
}

test("later answers go on from the cache, and are those of the whole conversation", async () => {
  const { opened, found } = watched();
  const conversation = new Conversation(opened);
  for (const [turn, content] of [
    "Tell me a story about a frog.",
    "And then?",
    "Tell me more.",
  ].entries()) {
    const before = conversation.messages;
    const { text } = await conversation.answer(content, { flags, seed: 1, signal: never });
    expect(text).toBe(await fresh([...before, { role: "user", content }]));
    expect(found[turn]).toBeGreaterThanOrEqual(turn * 12);
  }
  expect(conversation.messages.map(({ role }) => role)).toEqual([
    "user",
    "assistant",
    "user",
    "assistant",
    "user",
    "assistant",
  ]);
  await conversation.clear();
});

test("of a stopped answer what had come is kept, and the next one works", async () => {
  const { opened } = watched();
  const conversation = new Conversation(opened);
  const stop = new AbortController();
  const reason = new Error("stopped");
  const answer = conversation.answer("Tell me a story.", {
    flags: { ...flags, "max-new-tokens": 5000, stop: ["never said"] },
    ...{ seed: 1, signal: stop.signal },
    onText: async (text) => {
      if (text.includes(" ")) stop.abort(reason);
    },
  });
  await expect(answer).rejects.toBe(reason);
  expect(conversation.messages).toEqual([
    { role: "user", content: "Tell me a story." },
    { role: "assistant", content: expect.stringMatching(/^Once /) },
  ]);
  const { text } = await conversation.answer("Go on.", { flags, seed: 1, signal: never });
  expect(text).toBe(await fresh(conversation.messages.slice(0, 3)));
  await conversation.clear();
});

test("a request that the template refuses leaves the conversation as it was", async () => {
  const { opened } = watched();
  const tokenizer = new Proxy(real.tokenizer, {
    get: (target, name) =>
      name === "apply_chat_template"
        ? () => target.apply_chat_template([{ role: "system", content: "x" }])
        : Reflect.get(target, name, target),
  });
  const conversation = new Conversation({ ...opened, tokenizer });
  await expect(conversation.answer("Hi", { flags, seed: 1, signal: never })).rejects.toThrow(
    "Only user and assistant roles",
  );
  expect(conversation.messages).toEqual([]);
});
