// The angles of every rope type against the reference data, and against more frequencies of Transformers, bit for bit: an ulp
// of a frequency is an error of 2e-3 in an angle at position 32,767.

import { expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { MistralConfig } from "../../src/models/config.ts";
import {
  checkRope,
  ropeAngles,
  type RopeConfig,
  ropeFrequencies,
  ropeKey,
} from "../../src/models/rope.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";
import more from "./rope-types.json" with { type: "json" };

type Case = RopeConfig & { id: string; positions: number[]; attention_scaling: number };
const { cases } = goldenJson<{ cases: Case[] }>("forward/rope.json");
const goldens = readSafetensors(goldenPath("forward/rope.safetensors"));
const TOLERANCE = 1e-5; // goldens/README.md

test.each(cases.map((c) => [`${c.id} ${String(c.rope_parameters.rope_type)}`, c] as const))(
  "rope %s gives the reference's frequencies, cos and sin",
  (_, c) => {
    const config = new MistralConfig({ ...c, hidden_size: 64, num_attention_heads: 4 });
    const length = Math.max(...c.positions) + 1;
    const { inverse, scaling } = ropeFrequencies(config, length);
    const { cos, sin } = ropeAngles(config, c.positions);
    const half = c.head_dim / 2;
    expect(inverse.length).toBe(half);
    expect(cos.length).toBe(c.positions.length * half);
    expect(scaling).toBeCloseTo(c.attention_scaling, 6);
    const expected = Array.from(goldens.get(`${c.id}.inv_freq`)?.data ?? []);
    expect(expected.length).toBe(half);
    const apart = expected.map((value, i) => Math.abs(value - inverse[i]) / (Math.abs(value) || 1));
    expect(Math.max(...apart)).toBeLessThanOrEqual(TOLERANCE);
    // The reference keeps cos and sin of both halves of a head, which are the same.
    for (const [ours, name] of [
      [cos, "cos"],
      [sin, "sin"],
    ] as const) {
      const theirs = goldens.get(`${c.id}.${name}`)?.data ?? [];
      expect(theirs.length).toBe(2 * ours.length);
      const worst = Math.max(
        ...Array.from(theirs, (value, i) => {
          const [t, d] = [Math.floor(i / c.head_dim), i % half];
          return Math.abs(value - ours[t * half + d]);
        }),
      );
      expect(worst).toBeLessThanOrEqual(TOLERANCE);
    }
  },
);

type More = {
  name: string;
  rope_parameters: Record<string, unknown>;
  sequence_length: number;
  inv_freq: number[];
  attention_scaling: number;
};

test.each((more.cases as More[]).map((c) => [c.name, c] as const))(
  "rope %s: the frequencies of Transformers, bit for bit",
  (_, c) => {
    const config = new MistralConfig({
      hidden_size: 64,
      num_attention_heads: 4,
      max_position_embeddings: 512,
      rope_parameters: c.rope_parameters,
    });
    const { inverse, scaling } = ropeFrequencies(config, c.sequence_length);
    expect([...inverse]).toEqual(c.inv_freq);
    expect(scaling).toBe(Math.fround(c.attention_scaling));
  },
);

const of = (rope_parameters: Record<string, unknown>): RopeConfig => ({
  head_dim: 8,
  max_position_embeddings: 64,
  rope_parameters: { rope_theta: 10000, ...rope_parameters },
});

test("types fall together where their parameters say so", () => {
  const plain = ropeFrequencies(of({}));
  const ones = [1, 1, 1, 1];
  for (const parameters of [
    { rope_type: "linear", factor: 1 },
    { rope_type: "dynamic", factor: 4 },
    { rope_type: "proportional" },
    { rope_type: "yarn", factor: 1 },
    { rope_type: "longrope", short_factor: ones, long_factor: ones },
  ]) {
    expect(ropeFrequencies(of(parameters), 64)).toEqual(plain);
  }
});

test("dynamic and longrope look at the length of the sequence, not at the rows asked for", () => {
  const dynamic = of({ rope_type: "dynamic", factor: 2 });
  expect(ropeAngles(dynamic, [3], [65])).not.toEqual(ropeAngles(dynamic, [3], [64]));
  expect(ropeAngles(dynamic, [3, 99])).toEqual(ropeAngles(dynamic, [3, 99], [100, 100]));
  expect(ropeAngles(dynamic, [3], [64])).toEqual(ropeAngles(of({}), [3]));
  const long = of({
    rope_type: "longrope",
    short_factor: [1, 1, 1, 1],
    long_factor: [2, 2, 2, 2],
    original_max_position_embeddings: 32,
  });
  expect(ropeFrequencies(long, 33).inverse[0]).toBe(0.5);
  expect(ropeFrequencies(long, 32).inverse[0]).toBe(1);
});

test("each row has the angles of its own length", () => {
  const dynamic = of({ rope_type: "dynamic", factor: 2 });
  const lengths = [64, 80, 80, 65, 20];
  const { cos, sin } = ropeAngles(dynamic, [3, 3, 9, 3, 3], lengths);
  [3, 3, 9, 3, 3].forEach((position, t) => {
    const alone = ropeAngles(dynamic, [position], [lengths[t]]);
    expect(cos.subarray(t * 4, (t + 1) * 4)).toEqual(alone.cos);
    expect(sin.subarray(t * 4, (t + 1) * 4)).toEqual(alone.sin);
  });
});

test("two lengths have one key if and only if they have the same angles", () => {
  const long = {
    ...{ rope_type: "longrope", original_max_position_embeddings: 70 },
    ...{ short_factor: [1, 1, 1, 1], long_factor: [2, 2, 2, 2] },
  };
  for (const parameters of [
    {},
    { rope_type: "linear", factor: 2 },
    { rope_type: "dynamic", factor: 2 },
    long,
  ]) {
    const config = of(parameters);
    const lengths = Array.from({ length: 20 }, (_, i) => 60 + i);
    for (const a of lengths) {
      for (const b of lengths) {
        const same =
          ropeFrequencies(config, a).inverse[1] === ropeFrequencies(config, b).inverse[1];
        expect(ropeKey(config, a) === ropeKey(config, b)).toBe(same);
      }
    }
    expect(ropeKey(config, 10)).toBe(0);
  }
});

test("a thousand lengths of a dynamic model stay right while old ones are dropped", () => {
  const dynamic = of({ rope_type: "dynamic", factor: 2 });
  const first = ropeFrequencies(dynamic, 70).inverse.slice();
  for (let length = 65; length < 1065; length++) ropeFrequencies(dynamic, length);
  expect(ropeFrequencies(dynamic, 70).inverse).toEqual(first);
});

test("no rows give no angles", () => {
  expect(ropeAngles(of({}), [])).toEqual({ cos: new Float32Array(0), sin: new Float32Array(0) });
});

test.each([
  [{ rope_theta: undefined }, "rope_theta is missing"],
  [{ rope_type: 5 }, "rope type"],
  [{ rope_type: "constructor" }, "rope type"],
  [{ rope_type: "yarn", factor: 2, truncate: "no" }, 'truncate is "no", expected true or false'],
  [{ rope_theta: 1e-300 }, "no finite numbers"],
  [{ rope_type: "yarn", factor: "2" }, 'factor is "2", expected a number of at least 1'],
  [{ rope_type: "proportional", partial_rotary_factor: 2 }, "a number from 0 to 1"],
  [{ rope_type: "proportional", factor: 0 }, "factor is 0, expected a number above 0"],
  [{ rope_type: "longrope", short_factor: [1, 1, 1, 1], long_factor: [1, 1, 0, 1] }, "long_factor"],
  [{ rope_type: "llama3", factor: 8, low_freq_factor: 1 }, "high_freq_factor is missing"],
])("malformed parameters %j", (parameters, message) => {
  expect(() => checkRope(of(parameters))).toThrow(CheckpointError);
  expect(() => checkRope(of(parameters))).toThrow(message);
});
