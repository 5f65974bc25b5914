// One turn of many-calls.ts, in a process of its own: loads a model with the mistral.ts of some checkout and measures one thing.
// Arguments: checkout, model folder, what. Prints one line of JSON: figures by name.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type * as Library from "../src/index.ts";
import { promptOf } from "./rounds.ts";
import { median } from "./statistics.ts";

const [checkout, dir, what] = process.argv.slice(2);
const { AutoModelForCausalLM, env } = (await import(
  pathToFileURL(join(checkout, "src/index.ts")).href
)) as typeof Library;
env.wasm.revectorize = true;
const model = await AutoModelForCausalLM.from_pretrained(dir, { threads: 2 });
const V = model.config.vocab_size;

const measures: Record<string, () => Promise<Record<string, number>>> = {
  /** Tokens a second: a prompt of 512, and tokens one after the other. */
  async speed() {
    const prompt = promptOf(512, V);
    const prefill = async (): Promise<number> => {
      const begin = performance.now();
      const { past_key_values } = await model({ input_ids: [prompt], logits_to_keep: 1 });
      const seconds = (performance.now() - begin) / 1000;
      await past_key_values?.dispose();
      return seconds;
    };
    const decode = async (count: number): Promise<number> => {
      const begin = performance.now();
      const settings = { max_new_tokens: count, eos_token_id: null, do_sample: false };
      await model.generate([prompt.slice(0, 16)], settings);
      return (performance.now() - begin) / 1000;
    };
    await prefill();
    await decode(128);
    // About a second: a small model makes thousands of tokens in that time, and needs as many to be compiled.
    const tokens = Math.max(128, Math.min(4000, Math.round(128 / (await decode(128)))));
    await decode(tokens);
    const prefills: number[] = [];
    const decodes: number[] = [];
    for (let i = 0; i < 5; i++) {
      prefills.push(await prefill());
      decodes.push((await decode(tokens + 1)) - (await decode(1)));
    }
    return { prefill: 512 / median(prefills), decode: tokens / median(decodes) };
  },

  /** Milliseconds between the tokens of a short call, alone and beside a prompt of 20,000 tokens. */
  async neighbour() {
    const gaps = async (count: number): Promise<number[]> => {
      const times: number[] = [];
      const streamer = { put: () => void times.push(performance.now()), end: () => {} };
      const lengths = { max_new_tokens: count, min_new_tokens: count };
      await model.generate([promptOf(16, V)], { ...lengths, do_sample: false, streamer });
      // The first put is the prompt, and the first token waits for the step that runs when the call comes.
      return times.slice(2).map((time, i) => time - times[i + 1]);
    };
    await gaps(20);
    const alone = await gaps(60);
    // One long prompt after the other, each with a beginning of its own, until the short call is over.
    const abort = new AbortController();
    const long = (async () => {
      for (let i = 0; !abort.signal.aborted; i++) {
        const prompt = [300 + i, ...promptOf(20_000, V)];
        await model.generate([prompt], { max_new_tokens: 1, signal: abort.signal });
      }
    })().catch(() => {});
    const beside = await gaps(150);
    abort.abort();
    await long;
    const at = (values: number[], share: number): number =>
      values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))];
    return {
      alone: at(alone, 0.5),
      beside: at(beside, 0.5),
      besideP99: at(beside, 0.99),
      besideMost: Math.max(...beside),
    };
  },

  /** Seconds of 20 calls at once that begin with the same 2,000 tokens, and of one of them with other tokens. */
  async prefix() {
    const common = promptOf(2000, V);
    const time = async (prompts: number[][]): Promise<number> => {
      const begin = performance.now();
      await Promise.all(
        prompts.map((prompt) => model.generate([prompt], { max_new_tokens: 4, do_sample: false })),
      );
      return (performance.now() - begin) / 1000;
    };
    const one = await time([promptOf(2010, V).toReversed()]);
    return { one, twenty: await time(Array.from({ length: 20 }, (_, i) => [...common, 300 + i])) };
  },

  /** Pages of the cache, and resident memory, after 100 turns of one growing chat. */
  async chat() {
    let ids = promptOf(64, V);
    const seconds: number[] = [];
    for (let turn = 0; turn < 100; turn++) {
      const begin = performance.now();
      const out = await model.generate([ids], {
        max_new_tokens: 16,
        do_sample: false,
        eos_token_id: null,
      });
      seconds.push((performance.now() - begin) / 1000);
      ids = [...Array.from(out.data, Number), ...promptOf(17, V).slice(1)];
    }
    const { pages, pagesInUse, states } = await model.memory();
    const [early, late] = [seconds.slice(5, 15), seconds.slice(-10)].map(median);
    return { tokens: ids.length, pages, pagesInUse, cacheBytes: states, early, late };
  },
};

process.stdout.write(`${JSON.stringify(await measures[what]())}\n`);
await model.dispose();
