// From Transformers' page on Mistral: MistralConfig's example, a model of random weights from a configuration. The page's has the sizes of
// a 7B, whose weights take 28 GB in float32; fewer and smaller layers do here.
import { MistralConfig, MistralModel } from "../../src/index.ts";

// Initializing a Mistral 7B style configuration
const configuration_7b = new MistralConfig();
console.log(configuration_7b.num_hidden_layers, configuration_7b.hidden_size);

// Initializing a model from a configuration
const configuration = new MistralConfig({
  num_hidden_layers: 2,
  hidden_size: 256,
  intermediate_size: 896,
  num_attention_heads: 8,
  num_key_value_heads: 2,
});
const model = await MistralModel.from_config(configuration);

// Accessing the model configuration
console.log(model.config.num_hidden_layers, model.num_parameters());

await model.dispose();
