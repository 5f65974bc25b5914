// What generate-tiles.ts must know of each format: where its codes lie in a block of 8 rows × 32 k, how they become operands
// of at most 7 bits, and what the sums of those are multiplied by. Expressions are AssemblyScript. Layouts: src/formats/.

/** One quad of k (4 of each of 8 rows) out of a run of 32 bytes: to which plane of sums it is added, and how it is taken. */
export type Operand = { readonly plane: number; readonly quad: number; of(bytes: string): string };

/** Vectors for four rows: the scale (see `scaleIs`); the minimum / 8; factors of the two i16 sums of each row. */
export type Vectors = {
  readonly scale: string;
  readonly minimum?: string;
  readonly factor?: string;
};

export type Format = {
  readonly name: string;
  /** The type that stands for it where a function is written once for all formats. */
  readonly type: string;
  /** Whether each row has a scale of its own, an f32 by which its sum is multiplied in the end. */
  readonly ofRows: boolean;
  readonly blockBytes: number;
  /** Bytes of a block before its codes. */
  readonly codesAt: number;
  /** A scale that was shifted out of an f16 is itself · 2⁻¹¹²; others are whole. */
  readonly scaleIs: "shifted" | "whole";
  /** Bytes before each eight blocks, and the locals of each four rows that are made of them. */
  readonly headBytes: number;
  readonly headLocals: readonly string[];
  /** Assigns them: `w` is where the group is read, `at` 0 or 1 for rows 0 to 3 or 4 to 7, `rows` the suffix of their names. */
  head(w: string, at: number, rows: string): readonly string[];
  /** Vectors that functions hold in locals, because V8 builds a constant anew wherever it stands. */
  readonly constants: readonly (readonly [name: string, value: string])[];
  /** For each plane whether its sums start with the zero point, -8 · Σx, or at nothing. */
  readonly planes: readonly ("zero point" | "nothing")[];
  readonly runs: readonly (readonly Operand[])[];
  /** Those that it has, in the order of a panel. */
  readonly vectors: readonly (keyof Vectors)[];
  /** `before`: statements that the expressions need; they may use the local v. */
  vectorsOf(w: string, at: number, rows: string): Vectors & { readonly before?: readonly string[] };
  /**
   * By how many bits sums of 32 bits are shifted between the first plane and the second, which then needs no sums of its own.
   * Undefined: pairs of 16-bit sums have factors of their own.
   */
  readonly shift?: number;
  /** By what the i16 sums of a plane are multiplied while two and two are added. */
  weight(plane: number, factor: string): string;
};

const low = (r: string): string => `v128.and(${r}, mask)`;
const high = (r: string): string => `v128.and(i16x8.shr_u(${r}, 4), mask)`;

/** Four runs: quad j in the low halves of bytes, j + 4 in the high ones. */
const nibbles = (plane: number): Operand[][] =>
  [0, 1, 2, 3].map((quad) => [
    { plane, quad, of: low },
    { plane, quad: quad + 4, of: high },
  ]);

const constants: Format["constants"] = [
  ["ones", "i16x8.splat(1)"],
  ["mask", "i8x16.splat(15)"],
  ["bits", "scaleMask()"],
  // What shifting takes from an f16, and gives to the scales of activations. Where it is done once for many products, a scale is
  // made whole first: small ones are subnormal numbers until then, which are slow.
  ["up", "f32x4.splat(F16_BIAS)"],
  ["down", "f32x4.splat(1 / F16_BIAS)"],
];

const noHead = { headBytes: 0, headLocals: [], head: () => [] } as const;
const halves = { ofRows: false, codesAt: 16, scaleIs: "shifted" } as const;

/** A block begins with an i8 for each row. Both vectors of four are made of one of 16 bits, which is how V8 joins them. */
const ofRows = {
  ...({ ofRows: true, codesAt: 8, scaleIs: "whole", ...noHead } as const),
  vectors: ["scale"] as const,
  vectorsOf: (w: string, at: number): ReturnType<Format["vectorsOf"]> => ({
    before: at === 0 ? [`v = v128.load_ext<i8>(${w});`] : [],
    scale: `f32x4.convert_i32x4_s(i32x4.extend_${at === 0 ? "low" : "high"}_i16x8_s(v))`,
  }),
} satisfies Partial<Format>;

const q4: Format = {
  ...{ name: "q4", type: "u8", blockBytes: 144, ...halves, ...noHead, constants, shift: 0 },
  planes: ["zero point"],
  runs: nibbles(0),
  vectors: ["scale"],
  vectorsOf: (w, at) => ({ scale: `scales(${w} + ${at * 8}, bits)` }),
  weight: () => "ones",
};

