// From Transformers' page on Mistral: the Instruct model answers, by its chat template.
import { AutoModelForCausalLM, AutoTokenizer } from "../../src/index.ts";

const model = await AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-Instruct-v0.2", {
  device_map: "auto",
});
const tokenizer = await AutoTokenizer.from_pretrained("mistralai/Mistral-7B-Instruct-v0.2");

const messages = [
  { role: "user", content: "What is your favourite condiment?" },
  {
    role: "assistant",
    content:
      "Well, I'm quite partial to a good squeeze of fresh lemon juice. It adds just the right amount of zesty flavour to whatever I'm cooking up in the kitchen!",
  },
  { role: "user", content: "Do you have mayonnaise recipes?" },
];

const model_inputs = tokenizer.apply_chat_template(messages, { return_tensors: "pt" }).to("cuda");

const generated_ids = await model.generate(model_inputs, { max_new_tokens: 100, do_sample: true });
console.log(tokenizer.batch_decode(generated_ids)[0]);

await model.dispose();
