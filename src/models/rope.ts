// The angles of rotary position embeddings (Su et al. 2021, arXiv:2104.09864) for every rope type that a config may name, computed in
// the order and with the f32 rounding of Transformers 5.23; in f64, angles would differ by 1.7e-3 at position 32,767.
// Types: default, linear, dynamic (NTK), yarn (arXiv:2309.00071), longrope (arXiv:2402.13753), llama3, proportional.
// D head size, T rows. Knows no model and no cache: positions come in, cos and sin [T, D/2] go out.

import { unknownName } from "../did-you-mean.ts";
import { CheckpointError } from "../errors.ts";

/** What the angles depend on; MistralConfig is one. */
export type RopeConfig = {
  readonly head_dim: number;
  readonly max_position_embeddings: number;
  readonly rope_parameters: { readonly [key: string]: unknown };
};

/** cos and sin for the first half of a head's dimensions, row by row. The second half has the same. */
export type RopeAngles = { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> };

/** Inverse frequencies [D/2], and the factor of cos and sin. */
export type RopeFrequencies = {
  readonly inverse: Float32Array<ArrayBuffer>;
  readonly scaling: number;
};

/**
 * cos and sin [T, D/2] at `positions` [T].
 *
 * @param lengths [T] the sequence length for which each row's angles are computed; only `dynamic` and `longrope` depend on it.
 *   Default: all rows are one sequence, whose length is the largest position + 1. Transformers remembers the longest sequence that
 *   a `dynamic` model has met; here the same input always gives the same angles
 * @throws CheckpointError `rope_parameters` are incomplete or out of range
 */
export function ropeAngles(
  config: RopeConfig,
  positions: ArrayLike<number>,
  lengths?: ArrayLike<number>,
): RopeAngles {
  const half = config.head_dim / 2;
  const cos = new Float32Array(positions.length * half);
  const sin = new Float32Array(positions.length * half);
  let length = lengths?.[0] ?? largest(positions) + 1;
  let { inverse, scaling } = ropeFrequencies(config, length);
  for (let t = 0, i = 0; t < positions.length; t++) {
    if (lengths !== undefined && lengths[t] !== length) {
      length = lengths[t];
      ({ inverse, scaling } = ropeFrequencies(config, length));
    }
    const position = fround(positions[t]);
    for (let d = 0; d < half; d++, i++) {
      const angle = fround(position * inverse[d]);
      cos[i] = fround(Math.cos(angle)) * scaling;
      sin[i] = fround(Math.sin(angle)) * scaling;
    }
  }
  return { cos, sin };
}

/**
 * A number that is the same for two lengths if and only if a position has the same angles in sequences of both lengths. 0 where the
 * length changes nothing; for most rope types always.
 */
export function ropeKey(config: RopeConfig, length: number): number {
  const { type, maxLength, originalLength } = readParameters(config);
  if (type === "dynamic") return length > maxLength ? length : 0;
  return type === "longrope" && length > originalLength ? 1 : 0;
}

/** The frequencies for a sequence of that length. They are remembered for each `rope_parameters` object: to change it, assign a new one. */
export function ropeFrequencies(config: RopeConfig, length = 0): RopeFrequencies {
  const parameters = readParameters(config);
  const key = ropeKey(config, length);
  let frequencies = parameters.known.get(key);
  if (frequencies === undefined) {
    // A dynamic model has other frequencies for every length: keep at most 64.
    if (parameters.known.size >= 64) parameters.known.clear();
    frequencies = types[parameters.type](parameters, key);
    if (!(frequencies.inverse.every(Number.isFinite) && Number.isFinite(frequencies.scaling))) {
      throw new CheckpointError(
        `rope_parameters ${JSON.stringify(config.rope_parameters)} give frequencies that are no finite numbers`,
      );
    }
    parameters.known.set(key, frequencies);
  }
  return frequencies;
}

/** Checks the rope settings of a config. @throws CheckpointError naming the field; checkConfig adds where the config is from */
export function checkRope(config: RopeConfig): void {
  ropeFrequencies(config);
}

const fround = Math.fround;

/** The checked settings, and functions that read the settings of one type. */
type Parameters = {
  readonly type: keyof typeof types;
  readonly headDim: number;
  readonly maxLength: number;
  readonly theta: number;
  /** original_max_position_embeddings, or the config's own maximum. */
  readonly originalLength: number;
  /** A number of at least `from`. `otherwise`: the default; without one the setting must be given. */
  readonly number: (name: string, from: number, otherwise?: number) => number;
  readonly positive: (name: string, otherwise?: number) => number;
  /** D/2 numbers above 0. */
  readonly list: (name: string) => Float32Array<ArrayBuffer>;
  readonly flag: (name: string, otherwise: boolean) => boolean;
  readonly has: (name: string) => boolean;
  /** Frequencies that have been computed, by ropeKey. */
  readonly known: Map<number, RopeFrequencies>;
};

