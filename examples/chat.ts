// Holds a conversation: requests go through the model's chat template, and answers arrive word by word.
//
//   npx node examples/chat.ts [folder of an instruct checkpoint]
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  TextIteratorStreamer,
  defaultModel,
} from "../src/index.ts";

const folder = process.argv[2] ?? (await defaultModel());
const tokenizer = await AutoTokenizer.from_pretrained(folder);
const model = await AutoModelForCausalLM.from_pretrained(folder);

const requests = [
  "Tell me a story about a little dog named Max.",
  "Tell me another story about Max and a bird.",
];
const messages: { role: string; content: string }[] = [];

for (const content of requests) {
  console.log(`\n> ${content}`);
  messages.push({ role: "user", content });
  const inputs = tokenizer.apply_chat_template(messages, {
    add_generation_prompt: true,
    return_tensors: "pt",
  });

  const streamer = new TextIteratorStreamer(tokenizer, {
    skip_prompt: true,
    skip_special_tokens: true,
  });
  const done = model.generate({
    ...inputs,
    streamer,
    max_new_tokens: 200,
    do_sample: true,
    seed: 3,
  });

  let answer = "";
  for await (const text of streamer) {
    process.stdout.write(text);
    answer += text;
  }
  await done;
  process.stdout.write("\n");
  messages.push({ role: "assistant", content: answer });
}

await model.dispose();
