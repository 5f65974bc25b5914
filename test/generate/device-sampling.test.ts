// Tokens chosen by the op `sample` are those of the host's processors and sampler: on random scores and settings, on numbers that
// lie exactly on a border, in both builds of the kernels, with one thread and two, and on the reference backend.

import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { EngineError, InputError } from "../../src/errors.ts";
import {
  chooseBy,
  type Chooser,
  recordSample,
  type SampledRow,
  sampleInputs,
} from "../../src/generate/device-sampling.ts";
import { buildProcessors, type ProcessorFields } from "../../src/generate/processors.ts";
import {
  greedy,
  multinomial,
  noTokenError,
  uniform,
  uniformWords,
} from "../../src/generate/sampler.ts";
import { softmax } from "../../src/ops/softmax.ts";
import { startTeam, type TestTeam } from "../wasm/team.ts";
import { type Row, rowArbitrary, rowOf, type RowSeed } from "./sampled-rows.ts";

const features = detectFeatures();
const teams: TestTeam[] = await Promise.all([
  startTeam({ threads: 1 }, []),
  startTeam({ threads: 2 }, []),
  startTeam({ threads: 2, features: { ...features, relaxedSimd: false } }, []),
]);
const backends: Readonly<Record<string, Backend>> = {
  "1 thread": teams[0].backend,
  "2 threads": teams[1].backend,
  "2 threads, plain build": teams[2].backend,
  reference: new ReferenceBackend(),
};
afterAll(() => Promise.all(teams.map((team) => team.close())));

/** The token, or the message of the error. */
function hostChoice({ scores, config, words }: Row): number | string {
  const changed = scores.slice();
  const context = { ids: new Int32Array(1), padding: 0, promptLength: 1, step: 0, sequence: 0 };
  for (const change of buildProcessors(config, { vocabSize: scores.length, promptLength: 1 })) {
    void change(context, changed); // these change the scores at once
  }
  try {
    const u = (words[0] * 2 ** 26 + words[1]) / 2 ** 53;
    return config.do_sample ? multinomial(changed, u) : greedy(changed);
  } catch (error) {
    return (error as EngineError).message;
  }
}

async function choices(backend: Backend, rows: readonly Row[]): Promise<(number | string)[]> {
  const V = rows[0].scores.length;
  const program = await backend.compile(recordSample(V, rows.length));
  try {
    const inputs = sampleInputs(rows.map(sampledRow));
    const scores = Float32Array.from(rows.flatMap((row) => [...row.scores]));
    const live = { rows: rows.length, wanted: 0 };
    const [token, status] = await program.submit({ scores, ...inputs }, live, [0, 1]);
    return Array.from(token, (id, n) => (status[n] === 0 ? id : noTokenError(status[n]).message));
  } finally {
    program.dispose();
  }
}

function sampledRow({ config, words, scores }: Row): SampledRow {
  const kept = { logits: false, scores: false };
  const setting = { vocabSize: scores.length, promptLength: 1 };
  return { settings: chooseBy(config, setting, kept).settings, words };
}

