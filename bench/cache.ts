// Memory of the cache by context length, with a sliding window (pages that no row can see any more are given back) and without.
// A model whose layers have Mistral-7B's cache (8 heads of 128 for keys and values, window 4,096), little else, and so one layer
// only: 32,768 tokens through it, in pieces. Writes cache.json.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AutoModelForCausalLM, type DynamicCache, env, type LoadOptions } from "../src/index.ts";
import { bench, work } from "./contestants/sides.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { promptOf } from "./rounds.ts";

const help = `Usage: npx node bench/cache.ts [options]

  --tokens N     longest context (default 32768)
  --out FOLDER   ${OUT}
  --help         this text
`;

export type CacheLine = {
  readonly rolling: boolean;
  readonly dtype: string;
  readonly points: readonly { readonly tokens: number; readonly bytes: number }[];
};

export type CacheResult = {
  readonly kind: "cache";
  readonly date: string;
  readonly machine: Machine;
  readonly window: number;
  /** Layers of the model that was measured; each has a cache of its own and of the same size. */
  readonly layers: number;
  readonly lines: readonly CacheLine[];
};

const WINDOW = 4096;
const PIECE = 1024;
const VOCAB = 640;

const { values: flags } = parseArgs({
  options: {
    tokens: { type: "string", default: "32768" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else await main(Number(flags.tokens));

async function main(tokens: number): Promise<void> {
  env.wasm.revectorize = true;
  const machine = thisMachine();
  const lines: CacheLine[] = [];
  for (const rolling of [false, true]) {
    for (const dtype of ["float32", "float16", "int8"] as const) {
      const points = await measure(make(rolling, tokens), dtype, tokens);
      lines.push({ rolling, dtype, points });
      const last = points[points.length - 1];
      process.stderr.write(
        `${rolling ? "rolling" : "all kept"}, ${dtype}: ${(last.bytes / 2 ** 20).toFixed(1)} MiB a layer at ${last.tokens} tokens\n`,
      );
    }
  }
  const date = new Date().toISOString();
  const result: CacheResult = { kind: "cache", date, machine, window: WINDOW, layers: 1, lines };
  saveResult("cache.json", result, flags.out);
}

function make(rolling: boolean, tokens: number): string {
  const window = rolling ? WINDOW : 0;
  const folder = join(work, `cache-${window}`);
  const shape =
    `--shape tiny --layers 1 --hidden 64 --heads 8 --kv-heads 8 --head-dim 128 --vocab ${VOCAB} ` +
    `--positions ${tokens} --window ${window}`;
  const args = [join(bench, "make-checkpoint.ts"), folder, ...shape.split(" ")];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`make-checkpoint failed (${status})\n${stderr}`);
  return folder;
}

async function measure(
  folder: string,
  cacheDtype: LoadOptions["cacheDtype"],
  tokens: number,
): Promise<CacheLine["points"]> {
  const model = await AutoModelForCausalLM.from_pretrained(folder, { cacheDtype });
  const ids = promptOf(tokens, VOCAB);
  const points: { tokens: number; bytes: number }[] = [];
  let past_key_values: DynamicCache | undefined;
  try {
    for (let at = 0; at < tokens; at += PIECE) {
      const input_ids = [ids.slice(at, at + PIECE)];
      ({ past_key_values } = await model.forward({
        ...{ input_ids, past_key_values, use_cache: true, logits_to_keep: 1 },
      }));
      const { pages, pagesInUse, states } = await model.memory();
      points.push({ tokens: at + input_ids[0].length, bytes: (pagesInUse * states) / pages });
    }
  } finally {
    await past_key_values?.dispose();
    await model.dispose();
  }
  return points;
}
