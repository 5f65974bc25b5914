// What each way to keep the weights costs on the embedded model and the 160 validation stories: perplexity, and the KL divergence
// and agreement of the predictions with float32's, beside the size. The stories are in ../shared (or $MISTRAL_SHARED) only.
// Writes quality.json.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { AutoModelForCausalLM, AutoTokenizer, env, klDivergence } from "../src/index.ts";
import type { LoadOptions } from "../src/index.ts";
import { wholeData } from "../test/golden-files.ts";
import { stories } from "./contestants/sides.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { keptAs } from "./methods.ts";

const help = `Usage: npx node bench/quality.ts [options]

  --only A,B     only these: a method, and its products unless exact, such as q4 or nf4:float16
  --stories N    how many of the validation stories (default all 160)
  --out FOLDER   ${OUT}
  --help         this text
`;

export type Quality = {
  readonly name: string;
  readonly method: string;
  /** How products are computed; float32 is exact. */
  readonly compute: string;
  /** Of the weights as they lie in memory. */
  readonly bytes: number;
  readonly perplexity: number;
  /** Mean over tokens, nats. */
  readonly kl: number;
  readonly klWorst: number;
  readonly top1Agreement: number;
};

export type QualityResult = {
  readonly kind: "quality";
  readonly date: string;
  readonly machine: Machine;
  readonly model: string;
  readonly texts: number;
  readonly tokens: number;
  readonly reference: { readonly perplexity: number; readonly bytes: number };
  readonly methods: readonly Quality[];
};

type Compute = LoadOptions["compute_dtype"] & string;

/** Method and compute dtype. */
const ways: readonly (readonly [method: string, compute: Compute])[] = [
  ["bfloat16", "float32"],
  ["float16", "float32"],
  ["q8", "float32"],
  ["q8", "int8"],
  ["int8", "float32"],
  ["q4", "float32"],
  ["q4", "int8"],
  ["nf4", "float32"],
  ["nf4", "float16"],
  ["nf4", "int8"],
  ["nf4-dq", "float32"],
  ["nf4-dq", "float16"],
  ["nf4-dq", "int8"],
  ["fp4", "float32"],
  ["fp4", "float16"],
];

type Texts = readonly { readonly input_ids: readonly number[] }[];

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    stories: { type: "string", default: "160" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  env.wasm.revectorize = true;
  const machine = thisMachine();
  const tokenizer = await AutoTokenizer.from_pretrained(stories);
  const texts = readFileSync(wholeData("stories/data/validation.jsonl"), "utf8")
    .trim()
    .split("\n")
    .slice(0, Number(flags.stories))
    .map((line) => (JSON.parse(line) as { completion: string }).completion)
    .map((text) => ({ input_ids: tokenizer(text).input_ids as number[] }));
  const reference = await AutoModelForCausalLM.from_pretrained(stories, { dtype: "float32" });
  const { weights: bytes } = await reference.memory();

  const wanted = flags.only?.split(",");
  const done: Quality[] = [];
  let [tokens, perplexity] = [0, NaN];
  for (const [method, compute] of ways) {
    const name = compute === "float32" ? method : `${method}:${compute}`;
    if (wanted !== undefined && !wanted.includes(name)) continue;
    const model = await AutoModelForCausalLM.from_pretrained(stories, optionsOf(method, compute));
    const judged = await judge(model, reference, texts);
    const { weights } = await model.memory();
    await model.dispose();
    ({ tokens, referencePerplexity: perplexity } = judged);
    const { kl, klWorst, top1Agreement } = judged;
    done.push({
      ...{ name, method, compute, bytes: weights },
      ...{ perplexity: judged.perplexity, kl, klWorst, top1Agreement },
    });
    process.stderr.write(
      `${name}: perplexity ${judged.perplexity.toFixed(4)}, KL ${kl.toExponential(2)}, ` +
        `same first choice ${(100 * top1Agreement).toFixed(2)} %\n`,
    );
  }
  await reference.dispose();
  if (done.length === 0) throw new Error(`--only ${flags.only}: no such way`);

  const result: QualityResult = {
    kind: "quality",
    date: new Date().toISOString(),
    machine,
    model: "stories",
    texts: texts.length,
    tokens,
    reference: { perplexity, bytes },
    methods: done,
  };
  saveResult("quality.json", result, flags.out);
}

function optionsOf(method: string, compute: Compute): LoadOptions {
  const kept = keptAs(method);
  return kept.quantization_config === undefined ? kept : { ...kept, compute_dtype: compute };
}

type Model = Awaited<ReturnType<typeof AutoModelForCausalLM.from_pretrained>>;

/** Each token counts the same, whatever the length of its story. */
async function judge(
  model: Model,
  reference: Model,
  texts: Texts,
): Promise<
  Pick<Quality, "perplexity" | "kl" | "klWorst" | "top1Agreement"> & {
    tokens: number;
    referencePerplexity: number;
  }
> {
  let [tokens, nll, referenceNll, kl, klWorst, agreed] = [0, 0, 0, 0, 0, 0];
  for (const { input_ids } of texts) {
    const one = await klDivergence(model, reference, input_ids);
    tokens += one.tokens;
    nll += one.tokens * Math.log(one.perplexity);
    referenceNll += one.tokens * Math.log(one.reference_perplexity);
    kl += one.tokens * one.kl;
    klWorst = Math.max(klWorst, one.kl_max);
    agreed += one.tokens * one.top1_agreement;
  }
  return {
    perplexity: Math.exp(nll / tokens),
    referencePerplexity: Math.exp(referenceNll / tokens),
    kl: kl / tokens,
    klWorst,
    top1Agreement: agreed / tokens,
    tokens,
  };
}