const cache = new WeakMap<object, Parameters>();

function readParameters(config: RopeConfig): Parameters {
  const kept = cache.get(config.rope_parameters);
  const { head_dim: headDim, max_position_embeddings: maxLength, rope_parameters: given } = config;
  if (kept?.headDim === headDim && kept.maxLength === maxLength) return kept;

  const fail = (name: string, expected: string): CheckpointError =>
    new CheckpointError(
      `rope_parameters.${name} is ${JSON.stringify(given[name]) ?? "missing"}${Number.isNaN(given[name]) ? " (NaN)" : ""}, expected ${expected}` +
        ` for rope_type ${JSON.stringify(type)}`,
    );
  const type = given.rope_type ?? "default";
  if (typeof type !== "string" || !Object.hasOwn(types, type)) {
    throw new CheckpointError(
      `rope_parameters.rope_type: ${unknownName("rope type", type, Object.keys(types))} (known: ${Object.keys(types).join(", ")})`,
    );
  }
  if (!(headDim >= 2 && headDim % 2 === 0)) {
    throw new CheckpointError(
      `head_dim is ${headDim}, expected an even number: rotations take pairs of dimensions`,
    );
  }
  const number = (name: string, from: number, otherwise?: number): number => {
    const value = given[name] ?? otherwise;
    if (typeof value === "number" && Number.isFinite(value) && value >= from) return value;
    throw fail(name, `a number of at least ${from}`);
  };
  const positive = (name: string, otherwise?: number): number => {
    if (number(name, 0, otherwise) === 0) throw fail(name, "a number above 0");
    return number(name, 0, otherwise);
  };
  const rotated = number("partial_rotary_factor", 0, 1);
  if (type === "proportional" ? rotated > 1 : rotated !== 1) {
    throw fail(
      "partial_rotary_factor",
      type === "proportional" ? "a number from 0 to 1" : "1 (Mistral rotates whole heads)",
    );
  }
  const parameters: Parameters = {
    type: type as keyof typeof types,
    headDim,
    maxLength,
    theta: positive("rope_theta"),
    originalLength: number("original_max_position_embeddings", 1, maxLength),
    number,
    positive,
    list(name) {
      const value = given[name];
      const fits = Array.isArray(value) && value.length === headDim / 2;
      if (fits && value.every((x) => typeof x === "number" && x > 0 && Number.isFinite(x)))
        return Float32Array.from(value as number[]);
      throw fail(name, `a list of ${headDim / 2} numbers above 0 (head_dim / 2)`);
    },
    flag(name, otherwise) {
      const value = given[name] ?? otherwise;
      if (typeof value === "boolean") return value;
      throw fail(name, "true or false");
    },
    has: (name) => given[name] !== undefined && given[name] !== null,
    known: new Map(),
  };
  cache.set(given, parameters);
  return parameters;
}

function largest(positions: ArrayLike<number>): number {
  let max = -1;
  for (let t = 0; t < positions.length; t++) max = Math.max(max, positions[t]);
  return max;
}

/** base^(2i / dim) for i < count, each step rounded to f32. */
function powers(base: number, dim: number, count: number): Float32Array<ArrayBuffer> {
  const rounded = fround(base);
  return Float32Array.from({ length: count }, (_, i) => Math.pow(rounded, fround((2 * i) / dim)));
}

function inverses(base: number, dim: number, count = dim / 2): Float32Array<ArrayBuffer> {
  return powers(base, dim, count).map((power) => 1 / power);
}

