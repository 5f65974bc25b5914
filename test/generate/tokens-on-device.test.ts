// Tokens that the device chooses and reads again: steps whose ids the host has never seen give the tokens of steps that it feeds.

import { afterAll, expect, test } from "vitest";
import type { Backend, LeafSpec } from "../../src/backends/backend.ts";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { recordChoice, type SampledRow, sampleInputs } from "../../src/generate/device-sampling.ts";
import { uniformWords } from "../../src/generate/sampler.ts";
import { Graph } from "../../src/graph/graph.ts";
import { embed } from "../../src/ops/embed.ts";
import { linear } from "../../src/ops/linear.ts";
import { pickIds } from "../../src/ops/pick-ids.ts";
import { putTokens } from "../../src/ops/put-tokens.ts";
import { seeded } from "../random.ts";
import { planned, startTeam, type TestTeam } from "../wasm/team.ts";

const [V, H, SLOTS, SEQUENCES, STEPS] = [70, 12, 6, 4, 8];
const { plan, leaves } = nextTokens();
const teams: TestTeam[] = [];
afterAll(() => Promise.all(teams.map((team) => team.close())));

/** A model that looks at the last token only; what it chooses goes to the row's slot. */
function nextTokens(): ReturnType<typeof planned> {
  const graph = new Graph();
  const input = (name: string) => graph.leaf(name, "input", [SLOTS], "i32", "rows");
  const tokens = graph.leaf("tokens", "state", [SLOTS], "i32");
  const ids = graph.region("embed", () => pickIds(input("ids"), tokens, input("from")));
  const x = graph.region("embed", () => embed(ids, graph.leaf("table", "weight", [V, H])));
  return graph.region("head", () => {
    const [token] = recordChoice(linear(x, graph.leaf("lm_head", "weight", [V, H])), false);
    putTokens(tokens, token, input("to"));
    return planned(graph, [token]);
  });
}

async function backendWith(threads: number): Promise<Backend> {
  // The tokens lie where ids are read; the head may be in another memory.
  const placed = leaves.map((leaf): LeafSpec => {
    return leaf.name === "tokens" ? { ...leaf, regions: ["embed"] } : leaf;
  });
  let backend: Backend = new ReferenceBackend();
  if (threads === 0) await backend.place(placed);
  else {
    const team = await startTeam({ threads, shardBytes: 1 }, placed);
    teams.push(team);
    backend = team.backend;
  }
  for (const [i, { name, shape, kind }] of placed.entries()) {
    if (kind !== "weight") continue;
    const numbers = Float32Array.from(seeded(i + 5).numbers(shape[0] * shape[1]));
    await backend.load(name, async ([to]) => to.set(new Uint8Array(numbers.buffer)));
  }
  return backend;
}

function rowsOf(step: number): SampledRow[] {
  const settings = { draw: true, temperature: 1.2, topK: 20, cut: 0.05, minP: 0 };
  return Array.from({ length: SEQUENCES }, (_, s) => ({
    settings,
    words: uniformWords(11, s, step),
  }));
}

/** [STEPS][SEQUENCES]; `device`: from the second step on ids come from the slots. */
async function tokensOf(backend: Backend, device: boolean): Promise<number[][]> {
  const program = await backend.compile(plan);
  const slots = [5, 0, 3, 2];
  const nowhere = new Int32Array(SEQUENCES).fill(-1);
  const all: number[][] = [];
  for (let step = 0; step < STEPS; step++) {
    const isGiven = !device || step === 0;
    const last = all.at(-1) ?? [1, 2, 3, 4];
    const inputs = {
      ids: Int32Array.from(isGiven ? last : nowhere),
      from: isGiven ? nowhere : Int32Array.from(slots),
      to: device ? Int32Array.from(slots) : nowhere,
      ...sampleInputs(rowsOf(step)),
    };
    const [token] = await program.submit(inputs, { rows: SEQUENCES, wanted: 0 }, [0]);
    all.push([...token]);
  }
  program.dispose();
  return all;
}

test.each([0, 1, 2])("%d threads (0: the reference backend)", async (threads) => {
  const backend = await backendWith(threads);
  const given = await tokensOf(backend, false);
  expect(new Set(given.flat()).size).toBeGreaterThan(6);
  expect(await tokensOf(backend, true)).toEqual(given);
});
