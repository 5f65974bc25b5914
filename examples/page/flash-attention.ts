// From Transformers' page on Mistral: 16-bit weights and flash attention.
import { AutoModelForCausalLM, AutoTokenizer, torch } from "../../src/index.ts";

const device = "cuda"; // the GPU if there is one that can be used, else the CPU

const model = await AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-v0.1", {
  torch_dtype: torch.float16,
  attn_implementation: "flash_attention_2",
  device_map: "auto",
});
const tokenizer = await AutoTokenizer.from_pretrained("mistralai/Mistral-7B-v0.1");

const prompt = "My favourite condiment is";

const model_inputs = tokenizer([prompt], { return_tensors: "pt" }).to(device);
model.to(device);

const generated_ids = await model.generate({
  ...model_inputs,
  max_new_tokens: 100,
  do_sample: true,
});
console.log(tokenizer.batch_decode(generated_ids)[0]);

await model.dispose();
