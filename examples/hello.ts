// The first program: loads a model and continues a text.
//
//   npx node examples/hello.ts [folder of a checkpoint]
//
// Outside this repository: import … from "@mistral-ts/mistral".
import { AutoModelForCausalLM, AutoTokenizer, TextStreamer, defaultModel } from "../src/index.ts";

const folder = process.argv[2] ?? (await defaultModel());
const tokenizer = await AutoTokenizer.from_pretrained(folder);
const model = await AutoModelForCausalLM.from_pretrained(folder);

const inputs = tokenizer("Once upon a time", { return_tensors: "pt" });
const streamer = new TextStreamer(tokenizer, { skip_special_tokens: true });
await model.generate({ ...inputs, streamer, max_new_tokens: 100, do_sample: true, seed: 1 });

await model.dispose();
