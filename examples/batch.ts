// Continues several texts at once. They are padded on the left, so that every row ends where its continuation begins.
//
//   npx node examples/batch.ts [folder of a checkpoint]
import { AutoModelForCausalLM, AutoTokenizer, defaultModel } from "../src/index.ts";

const folder = process.argv[2] ?? (await defaultModel());
const tokenizer = await AutoTokenizer.from_pretrained(folder, { padding_side: "left" });
tokenizer.pad_token ??= tokenizer.eos_token;
const model = await AutoModelForCausalLM.from_pretrained(folder);

const prompts = ["One day, a boy named Tim found", "It was raining. Anna", "Once there was a bear"];
const inputs = tokenizer(prompts, { padding: true, return_tensors: "pt" });
const ids = await model.generate({ ...inputs, max_new_tokens: 40, do_sample: false });

// Each text has the same tokens as if it had been generated alone.
for (const text of tokenizer.batch_decode(ids, { skip_special_tokens: true })) {
  console.log(`${text}\n`);
}

await model.dispose();
