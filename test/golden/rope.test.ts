import { expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { MistralConfig } from "../../src/models/config.ts";
import { checkRope, ropeAngles, ropeFrequencies, type RopeConfig } from "../../src/models/rope.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { shared, sharedJson } from "../shared.ts";

type Case = RopeConfig & { id: string; positions: number[]; attention_scaling: number };
const { cases } = sharedJson<{ cases: Case[] }>("goldens/forward/rope.json");
const goldens = readSafetensors(shared("goldens/forward/rope.safetensors"));
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
    expect(relativeError(inverse, goldens.get(`${c.id}.inv_freq`)?.data)).toBeLessThanOrEqual(
      TOLERANCE,
    );
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

function relativeError(ours: Float32Array, theirs: ArrayLike<number> | undefined): number {
  expect(theirs?.length).toBe(ours.length);
  return Math.max(
    ...Array.from(theirs ?? [], (value, i) => Math.abs(value - ours[i]) / Math.abs(value)),
  );
}
