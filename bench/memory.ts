// Memory of one process that loads a model and generates 10 × its sliding window: resident bytes, and pages of the cache in use.
// With a rolling cache both stay where they are once the window is full. Writes memory-*.json.

import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import { AutoModelForCausalLM, type DynamicCache, env, type LoadOptions } from "../src/index.ts";
import { goldenPath } from "../test/golden-files.ts";
import { type Machine, residentBytes, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";

const help = `Usage: npx node bench/memory.ts [folder] [options]

Loads a model, generates 10 × its sliding window greedily, and samples memory on the way.
Default: the reference data's checkpoint with a window of 8 (goldens/models/sw8-f32).

  --windows N     how many windows to generate (default 10)
  --pieces N      calls of generate that go on from each other; memory is looked at after each (default 40)
  --dtype NAME    as from_pretrained takes it (default auto)
  --out FOLDER    ${OUT}
  --help          this text
`;

export type Sample = {
  readonly tokens: number;
  readonly residentBytes: number;
  readonly pagesInUse: number;
  readonly pages: number;
  readonly cacheBytes: number;
};

export type MemoryResult = {
  readonly kind: "memory";
  readonly date: string;
  readonly machine: Machine;
  readonly model: string;
  readonly dtype: string;
  readonly window: number;
  readonly newTokens: number;
  /** Resident bytes of the process before loading, after it, and at most during the whole run. */
  readonly resident: { readonly before: number; readonly loaded: number; readonly peak: number };
  readonly weightBytes: number;
  readonly samples: readonly Sample[];
};

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    windows: { type: "string", default: "10" },
    pieces: { type: "string", default: "40" },
    dtype: { type: "string", default: "auto" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else
  await main(positionals[0] === undefined ? goldenPath("models/sw8-f32") : resolve(positionals[0]));

async function main(dir: string): Promise<void> {
  env.wasm.revectorize = true;
  const machine = thisMachine();
  const before = residentBytes(process.pid).now;
  const model = await AutoModelForCausalLM.from_pretrained(dir, {
    dtype: flags.dtype as LoadOptions["dtype"],
    threads: 2,
  });
  const loaded = residentBytes(process.pid).now;
  const window = model.config.sliding_window;
  if (window === null) throw new Error(`${dir}: config.json has no sliding_window`);
  const newTokens = Number(flags.windows) * window;
  const every = Math.ceil(newTokens / Number(flags.pieces));

  const samples: Sample[] = [];
  let sequence = Array.from({ length: window }, (_, i) => (i === 0 ? 1 : 300 + (i % 200)));
  let past_key_values: DynamicCache | undefined;
  // In pieces, on one cache that goes on, so that each sample is taken at a known token.
  for (let tokens = 0; tokens < newTokens; tokens += every) {
    const count = Math.min(every, newTokens - tokens);
    const out = await model.generate({
      input_ids: [sequence],
      past_key_values,
      do_sample: false,
      max_new_tokens: count,
      min_new_tokens: count,
      return_dict_in_generate: true,
    });
    sequence = Array.from(out.sequences.data, Number);
    past_key_values = out.past_key_values;
    const { pages, pagesInUse, states } = await model.memory();
    const resident = residentBytes(process.pid).now;
    const used = { residentBytes: resident, pagesInUse, pages, cacheBytes: states };
    samples.push({ tokens: tokens + count, ...used });
  }
  const { weights } = await model.memory();
  const { peak } = residentBytes(process.pid);
  await model.dispose();
  if (sequence.length !== window + newTokens)
    throw new Error(`${sequence.length - window} tokens came, ${newTokens} were asked for`);

  const name = basename(dir);
  const result: MemoryResult = {
    kind: "memory",
    date: new Date().toISOString(),
    machine,
    model: name,
    dtype: model.dtype,
    window,
    newTokens,
    resident: { before, loaded, peak },
    weightBytes: weights,
    samples,
  };
  saveResult(`memory-${name}.json`, result, flags.out);
}
