// Whole models in few bits, side by side in one run: mistral.ts, llama.cpp, PyTorch, bitsandbytes and transformers.js take turns.
// Real loops: prefill of 512 and greedy decode of 128 tokens, time to load, peak memory. What a side reads is made first, where
// it is missing. Writes quantised-*.json.

import { parseArgs } from "node:util";
import { type Figures, Member, type Side } from "./contestants/member.ts";
import type { RemoteContestant } from "./contestants/protocol.ts";
import { embeddedSides, mistralSides, prepare } from "./contestants/quantised-sides.ts";
import { needPython } from "./contestants/sides.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { distance, prefillAndDecode, promptOf, takeTurns } from "./rounds.ts";

const help = `Usage: npx node bench/quantised.ts [options]

Measures models in few bits beside their competitors, in turns. First: bash bench/setup.sh

  --model NAME    mistral-7b (its shape, random weights; default) or stories (the embedded model)
  --layers N      of mistral-7b: 4 (default) or up to 32, which takes 35 GB of disk
  --only A,B      only these sides; --list shows their names
  --rounds N      turns of each side (default 5; 3 from 16 layers on)
  --prompt N      tokens of the prefill (default 512)
  --new N         tokens of the decode (default 128)
  --threads N     (default 2)
  --prepare       make what the sides read, and measure nothing
  --list          name the sides
  --out FOLDER    ${OUT}
  --help          this text
`;

export type QuantisedResult = {
  readonly kind: "quantised";
  readonly date: string;
  readonly machine: Machine;
  readonly model: string;
  readonly title: string;
  readonly layers: number;
  readonly settings: {
    readonly threads: number;
    readonly prompt: number;
    readonly newTokens: number;
    readonly rounds: number;
    readonly repeat: number;
    readonly reloaded: boolean;
  };
  readonly check: string;
  readonly contestants: readonly Figures[];
};

/** Tokens of the prompt whose last logits are compared; below the embedded model's window, which llama.cpp does not have. */
const CHECKED = 32;

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "mistral-7b" },
    layers: { type: "string", default: "4" },
    only: { type: "string" },
    rounds: { type: "string" },
    prompt: { type: "string", default: "512" },
    new: { type: "string", default: "128" },
    threads: { type: "string", default: "2" },
    prepare: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  if (flags.model !== "mistral-7b" && flags.model !== "stories")
    throw new Error(`--model ${flags.model}: expected mistral-7b or stories`);
  const layers = flags.model === "stories" ? 7 : count("layers", flags.layers);
  const all = flags.model === "stories" ? embeddedSides() : mistralSides(layers);
  const wanted = all.filter(({ side }) => flags.only?.split(",").includes(side.name) ?? true);
  if (flags.list || wanted.length === 0) {
    process.stdout.write(`${all.map(({ side }) => `${side.name}: ${side.title}`).join("\n")}\n`);
    if (!flags.list) throw new Error(`--only ${flags.only}: no such side`);
    return;
  }
  needPython();
  prepare(wanted.flatMap(({ needs }) => needs));
  if (flags.prepare) return;
  const result = await compare(
    layers,
    wanted.map(({ side }) => side),
  );
  saveResult(`quantised-${result.model}.json`, result, flags.out);
}

function count(flag: string, value: string): number {
  const number = Number(value);
  if (!(Number.isInteger(number) && number > 0))
    throw new Error(`--${flag} ${value}: expected a positive integer`);
  return number;
}

async function compare(layers: number, sides: readonly Side[]): Promise<QuantisedResult> {
  const embedded = flags.model === "stories";
  const vocab = embedded ? 2048 : 32000;
  const rounds = count("rounds", flags.rounds ?? (layers >= 16 ? "3" : "5"));
  const newTokens = count("new", flags.new);
  const threads = count("threads", flags.threads);
  const prompt = promptOf(count("prompt", flags.prompt), vocab);
  const machine = thisMachine();
  const team = sides.map((side) => new Member(side, threads));
  const title = embedded
    ? "embedded model (3.2 M weights)"
    : `${layers} layers of Mistral-7B's shape (random weights)`;
  process.stderr.write(`${title}: ${rounds} rounds\n`);

  let expected: readonly number[] | undefined;
  const check = async (member: Member, contestant: RemoteContestant): Promise<void> => {
    const { logits = [] } = await contestant.prefill(prompt.slice(0, CHECKED), 1, true);
    expected ??= logits;
    member.accept(distance(logits, expected));
  };
  const repeat = embedded ? 3 : 1;
  const reloaded = !embedded;
  const warmUp = layers >= 16 ? 64 : prompt.length;
  const measure = prefillAndDecode({ prompt, newTokens, repeat, warmUp });
  await takeTurns(team, { rounds, reloaded, check, measure });
  return {
    kind: "quantised",
    date: new Date().toISOString(),
    machine,
    model: embedded ? "stories" : `mistral-7b-${layers}l`,
    title,
    layers,
    settings: { threads, prompt: prompt.length, newTokens, rounds, repeat, reloaded },
    check: `of the logits after ${CHECKED} tokens from those of ${team[0].side.title}, by their length`,
    contestants: team.map((member) => member.figures()),
  };
}