const q4r: Format = {
  ...{ name: "q4r", type: "u32", blockBytes: 136, ...ofRows, constants, shift: 0 },
  planes: ["zero point"],
  runs: nibbles(0),
  weight: () => "ones",
};

/** A code is 16 · its high half, which takes the zero point with it, + its low half. */
const q8: Format = {
  ...{ name: "q8", type: "i8", blockBytes: 272, ...halves, ...noHead, shift: 4 },
  constants: [...constants, ["sixteen", "i16x8.splat(16)"]],
  planes: ["zero point", "nothing"],
  runs: [0, 1, 2, 3, 4, 5, 6, 7].map((quad) => [
    { plane: 0, quad, of: high },
    { plane: 1, quad, of: low },
  ]),
  vectors: ["scale"],
  vectorsOf: (w, at) => ({ scale: `scales(${w} + ${at * 8}, bits)` }),
  weight: (plane) => (plane === 0 ? "sixteen" : "ones"),
};

/** Before eight blocks d and dmin; a block begins with 16 bits a row: its scale, and its minimum · 256. */
const q4k: Format = {
  ...{ name: "q4k", type: "u16", blockBytes: 144, headBytes: 32, headLocals: ["d", "e"], shift: 0 },
  ...{ ofRows: false, codesAt: 16, scaleIs: "whole" },
  head: (w, at, rows) => [
    `d${rows} = f32x4.mul(scales(${w} + ${at * 8}, bits), up);`,
    `e${rows} = f32x4.mul(scales(${w} + ${16 + at * 8}, bits), part);`,
  ],
  constants: [
    ...constants,
    ["lowByte", "i32x4.splat(255)"],
    ["highByte", "i32x4.splat(0xff00)"],
    ["part", "f32x4.splat(F16_BIAS * 0.125 / 256)"],
  ],
  planes: ["nothing"],
  runs: nibbles(0),
  vectors: ["scale", "minimum"],
  vectorsOf: (w, at, rows) => ({
    before: [`v = v128.load_ext<u16>(${w} + ${at * 8});`],
    scale: `f32x4.mul(d${rows}, f32x4.convert_i32x4_s(v128.and(v, lowByte)))`,
    minimum: `f32x4.mul(e${rows}, f32x4.convert_i32x4_s(v128.and(v, highByte)))`,
  }),
  weight: () => "ones",
};

/**
 * Six codes' bits: four low ones in nibbles, then two high ones, four quads a byte, which are taken · 4. A code less 32 is 4 · (those,
 * with the zero point) + its low bits.
 */
const sixBits: Format["runs"] = [
  ...nibbles(1),
  ...[0, 1].map((quad): Operand[] => [
    { plane: 0, quad, of: (r) => `v128.and(i16x8.shl(${r}, 2), twoBits)` },
    { plane: 0, quad: quad + 2, of: (r) => `v128.and(${r}, twoBits)` },
    { plane: 0, quad: quad + 4, of: (r) => `v128.and(i16x8.shr_u(${r}, 2), twoBits)` },
    { plane: 0, quad: quad + 6, of: (r) => `v128.and(i16x8.shr_u(${r}, 4), twoBits)` },
  ]),
];
const sixBitConstants: Format["constants"] = [...constants, ["twoBits", "i8x16.splat(12)"]];

const q6r: Format = {
  ...{ name: "q6r", type: "i32", blockBytes: 200, ...ofRows, shift: 2 },
  constants: [...sixBitConstants, ["four", "i16x8.splat(4)"]],
  planes: ["zero point", "nothing"],
  runs: sixBits,
  weight: (plane) => (plane === 0 ? "four" : "ones"),
};

/**
 * Before eight blocks d; a block begins with two i8 scales a row, one for each 16 k, which are the two i16 sums of a row: k lie
 * in another order, see q6k.ts.
 */
const q6k: Format = {
  ...{ name: "q6k", type: "i16", blockBytes: 208, headBytes: 16, headLocals: ["d"] },
  ...{ ofRows: false, codesAt: 16, scaleIs: "whole" },
  head: (w, at, rows) => [`d${rows} = f32x4.mul(scales(${w} + ${at * 8}, bits), up);`],
  constants: sixBitConstants,
  planes: ["zero point", "nothing"],
  runs: sixBits,
  vectors: ["scale", "factor"],
  vectorsOf: (w, at, rows) => ({
    scale: `d${rows}`,
    factor: `v128.load_ext<i8>(${w} + ${at * 8})`,
  }),
  weight: (plane, factor) => (plane === 0 ? `i16x8.shl(${factor}, 2)` : factor),
};

export const formats: readonly Format[] = [q4, q4r, q6r, q8, q4k, q6k];
