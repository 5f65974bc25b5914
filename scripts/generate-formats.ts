// What generate-tiles.ts needs to know of each format: where codes lie in a block of 8 rows × 32 k, how they become operands of at most
// 7 bits (all that the 8-bit dot product takes), and the factors of the sums. Strings are AssemblyScript expressions. A code of more
// bits is split into a high and a low operand; each has its own *plane* of sums, and the planes are added at the end of a block.
// Layouts: src/formats/. Does not know tiles.

/** One quad of k (4 codes of each of 8 rows) in a run of 32 bytes. */
export type Operand = {
  /** The plane of sums to which its products are added. */
  readonly plane: number;
  readonly quad: number;
  /** The expression that extracts it from the run. */
  of(bytes: string): string;
};

/** Expressions of vectors for four rows of a block. */
export type Vectors = {
  /** The scales; `scaleIs` says in which form. */
  readonly scale: string;
  /** The minima / 8. */
  readonly minimum?: string;
  /** Factors of the two i16 sums that each row has. */
  readonly factor?: string;
};

export type Format = {
  readonly name: string;
  /** The type that stands for the format in functions that are generic over formats. */
  readonly type: string;
  /** Whether each row has an f32 by which its whole sum is multiplied in the end. */
  readonly ofRows: boolean;
  readonly blockBytes: number;
  /** The offset of the codes in a block, in bytes. */
  readonly codesAt: number;
  /** "shifted": the bits of an f16 shifted into place in an f32, which gives scale · 2⁻¹¹². "whole": the scale. */
  readonly scaleIs: "shifted" | "whole";
  /** Bytes of the head, which comes before each eight blocks (a super-block of q4k and q6k); 0: there is none. */
  readonly headBytes: number;
  /** Names of the local vectors that are read from it, for each four rows. */
  readonly headLocals: readonly string[];
  /** Statements that assign them. `w`: the group's address; `at`: 0 or 1 for rows 0 to 3 or 4 to 7; `rows`: suffix of the names. */
  head(w: string, at: number, rows: string): readonly string[];
  /** Constant vectors that functions keep in locals, because V8 would build a constant anew at every use. */
  readonly constants: readonly (readonly [name: string, value: string])[];
  /** What the sums of each plane start with: the zero point, -8 · Σ x, or nothing. */
  readonly planes: readonly ("zero point" | "nothing")[];
  /** The operands in each run of 32 bytes. */
  readonly runs: readonly (readonly Operand[])[];
  /** The vectors that the format has, in the order of a panel. */
  readonly vectors: readonly (keyof Vectors)[];
  /** Their expressions. `before`: statements that these need; they may use the local v. */
  vectorsOf(w: string, at: number, rows: string): Vectors & { readonly before?: readonly string[] };
  /**
   * With 32-bit sums: by how many bits the sums are shifted left after the first plane; the second plane is then added to the same sums.
   * Undefined: the format has no version with 32-bit sums, because its pairs of 16-bit sums have factors of their own.
   */
  readonly shift?: number;
  /** With 16-bit sums: the vector by which a plane's sums are multiplied while each two are added to an i32. */
  weight(plane: number, factor: string): string;
};

const low = (r: string): string => `v128.and(${r}, mask)`;
const high = (r: string): string => `v128.and(i16x8.shr_u(${r}, 4), mask)`;

/** Four runs: run j holds quad j in the low halves of its bytes and quad j + 4 in the high halves. */
const nibbles = (plane: number): Operand[][] =>
  [0, 1, 2, 3].map((quad) => [
    { plane, quad, of: low },
    { plane, quad: quad + 4, of: high },
  ]);

const constants: Format["constants"] = [
  ["ones", "i16x8.splat(1)"],
  ["mask", "i8x16.splat(15)"],
  ["bits", "scaleMask()"],
  // An f16 shifted into an f32 is too small by 2¹¹² (`up` restores it); the packed scales of activations are too large by that. A
  // panel, which is made once for many products, restores weights' scales: small ones are subnormal until then, and those are slow.
  ["up", "f32x4.splat(F16_BIAS)"],
  ["down", "f32x4.splat(1 / F16_BIAS)"],
];

const noHead = { headBytes: 0, headLocals: [], head: () => [] } as const;
const halves = { ofRows: false, codesAt: 16, scaleIs: "shifted" } as const;

/** A block begins with an i8 factor for each row. Both vectors of four come from one of eight i16, a shape that V8 joins to 256 bits. */
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

/** code − 128 = 16 · (high half − 8) + low half. */
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

/** The head has d and dmin of each row; a block begins with 16 bits for each row, scale + 256 · minimum. */
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
 * Codes of six bits: low four bits, two quads in a byte; then high two bits, four quads in a byte, extracted as 4 · (high bits).
 * code − 32 = 4 · (4 · (high bits) − 8) + low bits.
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
 * The head has d of each row; a block begins with two i8 scales for each row, one for each 16 k. They are the factors of the row's two i16
 * sums, each of which adds one half of the k because of their order (q6k.ts).
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
