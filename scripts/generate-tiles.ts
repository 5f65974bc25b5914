// Writes the inner loops of the int8 road as AssemblyScript, which has neither arrays of locals nor loops that are unrolled
// when it is compiled: panels of unpacked codes, tiles of sums that stay in registers, and the four streams of decode.
// Layouts: src/formats/eight-rows.ts (weights), src/formats/int8-road.ts (activations). Called by build-wasm.ts.

/** Bytes of a packed block of 32 activations: its scale, where sums start, then 8 quads of 4 k. */
const X_BYTES = 40;
const START_AT = 4;
const QUADS_AT = 8;
/** Row groups, of 8 rows each, that are computed together. */
const GROUPS = 4;
/** A group's 8 rows are two vectors of four lanes. Low before high is how V8 finds that they make one of 256 bits. */
const HALVES = [0, 1];

/** How the codes of a format are taken apart: operands of 4 bits, and what each counts. The first starts with the zero point. */
type Codes = {
  readonly name: string;
  readonly blockBytes: number;
  /** By what the sums of the high and low halves of bytes are multiplied: one number when both are codes of other k. */
  readonly weights: readonly number[];
};

const formats: readonly Codes[] = [
  { name: "q4", blockBytes: 144, weights: [1] },
  { name: "q8", blockBytes: 272, weights: [16, 1] },
];

/** Groups × rows of x of the tiles: for 256 bits, for 128, and for a last row. */
const TILES = [
  [4, 2],
  [2, 2],
  [4, 1],
];

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const each = <T>(list: readonly T[], write: (item: T) => string): string =>
  list.map(write).join("\n    ");
const factor = (weight: number): string => `times${weight}`;

/** The file. */
export function tiles(): string {
  return [
    "// Written by scripts/generate-tiles.ts.\n",
    'import { addBlock, mac, scaleMask, scales } from "../int8-dot";\n',
    ...formats.flatMap((codes) => [
      stream(codes),
      panel(codes),
      ...TILES.map(([groups, rows]) => tile(codes, groups, rows)),
    ]),
  ].join("\n");
}

/** V8 builds a vector constant anew wherever it stands, so functions hold them in locals. */
function factors({ weights }: Codes): string {
  return each(weights, (weight) => `const ${factor(weight)} = i16x8.splat(${weight});`);
}

/** Runs of 32 bytes of a block; a byte holds quads j and j + 4 (one weight), or all bits of quad j (two). */
const runsOf = ({ weights }: Codes): number[] => range(weights.length === 1 ? 4 : 8);

/**
 * One row of x times four groups as they lie, which are four streams from memory: what decode is limited by. c: 32 sums.
 */
function stream(codes: Codes): string {
  const cells = range(GROUPS).flatMap((g) => HALVES.map((h) => ({ g, h, name: `${g}${h}` })));
  const [first, second] = codes.weights;
  const load = (r: number, g: number, h: number): string =>
    `r = v128.load(w${g}, ${16 + r * 32 + h * 16});`;
  const quad = (q: number): string => `v128.load_splat<i32>(x, ${QUADS_AT + 4 * q})`;
  const multiply =
    second === undefined
      ? (n: string): string =>
          `s${n} = mac(mac(s${n}, p, v128.and(r, mask)), q, v128.and(i16x8.shr_u(r, 4), mask));`
      : (n: string): string =>
          `s${n} = mac(s${n}, p, v128.and(i16x8.shr_u(r, 4), mask)); t${n} = mac(t${n}, p, v128.and(r, mask));`;
  const integers = (n: string): string =>
    second === undefined
      ? `i32x4.dot_i16x8_s(s${n}, ${factor(first)})`
      : `i32x4.add(i32x4.dot_i16x8_s(s${n}, ${factor(first)}), i32x4.dot_i16x8_s(t${n}, ${factor(second)}))`;
  return `
export function ${codes.name}_stream(
  c: usize, w0: usize, w1: usize, w2: usize, w3: usize, x: usize, blocks: i32, xStride: usize,
): void {
    ${factors(codes)}
    const zero = i32x4.splat(0), mask = i8x16.splat(15), bits = scaleMask();
    let z: v128, p: v128, q: v128, r: v128;
    ${each(cells, ({ name }) => `let c${name} = zero;`)}
  for (; blocks > 0; --blocks) {
    z = v128.load_splat<i32>(x, ${START_AT});
    ${each(cells, ({ name }) => `let s${name} = z;${second === undefined ? "" : ` let t${name} = zero;`}`)}
    ${each(
      runsOf(codes),
      (r) => `p = ${quad(r)};${second === undefined ? ` q = ${quad(r + 4)};` : ""}
    ${each(cells, ({ g, h, name }) => `${load(r, g, h)} ${multiply(name)}`)}`,
    )}
    z = v128.load_splat<f32>(x);
    ${each(cells, ({ g, h, name }) => `c${name} = addBlock(c${name}, ${integers(name)}, z, scales(w${g} + ${h * 8}, bits));`)}
    x += xStride;
    ${each(range(GROUPS), (g) => `w${g} += ${codes.blockBytes};`)}
  }
    ${each(cells.toReversed(), ({ g, h, name }) => `v128.store(c, c${name}, ${g * 32 + h * 16});`)}
}
`;
}

