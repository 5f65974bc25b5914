// From Transformers' page on Mistral: the model in 4 bits. The page passes `quantization_config=True` and leaves the config that it has
// made unused; `true` means the same settings here. To choose others, pass the config itself.
import { AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig } from "../../src/index.ts";

// specify how to quantize the model
const quantization_config = new BitsAndBytesConfig({
  load_in_4bit: true,
  bnb_4bit_quant_type: "nf4",
  bnb_4bit_compute_dtype: "torch.float16",
});
console.log(quantization_config.to_json_string());

const model = await AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-Instruct-v0.2", {
  quantization_config: true,
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
