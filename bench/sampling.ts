// Choosing tokens for many rows at once: on the host (logits read, then processors and sampler, one row after the other) against
// the op `sample` on one thread and on several, and against `sample` over scores that the host hands over. All sides in turn in each
// round, and each must choose the same tokens. Writes sampling.json.

import { parseArgs } from "node:util";
import type { Program } from "../src/backends/backend.ts";
import type { WasmBackend } from "../src/backends/wasm/backend.ts";
import { detectFeatures, enableRevectorize } from "../src/backends/wasm/features.ts";
import {
  chooseBy,
  recordChoice,
  recordSample,
  sampleInputs,
} from "../src/generate/device-sampling.ts";
import { buildProcessors, type ProcessorFields } from "../src/generate/processors.ts";
import { greedy, multinomial, uniform, uniformWords } from "../src/generate/sampler.ts";
import { Graph } from "../src/graph/graph.ts";
import { makePlan } from "../src/graph/plan.ts";
import { seeded } from "../test/random.ts";
import { startTeam } from "../test/wasm/team.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { type Summary, summarize } from "./statistics.ts";

const help = `Usage: npx node bench/sampling.ts [options]

Times the choice of a token for each of many rows, on the host and by the op \`sample\`.

  --rows N        (default 32)
  --threads N     of the larger team (default 2)
  --rounds N      (default 15)
  --plain         without V8's 256-bit vectors
  --out FOLDER    ${OUT}
  --help          this text
`;

/** Milliseconds for all rows. */
export type SamplingFigures = Readonly<
  Record<"host" | "oneThread" | "team" | "handedOver", Summary>
>;

export type SamplingResult = {
  readonly kind: "sampling";
  readonly date: string;
  readonly machine: Machine;
  readonly rows: number;
  readonly threads: number;
  readonly wideVectors: boolean;
  readonly cases: readonly {
    readonly vocabulary: number;
    readonly settings: string;
    readonly figures: SamplingFigures;
  }[];
};

const vocabularies = [32_000, 131_072];
const settings: Readonly<Record<string, Partial<ProcessorFields>>> = {
  greedy: {},
  "temperature 0.7": { temperature: 0.7 },
  "temperature 0.7, top_k 50": { temperature: 0.7, top_k: 50 },
  "temperature 0.7, top_k 50, top_p 0.9": { temperature: 0.7, top_k: 50, top_p: 0.9 },
  "temperature 0.7, top_p 0.9": { temperature: 0.7, top_p: 0.9 },
  "temperature 1.5, top_p 0.95": { temperature: 1.5, top_p: 0.95 },
  "min_p 0.05": { min_p: 0.05 },
};

