// Model speed side by side, in one run: mistral.ts, PyTorch and transformers.js take turns, round by round (A, B, C, A, B, C …),
// each in a process of its own, so that a disturbance of the machine meets all of them. Before any figure is taken, each must
// give the same tokens or logits: a benchmark compares one computation. Writes bench/results/models-*.json.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Figures, Member, type Side, type Turn } from "./contestants/member.ts";
import type { LoadOptions } from "./contestants/protocol.ts";
import { type Machine, residentBytes, thisMachine } from "./machine.ts";
import { shared } from "../test/shared.ts";
import { median } from "./statistics.ts";

const here = import.meta.dirname;
const work = join(here, ".work");
const stories = join(here, "../models/stories");
const python = join(here, ".venv/bin/python");

const help = `Usage: npx node bench/models.ts [options]

Measures prefill and decode of mistral.ts, PyTorch and transformers.js in turns. First: bash bench/setup.sh

  --model NAME     stories (the embedded model), mistral-7b-4l (4 layers of Mistral-7B's shape, random weights) or all (default)
  --dtype NAME     float32, bfloat16 or all (default)
  --only A,B       only these contestants: ours, ours-plain, pytorch, transformers.js
  --rounds N       turns of each contestant (default: the model's)
  --prompt N       tokens of the prefill (default 512)
  --new N          tokens of the decode (default: the model's)
  --threads N      (default 2)
  --reload         load contestants anew for each turn, as is done when they do not fit into memory together
  --out FOLDER     where the JSON goes (default bench/results)
  --help           this text
`;

type Dtype = LoadOptions["dtype"];

type Model = {
  readonly title: string;
  readonly rounds: number;
  readonly newTokens: number;
  /** Repetitions within a turn; a turn's figure is their median. */
  readonly repeat: number;
  /** Bytes of its weights in float32. */
  readonly bytes: number;
  readonly vocab: number;
  dir(dtype: Dtype): string;
};

const models: Readonly<Record<string, Model>> = {
  stories: {
    title: "embedded model (3.2 M weights, window 256)",
    rounds: 9,
    newTokens: 128,
    repeat: 3,
    bytes: 1.3e7,
    vocab: 2048,
    dir: () => stories,
  },
  "mistral-7b-4l": {
    title: "4 layers of Mistral-7B's shape (1.13 G weights, random)",
    rounds: 5,
    newTokens: 32,
    repeat: 1,
    bytes: 4.54e9,
    vocab: 32000,
    dir: (dtype) => join(work, `mistral-7b-4l-${dtype}`),
  },
};

export type ModelResult = {
  readonly kind: "models";
  readonly date: string;
  readonly machine: Machine;
  readonly model: string;
  readonly title: string;
  readonly dtype: Dtype;
  readonly settings: {
    readonly threads: number;
    readonly prompt: number;
    readonly newTokens: number;
    readonly rounds: number;
    readonly repeat: number;
    /** Contestants were loaded anew for each turn, since they do not fit into memory together. */
    readonly reloaded: boolean;
  };
  readonly check: string;
  readonly contestants: readonly Figures[];
};

const ours = [process.execPath, join(here, "contestants/ours.ts")];
const checkpoint = (model: string, dtype: Dtype): string => models[model].dir(dtype);
const sides: readonly Side[] = [
  {
    name: "ours",
    command: ours,
    env: { MISTRAL_BENCH_REVECTORIZE: "1" },
    title: () => "mistral.ts, revectorized (as the command runs)",
    folder: checkpoint,
  },
  {
    name: "ours-plain",
    command: ours,
    env: { MISTRAL_BENCH_REVECTORIZE: "0" },
    title: () => "mistral.ts (as a library, no flag)",
    folder: checkpoint,
  },
  {
    name: "pytorch",
    command: [python, join(here, "contestants/pytorch.py")],
    title: (dtype) => `PyTorch, ${dtype}`,
    folder: checkpoint,
  },
  {
    name: "transformers.js",
    command: [process.execPath, join(here, "contestants/transformers-js.ts")],
    title: (dtype) => `transformers.js, fp32${dtype === "float32" ? "" : " (it has no bfloat16)"}`,
    folder: (model) => join(work, `${model}-onnx`),
  },
];

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "all" },
    dtype: { type: "string", default: "all" },
    only: { type: "string" },
    rounds: { type: "string" },
    prompt: { type: "string", default: "512" },
    new: { type: "string" },
    threads: { type: "string", default: "2" },
    out: { type: "string", default: join(here, "results") },
    reload: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  if (!existsSync(python)) throw new Error(`${python} is missing; run: bash bench/setup.sh`);
  for (const model of chosen("model", flags.model, Object.keys(models))) {
    for (const dtype of chosen("dtype", flags.dtype, ["float32", "bfloat16"])) {
      prepare(model, dtype as Dtype);
      const result = await measure(model, dtype as Dtype);
      mkdirSync(flags.out, { recursive: true });
      const file = join(flags.out, `models-${model}-${dtype}.json`);
      writeFileSync(file, `${JSON.stringify(result, undefined, 1)}\n`);
      say(`wrote ${file}`);
    }
  }
}

function chosen(flag: string, value: string, known: readonly string[]): readonly string[] {
  if (value !== "all" && !known.includes(value))
    throw new Error(`--${flag} ${value}: expected all, ${known.join(" or ")}`);
  return value === "all" ? known : [value];
}

