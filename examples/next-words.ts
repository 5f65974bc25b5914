// The three words that the model finds likeliest next, with their probabilities.
//
//   npx node examples/next-words.ts [folder of a checkpoint]
import { AutoModelForCausalLM, AutoTokenizer, defaultModel } from "../src/index.ts";

const folder = process.argv[2] ?? (await defaultModel());
const tokenizer = await AutoTokenizer.from_pretrained(folder);
const model = await AutoModelForCausalLM.from_pretrained(folder);

const inputs = tokenizer("The little dog was very", { return_tensors: "pt" });
const { logits } = await model(inputs);
const { values, indices } = logits.at(0, -1).softmax(-1).topk(3);
for (const [i, id] of [...indices].entries())
  console.log(tokenizer.decode(id), values.at(i).item());

await model.dispose();
