// One load and one generation in a process of its own, so that its peak memory is that of nothing else.
// Arguments: folder, JSON of the load options. Prints JSON.

import { peakMemory } from "../../src/platform/node-system.ts";
import { AutoModelForCausalLM, BitsAndBytesConfig, type LoadOptions } from "../../src/index.ts";

const [folder, json] = process.argv.slice(2);
const { bitsandbytes, ...options } = JSON.parse(json) as LoadOptions & { bitsandbytes?: object };
const began = performance.now();
const model = await AutoModelForCausalLM.from_pretrained(folder, {
  ...options,
  ...(bitsandbytes && { quantization_config: new BitsAndBytesConfig(bitsandbytes) }),
});
const seconds = (performance.now() - began) / 1000;
const prompt = Array.from({ length: 24 }, (_, i) => 100 + ((i * 7919) % 30_000));
const sequences = await model.generate({
  input_ids: [prompt],
  max_new_tokens: 8,
  do_sample: false,
  eos_token_id: null,
});
const peak = peakMemory();
await model.dispose();
process.stdout.write(JSON.stringify({ seconds, peak, tokens: sequences.tolist() }));