/** Writes the checkpoint and its ONNX export, where they are not there yet. */
function prepare(model: string, dtype: Dtype): void {
  const make = (kind: Dtype): void => {
    const dir = models[model].dir(kind);
    const shape = ["--shape", "mistral-7b", "--layers", "4", "--dtype", kind];
    const script = join(here, "make-checkpoint.ts");
    // The exporter wants some tokenizer; which one does not matter here.
    if (!existsSync(join(dir, "config.json")))
      run(process.execPath, script, dir, ...shape, "--tokenizer", stories);
  };
  if (model !== "stories") {
    make(dtype);
    make("float32");
  }
  const onnx = join(work, `${model}-onnx`);
  if (!existsSync(join(onnx, "onnx/model.onnx")))
    run(python, join(here, "export-onnx.py"), models[model].dir("float32"), onnx);
}

function run(command: string, ...args: string[]): void {
  say(`${command} ${args.join(" ")}`);
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${args[0]} failed (${status})\n${stderr}`);
}

async function measure(model: string, dtype: Dtype): Promise<ModelResult> {
  const { title, rounds: usual, newTokens: usualNew, repeat, bytes } = models[model];
  const wanted = flags.only?.split(",");
  const running = sides.filter(({ name }) => wanted?.includes(name) ?? true);
  const rounds = Number(flags.rounds ?? usual);
  const newTokens = Number(flags.new ?? usualNew);
  const [threads, promptTokens] = [Number(flags.threads), Number(flags.prompt)];
  const reloaded = flags.reload || 1.1 * bytes * running.length > 0.85 * totalmem();
  const machine = thisMachine();
  const prompt = promptOf(promptTokens, models[model].vocab);
  const context = prompt.slice(0, 16);
  const team = running.map((side) => new Member(side, model, dtype, threads));
  say(
    `${title}, ${dtype}: ${rounds} rounds${reloaded ? ", loaded anew for each turn (memory)" : ""}`,
  );

  const turns = new Map<Member, Turn[]>(team.map((member) => [member, []]));
  try {
    const check = await agree(team, model, dtype, prompt, reloaded);
    for (let round = 0; round < rounds; round++) {
      for (const member of team) {
        await member.attempt(async (contestant) => {
          // Unmeasured: caches warm again after the others' turns; a process that is new sees the whole prompt once.
          await contestant.prefill(reloaded ? prompt : prompt.slice(0, 32), 1, false);
          const prefill = await contestant.prefill(prompt, repeat, false);
          // The difference of two calls is decode alone: streamed tokens come in bursts when all cores compute.
          const first = await contestant.generate(context, 1, repeat, true);
          const all = await contestant.generate(context, newTokens, repeat, true);
          const decode = median(all.seconds) - median(first.seconds);
          const turn = {
            prefill: promptTokens / median(prefill.seconds),
            decode: (newTokens - 1) / decode,
            peakBytes: residentBytes(contestant.pid).peak,
          };
          turns.get(member)?.push(turn);
          say(
            `  ${round + 1} ${member.side.name}: prefill ${turn.prefill.toFixed(1)}, decode ${turn.decode.toFixed(1)} tokens/s`,
          );
        });
        if (reloaded) await member.close();
      }
    }
    return {
      kind: "models",
      date: new Date().toISOString(),
      machine,
      model,
      title,
      dtype,
      settings: { threads, prompt: promptTokens, newTokens, rounds, repeat, reloaded },
      check,
      contestants: team.map((member) => member.figures(turns.get(member) ?? [])),
    };
  } finally {
    for (const member of team) await member.close();
  }
}

/** Each member must compute the same; one that does not drops out. @returns what was compared */
async function agree(
  team: readonly Member[],
  model: string,
  dtype: Dtype,
  prompt: readonly number[],
  reloaded: boolean,
): Promise<string> {
  const golden = model === "stories" && dtype === "float32" ? goldenCases() : [];
  const tolerance = dtype === "float32" ? 1e-4 : 5e-2;
  const reference = team.find(({ side }) => side.name === "pytorch") ?? team[0];
  let expected: readonly number[] | undefined;
  for (const member of [reference, ...team.filter((other) => other !== reference)]) {
    await member.attempt(async (contestant) => {
      for (const { input_ids, sequence } of golden) {
        const count = sequence.length - input_ids.length;
        const { ids } = await contestant.generate(input_ids, count, 1, false);
        if (ids.join() !== sequence.slice(input_ids.length).join())
          throw new Error(`other greedy tokens than golden.json: ${ids.join(" ")}`);
      }
      const { logits = [] } = await contestant.prefill(prompt, 1, true);
      expected ??= logits;
      member.logitError = relativeError(logits, expected);
      if (!(member.logitError <= tolerance))
        throw new Error(`logits differ by ${member.logitError} of their largest entry`);
    });
    if (reloaded) await member.close();
  }
  const greedy = golden.length > 0 ? `${golden.length} greedy continuations of golden.json; ` : "";
  return `${greedy}logits of the last of ${prompt.length} prompt tokens within ${tolerance} of the largest, against ${reference.side.name}`;
}

type GoldenCase = { readonly input_ids: readonly number[]; readonly sequence: readonly number[] };

function goldenCases(): readonly GoldenCase[] {
  const file = readFileSync(shared("stories/model/golden.json"), "utf8");
  return (JSON.parse(file) as { cases: readonly GoldenCase[] }).cases;
}

function relativeError(logits: readonly number[], expected: readonly number[]): number {
  if (logits.length !== expected.length) return Infinity;
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...logits.map((x, i) => Math.abs(x - expected[i]))) / largest;
}

/** Beginning-of-text, then ids spread over the vocabulary beyond special and byte tokens. */
function promptOf(count: number, vocab: number): number[] {
  const first = 300;
  return Array.from({ length: count }, (_, i) =>
    i === 0 ? 1 : first + ((i * 7919) % (vocab - first)),
  );
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