const types = {
  default: ({ theta, headDim }: Parameters): RopeFrequencies => ({
    inverse: inverses(theta, headDim),
    scaling: 1,
  }),

  linear({ theta, headDim, number }: Parameters): RopeFrequencies {
    const factor = fround(number("factor", 1));
    return { inverse: inverses(theta, headDim).map((f) => f / factor), scaling: 1 };
  },

  /** NTK: a longer sequence gets a larger base. Up to the maximum length (`length` is 0 then) as the default type. */
  dynamic({ theta, headDim: dim, maxLength, number }: Parameters, length: number): RopeFrequencies {
    const factor = number("factor", 1);
    if (dim < 4)
      throw new CheckpointError(`head_dim is ${dim}, the rope type "dynamic" needs at least 4`);
    if (length === 0) return { inverse: inverses(theta, dim), scaling: 1 };
    // torch computes all of this but the exponent in f32.
    const stretch = fround(
      fround(fround(fround(factor) * fround(length)) / fround(maxLength)) - fround(factor - 1),
    );
    const base = fround(fround(theta) * fround(Math.pow(stretch, dim / (dim - 2))));
    return { inverse: inverses(base, dim), scaling: 1 };
  },

  /** High frequencies stay, low ones are divided by `factor`, and a linear ramp leads from one to the other. */
  yarn(p: Parameters): RopeFrequencies {
    const { theta, headDim: dim, originalLength } = p;
    const factor = p.number("factor", 1);
    const [fast, slow] = [p.number("beta_fast", 0, 32) || 32, p.number("beta_slow", 0, 1) || 1];
    // The dimension that makes that many turns within the original length.
    const dimension = (turns: number): number =>
      (dim * Math.log(originalLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
    let [low, high] = [dimension(fast), dimension(slow)];
    if (p.flag("truncate", true)) [low, high] = [Math.floor(low), Math.ceil(high)];
    [low, high] = [Math.max(low, 0), Math.min(high, dim - 1)];
    if (low === high) high += 0.001;

    const inverse = powers(theta, dim, dim / 2).map((power, i) => {
      const extrapolated = fround(1 / power);
      const interpolated = fround(1 / fround(fround(factor) * power));
      const ramp = fround(fround(i - fround(low)) / fround(high - low));
      const kept = fround(1 - Math.min(Math.max(ramp, 0), 1));
      return fround(interpolated * fround(1 - kept)) + fround(extrapolated * kept);
    });
    return { inverse, scaling: fround(yarnScaling(p, factor)) };
  },

  /** A factor for each frequency, one list for short sequences and one for long ones. */
  longrope(p: Parameters, long: number): RopeFrequencies {
    const [short, lengthy] = [p.list("short_factor"), p.list("long_factor")];
    const factors = long === 1 ? lengthy : short;
    const inverse = powers(p.theta, p.headDim, p.headDim / 2).map(
      (power, i) => 1 / fround(factors[i] * power),
    );
    const factor = p.number("factor", 0, p.maxLength / p.originalLength);
    const scaling = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(p.originalLength));
    return { inverse, scaling: fround(p.number("attention_factor", 0, scaling)) };
  },

  /** Long wavelengths are stretched by `factor`, short ones stay, those between are blended. */
  llama3(p: Parameters): RopeFrequencies {
    const factor = fround(p.number("factor", 1));
    const [low, high] = [p.number("low_freq_factor", 0), p.number("high_freq_factor", 0)];
    const length = p.originalLength;
    if (!(low < high)) {
      throw new CheckpointError(
        `rope_parameters.high_freq_factor is ${high}, expected more than low_freq_factor, which is ${low}`,
      );
    }
    const inverse = inverses(p.theta, p.headDim).map((f) => {
      // torch computes number / tensor as 1 / tensor · number.
      const wavelength = fround(fround(1 / f) * fround(2 * Math.PI));
      if (wavelength > fround(length / low)) return f / factor;
      if (wavelength < fround(length / high)) return f;
      const turns = fround(fround(1 / wavelength) * fround(length));
      const smooth = fround(fround(turns - fround(low)) / fround(high - low));
      return fround(fround(fround(1 - smooth) * f) / factor) + fround(smooth * f);
    });
    return { inverse, scaling: 1 };
  },

  /** Only the first part of a head is rotated: the other frequencies are 0. */
  proportional({ theta, headDim, number, positive }: Parameters): RopeFrequencies {
    const factor = fround(positive("factor", 1));
    const turning = Math.floor((number("partial_rotary_factor", 0, 1) * headDim) / 2);
    const inverse = new Float32Array(headDim / 2);
    inverse.set(inverses(theta, headDim, turning));
    return { inverse: inverse.map((f) => f / factor), scaling: 1 };
  },
};

function yarnScaling(p: Parameters, factor: number): number {
  if (p.has("attention_factor")) return p.number("attention_factor", 0);
  const scale = (mscale: number): number => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  const [mscale, allDim] = [p.number("mscale", 0, 0), p.number("mscale_all_dim", 0, 0)];
  return mscale !== 0 && allDim !== 0 ? scale(mscale) / scale(allDim) : scale(1);
}
