// How much the embedded model repeats itself after ordinary prompts: forty prompts × ten seeds, as its generation_config.json alone
// samples a continuation, and as `mistral run` asks and samples. Beside it the held-out stories of ../shared (or $MISTRAL_SHARED).
// Writes story-loops.json.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { storyRequest, storySettings } from "../src/cli/storyteller.ts";
import { AutoModelForCausalLM, AutoTokenizer, Tensor, defaultModel, env } from "../src/index.ts";
import type { GenerateOptions } from "../src/index.ts";
import { wholeData } from "../test/golden-files.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { prompts, repeatedShare } from "./story-prompts.ts";

const help = `Usage: npx node bench/story-loops.ts [options]

  --seeds N      seeds for each prompt (default 10)
  --out FOLDER   ${OUT}
  --help         this text
`;

export type Loops = {
  readonly name: string;
  /** Share of repeated 4-grams: mean over texts, the text at 90 %, the worst. */
  readonly mean: number;
  readonly p90: number;
  readonly worst: number;
  /** Texts that end by themselves within 300 tokens; undefined for stories of people. */
  readonly ended?: number;
  readonly texts: number;
};

export type StoryLoopsResult = {
  readonly kind: "story-loops";
  readonly date: string;
  readonly machine: Machine;
  readonly prompts: number;
  readonly seeds: number;
  readonly ways: readonly Loops[];
};

const newTokens = 300;

const ways: readonly {
  readonly name: string;
  readonly asks: boolean;
  readonly settings: GenerateOptions;
}[] = [
  { name: "text continued, generation_config.json alone", asks: false, settings: {} },
  { name: "text continued: run --continue", asks: false, settings: storySettings },
  { name: "request, generation_config.json alone", asks: true, settings: {} },
  { name: "request: run", asks: true, settings: storySettings },
];

const { values: flags } = parseArgs({
  options: {
    seeds: { type: "string", default: "10" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else await main(Number(flags.seeds));

async function main(seeds: number): Promise<void> {
  env.wasm.revectorize = true;
  const machine = thisMachine();
  const folder = await defaultModel();
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  const model = await AutoModelForCausalLM.from_pretrained(folder);

  const text = async (prompt: string, asks: boolean, options: GenerateOptions) => {
    const inputs = asks
      ? tokenizer.apply_chat_template([{ role: "user", content: storyRequest(prompt) }], {
          add_generation_prompt: true,
          return_tensors: "pt",
        })
      : tokenizer(prompt, { return_tensors: "pt" });
    const length = Tensor.from(inputs.input_ids).dims[1];
    const ids = await model.generate({ ...inputs, ...options, max_new_tokens: newTokens });
    const [row] = ids.tolist() as number[][];
    const own = tokenizer.decode(row.slice(length), { skip_special_tokens: true });
    return { share: repeatedShare(own), ended: row.at(-1) === tokenizer.eos_token_id };
  };

  const done: Loops[] = [];
  for (const { name, asks, settings } of ways) {
    const texts = await Promise.all(
      prompts.flatMap((prompt) =>
        Array.from({ length: seeds }, (_, i) =>
          text(prompt, asks, { ...settings, do_sample: true, seed: i + 1 }),
        ),
      ),
    );
    const shares = texts.map(({ share }) => share);
    const ended = texts.filter((each) => each.ended).length / texts.length;
    done.push({ name, ...spread(shares), ended });
    print(done.at(-1) as Loops);
  }
  await model.dispose();

  const stories = readFileSync(wholeData("stories/data/validation.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { completion: string }).completion);
  done.push({ name: "held-out stories of the corpus", ...spread(stories.map(repeatedShare)) });
  print(done.at(-1) as Loops);

  const result: StoryLoopsResult = {
    kind: "story-loops",
    date: new Date().toISOString(),
    machine,
    prompts: prompts.length,
    seeds,
    ways: done,
  };
  saveResult("story-loops.json", result, flags.out);
}

function spread(shares: readonly number[]): Omit<Loops, "name" | "ended"> {
  const sorted = shares.toSorted((a, b) => a - b);
  return {
    mean: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    p90: sorted[Math.floor(0.9 * shares.length)],
    worst: sorted[shares.length - 1],
    texts: shares.length,
  };
}

function print({ name, mean, p90, worst, ended }: Loops): void {
  const [a, b, c] = [mean, p90, worst].map((share) => (100 * share).toFixed(2));
  const whole = ended === undefined ? "" : `, ended ${(100 * ended).toFixed(1)} %`;
  process.stderr.write(`${name}: repeated ${a} % (90 %: ${b}, worst ${c})${whole}\n`);
}