describe.each(Object.entries(backends))("%s", (_, backend) => {
  test("rows of any scores and settings", async () => {
    const sizes = fc.constantFrom(1, 2, 3, 5, 63, 64, 65, 130, 1000, 2048, 2049, 5000);
    const rows = fc.array(rowArbitrary, { minLength: 1, maxLength: 9 });
    await fc.assert(
      fc.asyncProperty(sizes, rows, async (V, seeds) => {
        const made = seeds.map((seed) => rowOf(seed, V));
        expect(await choices(backend, made)).toEqual(made.map(hostChoice));
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  test.each([32_000, 131_072])(
    "a vocabulary of %d",
    async (V) => {
      const seeds = fc.sample(rowArbitrary, { seed: V, numRuns: backend.name === "wasm" ? 24 : 4 });
      const made = seeds.map((seed) => rowOf(seed, V));
      expect(await choices(backend, made)).toEqual(made.map(hostChoice));
    },
    120_000,
  );
});

describe("each kind of cut, on many rows of 6,000 scores", () => {
  const cuts: Readonly<Record<string, Partial<RowSeed>>> = {
    "the best token": { draw: false },
    "no cut": { topK: 0, topP: 1, minP: 0 },
    "top_k of few": { topK: 40, topP: 1, minP: 0 },
    "top_k of many": { topK: 4000, topP: 1, minP: 0 },
    "top_p of many": { topK: 0, topP: 0.9, minP: 0 },
    "top_p at a border": { topK: 0, topP: "border", minP: 0 },
    "top_p at a border of few": { topK: 500, topP: "border", minP: 0 },
    "min_p at a border": { topK: 0, topP: 1, minP: "border" },
    "all at borders": { topK: 3000, topP: "border", minP: "border" },
    "top_p where sums in two orders differ": { spread: 30, topK: 0, topP: "border", minP: 0 },
    "the same of 3,000": { spread: 30, topK: 3000, topP: "border", minP: 0 },
    "top_p with more than half of the scores −∞": { spread: 30, holes: 0.7, topP: "border" },
    "top_k of scores next to each other": { kind: "adjacent", topK: 4000, topP: 1, minP: 0 },
    "top_p of zeros with both signs": { kind: "zeros", topK: 0, topP: 0.4, minP: 0 },
    "top_k of zeros with both signs": { kind: "zeros", topK: 40, topP: 1, minP: 0 },
    "scores far below the largest": { kind: "wide", topK: 0, topP: 1, minP: 0 },
  };
  test.each(Object.entries(cuts))("%s", async (_, fixed) => {
    const plain: Partial<RowSeed> = { kind: "normal", temperature: 1, odd: undefined, holes: 0 };
    const made = Array.from({ length: 60 }, (__, seed) => {
      const [one] = fc.sample(rowArbitrary, { seed, numRuns: 1 });
      return rowOf({ ...one, ...plain, draw: true, u: "border", spread: 3, ...fixed }, 6000);
    });
    expect(await choices(teams[1].backend, made)).toEqual(made.map(hostChoice));
  });
});

test("u of 0 takes the first token that has any probability", async () => {
  const below = [-746, -745.5, -745, -744.9, -744.5, -744.44, -744, -742, -740, -709, -708, -600];
  const config = { eos_token_id: null, do_sample: true };
  const made = below.map((_, i): Row => {
    return { scores: Float32Array.from([...below.slice(i), ...below, 0]), config, words: [0, 0] };
  });
  for (const row of made) {
    expect(await choices(teams[0].backend, [row])).toEqual([hostChoice(row)]);
  }
});

test("log-probabilities come for the rows that want them, under the logits as they were", async () => {
  const [V, N] = [500, 5];
  const logits = Float32Array.from({ length: N * V }, (_, i) => 9 * uniform(3, 0, i));
  const scores = logits.map((x, i) => (i % 7 === 0 ? -Infinity : x));
  const settings = { draw: true, temperature: 0.8, topK: 0, cut: 0.2, minP: 0 };
  const rows = Array.from({ length: N }, (_, n) => {
    return { settings, words: uniformWords(1, n, 0), logProb: n % 2 === 0 };
  });
  for (const backend of Object.values(backends)) {
    const program = await backend.compile(recordSample(V, N, true));
    const inputs = { scores, logits, ...sampleInputs(rows) };
    const [token, nll] = await program.submit(inputs, { rows: N, wanted: 0 }, [0, 2]);
    for (let n = 0; n < N; n++) {
      const p = softmax(logits.slice(n * V, (n + 1) * V))[token[n]];
      expect(nll[n]).toBeCloseTo(n % 2 === 0 ? -Math.log(p) : 0, 4);
    }
    program.dispose();
  }
});

test("rows that the host chooses for are skipped", async () => {
  const made = fc.sample(rowArbitrary, { seed: 8, numRuns: 3 });
  const rows = made.map((seed) => rowOf({ ...seed, kind: "normal", odd: undefined, holes: 0 }, 90));
  const program = teams[0].backend.compile(recordSample(90, 3));
  const inputs = sampleInputs([sampledRow(rows[0]), undefined, sampledRow(rows[2])]);
  const scores = Float32Array.from(rows.flatMap((row) => [...row.scores]));
  const [token] = await program.submit({ scores, ...inputs }, { rows: 3, wanted: 0 }, [0]);
  expect([token[0], token[2]]).toEqual([rows[0], rows[2]].map(hostChoice));
  program.dispose();
});

describe("who chooses", () => {
  const sampling = { do_sample: true, temperature: 0.7, top_k: 50, top_p: 0.9, min_p: 0.1 };
  const rows: [Partial<ProcessorFields>, Chooser, processors: number][] = [
    [{}, "device", 0],
    [{ top_k: 50, temperature: 0.5 }, "device", 0],
    [sampling, "device", 0],
    [{ ...sampling, typical_p: 1, epsilon_cutoff: 0, num_beams: 1 }, "device", 0],
    [{ ...sampling, repetition_penalty: 1.2, suppress_tokens: [3] }, "scores", 2],
    [{ ...sampling, remove_invalid_values: true }, "scores", 1],
    [{ repetition_penalty: 1.2 }, "host", 1],
    [{ ...sampling, typical_p: 0.9 }, "host", 5],
    [{ ...sampling, repetition_penalty: 1.2, top_h: 0.4 }, "host", 6],
    [{ ...sampling, epsilon_cutoff: 0.1 }, "host", 5],
    [{ ...sampling, eta_cutoff: 0.1 }, "host", 5],
    [{ ...sampling, renormalize_logits: true }, "host", 5],
    [{ renormalize_logits: true }, "host", 1],
    [{ ...sampling, num_beams: 2 }, "host", 4],
  ];
  const setting = { vocabSize: 8, promptLength: 1 };
  const choice = (config: Partial<ProcessorFields>, kept = { logits: false, scores: false }) =>
    chooseBy({ eos_token_id: null, ...config }, setting, kept);

  test.each(rows)("%j: %s", (config, chooser, count) => {
    const { processors, ...found } = choice(config);
    expect([found.chooser, processors.length]).toEqual([chooser, count]);
  });

  test("the host sees what the call gives back", () => {
    expect(choice(sampling, { logits: true, scores: false }).chooser).toBe("scores");
    expect(choice({}, { logits: true, scores: false }).chooser).toBe("host");
    expect(choice(sampling, { logits: false, scores: true }).chooser).toBe("host");
  });

  test("the caller's own processor comes before", () => {
    const own = { ...setting, logits_processor: [() => {}] };
    const kept = { logits: false, scores: false };
    const made = chooseBy({ eos_token_id: null, ...sampling }, own, kept);
    expect([made.chooser, made.processors]).toEqual(["scores", own.logits_processor]);
  });

  test("values out of their range are refused", () => {
    expect(() => choice({ do_sample: true, top_p: 2 })).toThrow(InputError);
  });
});
