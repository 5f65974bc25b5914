// From Transformers' page on Mistral: "AutoModel", with bfloat16 weights and the inputs moved to the model's device.
import { AutoModelForCausalLM, AutoTokenizer, torch } from "../../src/index.ts";

const model = await AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-Instruct-v0.3", {
  dtype: torch.bfloat16,
  attn_implementation: "sdpa",
  device_map: "auto",
});
const tokenizer = await AutoTokenizer.from_pretrained("mistralai/Mistral-7B-Instruct-v0.3");

const messages = [
  { role: "user", content: "What is your favourite condiment?" },
  {
    role: "assistant",
    content:
      "Well, I'm quite partial to a good squeeze of fresh lemon juice. It adds just the right amount of zesty flavour to whatever I'm cooking up in the kitchen!",
  },
  { role: "user", content: "Do you have mayonnaise recipes?" },
];

const model_inputs = tokenizer
  .apply_chat_template(messages, { return_tensors: "pt" })
  .to(model.device);

const generated_ids = await model.generate(model_inputs, { max_new_tokens: 100, do_sample: true });
console.log(tokenizer.batch_decode(generated_ids)[0]);

await model.dispose();