const { values: flags } = parseArgs({
  options: {
    rows: { type: "string", default: "32" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "15" },
    plain: { type: "boolean", default: false },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  const machine = thisMachine();
  const [rows, threads, rounds] = [flags.rows, flags.threads, flags.rounds].map(Number);
  const wideVectors = !flags.plain && enableRevectorize();
  const cases: SamplingResult["cases"][number][] = [];
  for (const vocabulary of vocabularies) {
    const logits = logitsLike(rows, vocabulary);
    const single = await placed(1, wideVectors, rows, logits);
    const team = await placed(threads, wideVectors, rows, logits);
    for (const [name, fields] of Object.entries(settings)) {
      const figures = await timeCase({ rows, rounds, logits, single, team }, fields);
      cases.push({ vocabulary, settings: name, figures });
      print(vocabulary, name, figures);
    }
    await Promise.all([single.close(), team.close()]);
  }
  const date = new Date().toISOString();
  const result = { kind: "sampling", date, machine, rows, threads, wideVectors, cases } as const;
  saveResult("sampling.json", result, flags.out);
}

/** Logits with a bell curve for most tokens and a few likely ones, as models give them. */
function logitsLike(rows: number, V: number): Float32Array {
  const random = seeded(V);
  return Float32Array.from({ length: rows * V }, () => {
    const bell = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
    return 2.5 * bell + (random.uniform() < 10 / V ? random.uniform(6, 14) : 0);
  });
}

type Placed = {
  /** `sample` over logits that lie where the head left them. */
  readonly inPlace: Program;
  /** `sample` over an input. */
  readonly handedOver: Program;
  /** What reads the logits. */
  readonly reading: Program;
  close(): Promise<void>;
};

async function placed(
  threads: number,
  wideVectors: boolean,
  rows: number,
  logits: Float32Array,
): Promise<Placed> {
  const V = logits.length / rows;
  const spec = { name: "logits", kind: "weight", shape: [rows, V], dtype: "f32" } as const;
  const features = detectFeatures(wideVectors);
  const team = await startTeam({ threads, features }, [{ ...spec, regions: ["head"] }]);
  const backend: WasmBackend = team.backend;
  await backend.load("logits", async ([to]) => to.set(new Uint8Array(logits.buffer)));
  const graph = new Graph();
  const leaf = graph.leaf(spec.name, spec.kind, spec.shape);
  const [token, status] = recordChoice(leaf, false);
  return {
    inPlace: backend.compile(makePlan(graph, [token, status])),
    handedOver: backend.compile(recordSample(V, rows)),
    reading: backend.compile(makePlan(graph, [leaf])),
    close: () => team.close(),
  };
}

type Sides = {
  readonly rows: number;
  readonly rounds: number;
  readonly logits: Float32Array;
  readonly single: Placed;
  readonly team: Placed;
};

async function timeCase(
  { rows, rounds, logits, single, team }: Sides,
  fields: Partial<ProcessorFields>,
): Promise<SamplingFigures> {
  const V = logits.length / rows;
  const config = { eos_token_id: null, do_sample: Object.keys(fields).length > 0, ...fields };
  const setting = { vocabSize: V, promptLength: 1 };
  const { settings: row } = chooseBy(config, setting, { logits: false, scores: false });
  const inputs = sampleInputs(
    Array.from({ length: rows }, (_, n) => ({ settings: row, words: uniformWords(1, n, 0) })),
  );
  const processors = buildProcessors(config, setting);
  const context = { ids: new Int32Array(1), padding: 0, promptLength: 1, step: 0, sequence: 0 };

  const onHost = async (): Promise<number[]> => {
    const [all] = await team.reading.submit({}, { rows, wanted: 0 }, [0]);
    return Array.from({ length: rows }, (_, n) => {
      const scores = all.subarray(n * V, (n + 1) * V);
      for (const change of processors) void change(context, scores); // at once
      return config.do_sample ? multinomial(scores, uniform(1, n, 0)) : greedy(scores);
    });
  };
  const byOp = (program: Program, given: object) => async (): Promise<number[]> => {
    // The status too, as the engine would.
    const [token] = await program.submit({ ...inputs, ...given }, { rows, wanted: 0 }, [0, 1]);
    return [...token];
  };
  const sides = {
    host: onHost,
    oneThread: byOp(single.inPlace, {}),
    team: byOp(team.inPlace, {}),
    handedOver: byOp(team.handedOver, { scores: logits }),
  };
  const expected = String(await onHost());
  const times: Record<keyof typeof sides, number[]> = {
    ...{ host: [], oneThread: [], team: [], handedOver: [] },
  };
  // The first three rounds are not counted: V8 optimises meanwhile.
  for (let round = -3; round < rounds; round++) {
    for (const side of ["host", "oneThread", "team", "handedOver"] as const) {
      const begin = performance.now();
      const tokens = await sides[side]();
      if (round >= 0) times[side].push(performance.now() - begin);
      if (String(tokens) !== expected)
        throw new Error(`${side} chose other tokens: ${String(tokens)}`);
    }
  }
  const { host, oneThread, team: all, handedOver } = times;
  return {
    host: summarize(host),
    oneThread: summarize(oneThread),
    team: summarize(all),
    handedOver: summarize(handedOver),
  };
}

function print(vocabulary: number, name: string, figures: SamplingFigures): void {
  const columns = Object.entries(figures).map(
    ([side, { median, min }]) => `${side} ${median.toFixed(1)} (least ${min.toFixed(1)})`,
  );
  process.stderr.write(`${vocabulary} · ${name}: ms: ${columns.join(", ")}\n`);
}
