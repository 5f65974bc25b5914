// Model speed side by side, in one run: mistral.ts, PyTorch and transformers.js take turns, round by round (A, B, C, A, B, C …),
// each in a process of its own, so that a disturbance of the machine meets all of them. Before any figure is taken, each must
// give the same tokens or logits: a benchmark compares one computation. Writes models-*.json.

import { existsSync, readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Figures, Member, type Side } from "./contestants/member.ts";
import type { RemoteContestant } from "./contestants/protocol.ts";
import {
  everyWay,
  ours,
  needPython,
  python,
  pytorch,
  run,
  stories,
  transformersJs,
  work,
} from "./contestants/sides.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { prefillAndDecode, promptOf, relativeError, takeTurns } from "./rounds.ts";
import { goldenPath } from "../test/golden-files.ts";

const here = import.meta.dirname;

const help = `Usage: npx node bench/models.ts [options]

Measures prefill and decode of mistral.ts, PyTorch and transformers.js in turns. First: bash bench/setup.sh

  --model NAME     stories (the embedded model), mistral-7b-4l (4 layers of Mistral-7B's shape, random weights) or all (default)
  --dtype NAME     float32, bfloat16 or all (default)
  --only A,B       only these contestants: ours, ours-plain, ours-wasm, pytorch, transformers.js
  --rounds N       turns of each contestant (default: the model's)
  --prompt N       tokens of the prefill (default 512)
  --new N          tokens of the decode (default: the model's)
  --threads N      (default 2)
  --reload         load contestants anew for each turn, as is done when they do not fit into memory together
  --out FOLDER     ${OUT}
  --help           this text
`;

type Dtype = "float32" | "bfloat16";

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

function sidesOf(model: string, dtype: Dtype): readonly Side[] {
  const tolerance = dtype === "float32" ? 1e-4 : 5e-2;
  const rest = { dtype, tolerance };
  const dir = models[model].dir(dtype);
  const onnx = join(work, `${model}-onnx`);
  const missing = dtype === "float32" ? "" : " (it has no bfloat16)";
  return [
    pytorch("pytorch", `PyTorch, ${dtype}`, dir, rest),
    ...ours("ours", dtype, dir, rest, everyWay),
    transformersJs("transformers.js", `transformers.js, fp32${missing}`, onnx, {
      dtype: "fp32",
      tolerance,
    }),
  ];
}

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "all" },
    dtype: { type: "string", default: "all" },
    only: { type: "string" },
    rounds: { type: "string" },
    prompt: { type: "string", default: "512" },
    new: { type: "string" },
    threads: { type: "string", default: "2" },
    out: { type: "string" },
    reload: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  needPython();
  for (const model of chosen("model", flags.model, Object.keys(models))) {
    for (const dtype of chosen("dtype", flags.dtype, ["float32", "bfloat16"])) {
      const wanted = flags.only?.split(",");
      const sides = sidesOf(model, dtype as Dtype).filter(
        ({ name }) => wanted?.includes(name) ?? true,
      );
      prepare(model, dtype as Dtype, sides);
      const result = await compare(model, dtype as Dtype, sides);
      saveResult(`models-${model}-${dtype}.json`, result, flags.out);
    }
  }
}

function chosen(flag: string, value: string, known: readonly string[]): readonly string[] {
  if (value !== "all" && !known.includes(value))
    throw new Error(`--${flag} ${value}: expected all, ${known.join(" or ")}`);
  return value === "all" ? known : [value];
}

/** Writes the checkpoint, and its ONNX export if transformers.js takes part, where they are not there yet. */
function prepare(model: string, dtype: Dtype, sides: readonly Side[]): void {
  const make = (kind: Dtype): void => {
    const dir = models[model].dir(kind);
    const shape = ["--shape", "mistral-7b", "--layers", "4", "--dtype", kind];
    const script = join(here, "make-checkpoint.ts");
    // The exporter wants some tokenizer; which one does not matter here.
    if (!existsSync(join(dir, "config.json")))
      run(process.execPath, script, dir, ...shape, "--tokenizer", stories);
  };
  if (model !== "stories") make(dtype);
  if (!sides.some(({ name }) => name === "transformers.js")) return;
  if (model !== "stories") make("float32");
  const onnx = join(work, `${model}-onnx`);
  if (!existsSync(join(onnx, "onnx/model.onnx")))
    run(python, join(here, "export-onnx.py"), models[model].dir("float32"), onnx);
}

async function compare(model: string, dtype: Dtype, sides: readonly Side[]): Promise<ModelResult> {
  const { title, rounds: usual, newTokens: usualNew, repeat, bytes, vocab } = models[model];
  const rounds = Number(flags.rounds ?? usual);
  const newTokens = Number(flags.new ?? usualNew);
  const [threads, promptTokens] = [Number(flags.threads), Number(flags.prompt)];
  const reloaded = flags.reload || 1.1 * bytes * sides.length > 0.85 * totalmem();
  const machine = thisMachine();
  const prompt = promptOf(promptTokens, vocab);
  const team = sides.map((side) => new Member(side, threads));
  say(
    `${title}, ${dtype}: ${rounds} rounds${reloaded ? ", loaded anew for each turn (memory)" : ""}`,
  );

  const golden = model === "stories" && dtype === "float32" ? goldenCases() : [];
  let expected: readonly number[] | undefined;
  const check = async (member: Member, contestant: RemoteContestant): Promise<void> => {
    await continues(contestant, golden);
    const { logits = [] } = await contestant.prefill(prompt, 1, true);
    expected ??= logits;
    member.accept(relativeError(logits, expected));
  };
  // Caches warm again after the others' turns; a process that is new sees the whole prompt once.
  const warmUp = reloaded ? promptTokens : 32;
  const measure = prefillAndDecode({ prompt, newTokens, repeat, warmUp });
  await takeTurns(team, { rounds, reloaded, check, measure });
  const greedy = golden.length > 0 ? `${golden.length} greedy continuations of golden.json; ` : "";
  return {
    kind: "models",
    date: new Date().toISOString(),
    machine,
    model,
    title,
    dtype,
    settings: { threads, prompt: promptTokens, newTokens, rounds, repeat, reloaded },
    check:
      `${greedy}logits of the last of ${promptTokens} prompt tokens within ${team[0].side.tolerance} of the largest, ` +
      `against ${team[0].side.name}`,
    contestants: team.map((member) => member.figures()),
  };
}

async function continues(
  contestant: RemoteContestant,
  golden: readonly GoldenCase[],
): Promise<void> {
  for (const { input_ids, sequence } of golden) {
    const count = sequence.length - input_ids.length;
    const { ids } = await contestant.generate(input_ids, count, 1, false);
    if (ids.join() !== sequence.slice(input_ids.length).join())
      throw new Error(`other greedy tokens than golden.json: ${ids.join(" ")}`);
  }
}

type GoldenCase = { readonly input_ids: readonly number[]; readonly sequence: readonly number[] };

function goldenCases(): readonly GoldenCase[] {
  const file = readFileSync(goldenPath("stories/model/golden.json"), "utf8");
  return (JSON.parse(file) as { cases: readonly GoldenCase[] }).cases;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
