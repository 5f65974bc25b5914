// How speed goes with the length of a prompt, and with the number of rows that decode at once: mistral.ts and llama.cpp take turns.
// Writes scaling-prompts-*.json or scaling-rows-*.json.

import { parseArgs } from "node:util";
import { type Figures, Member } from "./contestants/member.ts";
import { checkpoint, gguf, prepare, quantisedCheckpoint } from "./contestants/quantised-sides.ts";
import { everyWay, llamaCpp, ours } from "./contestants/sides.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { CONTEXT, distance, promptOf, type Rounds, takeTurns } from "./rounds.ts";
import { median } from "./statistics.ts";

const help = `Usage: npx node bench/scaling.ts <prompts|rows> [options]

prompts: tokens/s of prefill, by the length of the prompt. rows: tokens/s of decode in total, by the number of rows.
First: bash bench/setup.sh

  --layers N       of Mistral-7B's shape (default 4)
  --only A,B       of llama.cpp, q4, q4-plain, q4-wasm
  --lengths A,B    tokens of a prompt (default 64,512,4096), or rows (default 1,4,16)
  --new N          tokens that each row gets (default 64)
  --rounds N       turns of each side (default 3)
  --threads N      (default 2)
  --out FOLDER     ${OUT}
  --help           this text
`;

export type ScalingResult = {
  readonly kind: "scaling";
  readonly date: string;
  readonly machine: Machine;
  readonly what: "prompts" | "rows";
  readonly model: string;
  readonly title: string;
  readonly settings: {
    readonly threads: number;
    readonly rounds: number;
    /** Tokens of a prompt, or rows: the names of the contestants' cases. */
    readonly lengths: readonly number[];
    /** Tokens that each row gets. */
    readonly newTokens: number;
  };
  readonly check: string;
  readonly contestants: readonly Figures[];
};

const VOCABULARY = 32000;
/** Tokens of the prompt whose last logits are compared. */
const CHECKED = 32;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: "string", default: "4" },
    only: { type: "string" },
    lengths: { type: "string" },
    new: { type: "string", default: "64" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const [what] = positionals;
if (flags.help) process.stdout.write(help);
else if (what === "prompts" || what === "rows") await main(what);
else throw new Error(`${what}: expected prompts or rows`);

async function main(kind: ScalingResult["what"]): Promise<void> {
  const lengths = (flags.lengths ?? (kind === "prompts" ? "64,512,4096" : "1,4,16"))
    .split(",")
    .map(Number);
  const [rounds, threads, layers, newTokens] = [
    flags.rounds,
    flags.threads,
    flags.layers,
    flags.new,
  ].map(Number);
  const model = `mistral-7b-${layers}l`;
  const machine = thisMachine();
  const team = sidesOf(kind, model, layers, Math.max(...lengths)).map(
    (side) => new Member(side, threads),
  );
  if (team.length === 0) throw new Error(`--only ${flags.only}: no such side`);
  let expected: readonly number[] | undefined;
  await takeTurns(team, {
    rounds,
    reloaded: true,
    measure: kind === "prompts" ? byPrompt(lengths) : byRows(lengths, newTokens),
    async check(member, contestant) {
      const { logits = [] } = await contestant.prefill(promptOf(CHECKED, VOCABULARY), 1, true);
      expected ??= logits;
      member.accept(distance(logits, expected));
    },
  });
  const result: ScalingResult = {
    kind: "scaling",
    date: new Date().toISOString(),
    machine,
    what: kind,
    model,
    title: `${layers} layers of Mistral-7B's shape (random weights)`,
    settings: { threads, rounds, lengths, newTokens },
    check: `of the logits after ${CHECKED} tokens from those of ${team[0].side.title}, by their length`,
    contestants: team.map((member) => member.figures()),
  };
  saveResult(`scaling-${kind}-${model}.json`, result, flags.out);
}

function sidesOf(
  kind: ScalingResult["what"],
  model: string,
  layers: number,
  most: number,
): readonly Member["side"][] {
  const source = checkpoint(layers);
  const file = gguf(model, source.folder, "Q4_0");
  const q4 = quantisedCheckpoint(model, source.folder, "q4");
  prepare([source, file, q4]);
  // Two sides in 4 bits, each rounded in its own way; see quantised-sides.ts.
  const tolerance = layers >= 16 ? 2 : 0.8;
  const context =
    kind === "prompts"
      ? { contextSize: most + CONTEXT, sequences: 1 }
      : { contextSize: 256, sequences: most };
  return [
    llamaCpp("llama.cpp", "node-llama-cpp, Q4_0 (head Q6_K)", file.path, tolerance, context),
    ...ours("q4", "q4", q4.folder, { dtype: "auto", tolerance }, everyWay),
  ].filter(({ name }) => flags.only?.split(",").includes(name) ?? true);
}

/** A prompt is run so often within a turn, and the median counts. */
function repeatsOf(tokens: number): number {
  if (tokens <= 64) return 7;
  return tokens <= 512 ? 3 : 1;
}

function byPrompt(lengths: readonly number[]): Rounds["measure"] {
  return async (contestant) => {
    const cases: Record<string, number> = {};
    await contestant.prefill(promptOf(512, VOCABULARY), 1, false);
    for (const tokens of lengths) {
      const prompt = promptOf(tokens, VOCABULARY);
      if (tokens < 512) await contestant.prefill(prompt, 1, false);
      const { seconds } = await contestant.prefill(prompt, repeatsOf(tokens), false);
      cases[tokens] = tokens / median(seconds);
    }
    return { cases };
  };
}

function byRows(counts: readonly number[], newTokens: number): Rounds["measure"] {
  return async (contestant) => {
    const cases: Record<string, number> = {};
    for (const rows of counts) {
      const prompts = Array.from({ length: rows }, (_, row) => promptOf(CONTEXT, VOCABULARY, row));
      await contestant.decodeRows(prompts, 8, 1);
      // The difference of two calls is decode alone.
      const first = await contestant.decodeRows(prompts, 1, 3);
      const all = await contestant.decodeRows(prompts, newTokens, 1);
      cases[rows] = (rows * (newTokens - 1)) / (median(all.seconds) - median(first.seconds));
    }
    return { cases };
  };
}
