// Interleaved rounds (A, B, C, A, B, C …), each side in a process of its own, so that a disturbance of the machine meets all of
// them. On its first turn a side must show that it computes the same; a benchmark compares one computation.

import type { Member, Side, Turn } from "./contestants/member.ts";
import type { RemoteContestant } from "./contestants/protocol.ts";
import { dropFileCache, residentBytes } from "./machine.ts";
import { median } from "./statistics.ts";

export type Rounds = {
  readonly rounds: number;
  /** Sides are loaded anew for each turn, since they do not fit into memory together. */
  readonly reloaded: boolean;
  readonly check: (member: Member, contestant: RemoteContestant) => Promise<void>;
  /** What a turn measures, in tokens/s. */
  readonly measure: (contestant: RemoteContestant, side: Side) => Promise<Speeds>;
};

export type Speeds = Pick<Turn, "prefill" | "decode" | "cases">;

export type PrefillAndDecode = {
  readonly prompt: readonly number[];
  readonly newTokens: number;
  /** Repetitions within a turn; a turn's figure is their median. */
  readonly repeat: number;
  /** Tokens of a first, unmeasured prefill of each turn. */
  readonly warmUp: number;
};

/** Tokens of the prompt before a decode. */
export const CONTEXT = 16;

/** Lets the members take turns and leaves the figures with them. */
export async function takeTurns(team: readonly Member[], plan: Rounds): Promise<void> {
  try {
    for (let round = 0; round < plan.rounds; round++) {
      for (const member of team) {
        if (round >= (member.side.brief?.rounds ?? plan.rounds)) continue;
        // What a large side left of others' files in small pages would slow down whoever comes after it.
        if (plan.reloaded) dropFileCache();
        await member.attempt(async (contestant) => {
          if (round === 0) await plan.check(member, contestant);
          await turn(round, member, contestant, plan);
        });
        if (plan.reloaded) await member.close();
      }
    }
  } finally {
    for (const member of team) await member.close();
  }
}

async function turn(
  round: number,
  member: Member,
  contestant: RemoteContestant,
  { measure }: Rounds,
): Promise<void> {
  const speeds = await measure(contestant, member.side);
  const load = member.loadSeconds;
  const peakBytes = residentBytes(contestant.pid).peak;
  member.turns.push({ ...speeds, load, peakBytes });
  const { cases, ...two } = speeds;
  const said = Object.entries({ ...two, ...cases }).map(([name, x]) => `${name} ${x?.toFixed(1)}`);
  process.stderr.write(
    `  ${round + 1} ${member.side.name}: ${said.join(", ")} tokens/s, ` +
      `loaded in ${load.toFixed(1)} s, ${(peakBytes / 1e9).toFixed(2)} GB\n`,
  );
}

/** Measures prefill of the prompt, and decode after its first 16 tokens; less of both where a side is slow. */
export function prefillAndDecode({
  prompt,
  newTokens,
  repeat,
  warmUp,
}: PrefillAndDecode): Rounds["measure"] {
  return async (contestant, { brief }) => {
    const asked = prompt.slice(0, brief?.prompt ?? prompt.length);
    const wanted = brief?.newTokens ?? newTokens;
    const context = prompt.slice(0, CONTEXT);
    await contestant.prefill(asked.slice(0, warmUp), 1, false);
    const prefill = await contestant.prefill(asked, repeat, false);
    // The difference of two calls is decode alone: streamed tokens come in bursts when all cores compute.
    const first = await contestant.generate(context, 1, repeat, true);
    const all = await contestant.generate(context, wanted, repeat, true);
    return {
      prefill: asked.length / median(prefill.seconds),
      decode: (wanted - 1) / (median(all.seconds) - median(first.seconds)),
    };
  };
}

/** Beginning-of-text, then ids spread over the vocabulary beyond special and byte tokens. */
export function promptOf(count: number, vocab: number, seed = 0): number[] {
  const first = 300;
  return Array.from({ length: count }, (_, i) =>
    i === 0 ? 1 : first + (((i + 1009 * seed) * 7919) % (vocab - first)),
  );
}

/** Largest difference, relative to the largest entry. */
export function relativeError(logits: readonly number[], expected: readonly number[]): number {
  if (logits.length !== expected.length) return Infinity;
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...logits.map((x, i) => Math.abs(x - expected[i]))) / largest;
}

/** ‖a − b‖ / ‖b‖: 1.4 for what has nothing to do with b. */
export function distance(logits: readonly number[], expected: readonly number[]): number {
  if (logits.length !== expected.length) return Infinity;
  const squares = (values: readonly number[]): number => values.reduce((sum, x) => sum + x * x, 0);
  return Math.sqrt(squares(logits.map((x, i) => x - expected[i])) / squares(expected));
}