// A panel: for each block the scales of all groups as f32, then for each weight 8 quads of codes of all groups.
const SCALES_BYTES = GROUPS * 32;
const CODES_BYTES = 8 * GROUPS * 32;
const panelBytes = ({ weights }: Codes): number => SCALES_BYTES + weights.length * CODES_BYTES;
const codesAt = (weight: number, quad: number, group: number): number =>
  SCALES_BYTES + weight * CODES_BYTES + (quad * GROUPS + group) * 32;

/** Unpacks some blocks of four groups, once for all rows of x. */
function panel(codes: Codes): string {
  const store = (name: string, at: number): string =>
    `v128.store(panel, ${name}1, ${at + 16}); v128.store(panel, ${name}0, ${at});`;
  const two = codes.weights.length === 2;
  const group = (g: number): string => `
    u0 = scales(w${g}, bits); u1 = scales(w${g} + 8, bits);
    ${store("u", g * 32)}
    ${each(
      runsOf(codes),
      (r) => `r0 = v128.load(w${g}, ${16 + r * 32}); r1 = v128.load(w${g}, ${32 + r * 32});
    u0 = v128.and(r0, mask); u1 = v128.and(r1, mask);
    r0 = v128.and(i16x8.shr_u(r0, 4), mask); r1 = v128.and(i16x8.shr_u(r1, 4), mask);
    ${store("u", codesAt(two ? 1 : 0, r, g))}
    ${store("r", codesAt(0, two ? r : r + 4, g))}`,
    )}`;
  return `
export function ${codes.name}_panel(panel: usize, w0: usize, w1: usize, w2: usize, w3: usize, blocks: i32): void {
    const mask = i8x16.splat(15), bits = scaleMask();
    let r0: v128, r1: v128, u0: v128, u1: v128;
  for (; blocks > 0; --blocks) {
    ${each(range(GROUPS), group)}
    panel += ${panelBytes(codes)};
    ${each(range(GROUPS), (g) => `w${g} += ${codes.blockBytes};`)}
  }
}
`;
}

/** Some blocks of a panel's first `groups` groups × `rows` rows of x, added to the sums at c, [rows][32]. */
function tile(codes: Codes, groups: number, rows: number): string {
  const cells = range(rows).flatMap((t) =>
    range(groups).flatMap((g) =>
      HALVES.map((h) => ({ t, g, h, name: `${t}${g}${h}`, at: t * GROUPS * 32 + g * 32 + h * 16 })),
    ),
  );
  const multiply = (weight: number, quad: number): string => `
    ${each(range(rows), (t) => `x${t} = v128.load_splat<i32>(x, ${t * X_BYTES + QUADS_AT + 4 * quad});`)}
    ${each(
      range(groups),
      (
        g,
      ) => `${each(HALVES, (h) => `w${h} = v128.load(panel, ${codesAt(weight, quad, g) + h * 16});`)}
    ${each(
      cells.filter((cell) => cell.g === g),
      ({ t, h, name }) => `s${name} = mac(s${name}, x${t}, w${h});`,
    )}`,
    )}`;
  const dot = (name: string, weight: number): string =>
    `i32x4.dot_i16x8_s(s${name}, ${factor(weight)})`;
  const [first, second] = codes.weights;
  const products = [
    each(cells, ({ t, name }) => `let s${name} = z${t};`),
    each(range(8), (quad) => multiply(0, quad)),
    ...(second === undefined
      ? [each(cells, ({ name }) => `s${name} = ${dot(name, first)};`)]
      : [
          each(cells, ({ name }) => `const n${name} = ${dot(name, first)}; s${name} = zero;`),
          each(range(8), (quad) => multiply(1, quad)),
          each(cells, ({ name }) => `s${name} = i32x4.add(n${name}, ${dot(name, second)});`),
        ]),
  ];
  return `
export function ${codes.name}_${groups}x${rows}(c: usize, panel: usize, x: usize, blocks: i32, xStride: usize): void {
    ${factors(codes)}
    const zero = i32x4.splat(0);
    let w0: v128, w1: v128, ${range(rows)
      .map((t) => `x${t}: v128`)
      .join(", ")};
    ${each(cells, ({ name, at }) => `let c${name} = v128.load(c, ${at});`)}
  for (; blocks > 0; --blocks) {
    ${each(range(rows), (t) => `const z${t} = v128.load_splat<i32>(x, ${t * X_BYTES + START_AT});`)}
    ${products.join("\n    ")}
    ${each(range(rows), (t) => `const d${t} = v128.load_splat<f32>(x, ${t * X_BYTES});`)}
    ${each(cells, ({ t, g, h, name }) => `c${name} = addBlock(c${name}, s${name}, d${t}, v128.load(panel, ${g * 32 + h * 16}));`)}
    panel += ${panelBytes(codes)};
    x += xStride;
  }
    ${each(cells.toReversed(), ({ name, at }) => `v128.store(c, c${name}, ${at});`)}
}
`;
}
