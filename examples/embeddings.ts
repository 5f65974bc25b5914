// Embeddings as e5-mistral computes them: an instruction before each query, an eos token behind each text, the last hidden state of that
// token, scaled to length 1. Products of two are then cosine similarities. The embedded model was not trained for it: it shows how.
//
//   npx node examples/embeddings.ts [folder of a checkpoint, such as e5-mistral-7b-instruct]
import { AutoModel, AutoTokenizer, defaultModel, type Tensor } from "../src/index.ts";

const folder = process.argv[2] ?? (await defaultModel());
const tokenizer = await AutoTokenizer.from_pretrained(folder, { add_eos_token: true });
tokenizer.pad_token ??= tokenizer.eos_token;
const model = await AutoModel.from_pretrained(folder);

const task = "Given a question, find the story that answers it";
const queries = ["Who lived in the cave?", "What did the girl lose?"];
const stories = [
  "A dragon lived in a dark cave on the hill.",
  "Lily lost her red ball in the park.",
];
const texts = [...queries.map((query) => `Instruct: ${task}\nQuery: ${query}`), ...stories];

const inputs = tokenizer(texts, { padding: true, return_tensors: "pt" });
const { last_hidden_state } = await model(inputs);
const embeddings = lastTokens(last_hidden_state, inputs.attention_mask).map(normalised);

for (const [i, query] of queries.entries()) {
  for (const [j, story] of stories.entries()) {
    const cosine = product(embeddings[i], embeddings[queries.length + j]);
    console.log(`${(100 * cosine).toFixed(1)}  ${query}  ${story}`);
  }
}
await model.dispose();

/** The state of each row's last token, on whichever side the padding is: [B, S, H] → B × [H] */
function lastTokens(states: Tensor, mask: Tensor): number[][] {
  return (mask.tolist() as number[][]).map(
    (row, b) => states.at(b, row.lastIndexOf(1)).tolist() as number[],
  );
}

function normalised(vector: number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}

function product(a: number[], b: number[]): number {
  return a.reduce((sum, x, i) => sum + x * b[i], 0);
}
