// From Transformers' page on Mistral: MistralForCausalLM.forward's example, which passes the ids alone.
import { AutoTokenizer, MistralForCausalLM } from "../../src/index.ts";

const model = await MistralForCausalLM.from_pretrained("mistralai/Mistral-7B-v0.1");
const tokenizer = await AutoTokenizer.from_pretrained("mistralai/Mistral-7B-v0.1");

const prompt = "Hey, are you conscious? Can you talk to me?";
const inputs = tokenizer(prompt, { return_tensors: "pt" });

// Generate
const generate_ids = await model.generate(inputs.input_ids, { max_length: 30 });
console.log(
  tokenizer.batch_decode(generate_ids, {
    skip_special_tokens: true,
    clean_up_tokenization_spaces: false,
  })[0],
);

await model.dispose();
