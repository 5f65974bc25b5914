// Writes the inner loops of the int8 compute path as AssemblyScript, which can neither keep an array of locals in registers nor unroll
// a loop at compile time: panels of unpacked codes, tiles whose sums stay in registers, and the four streams of decode.
// Formats: generate-formats.ts; activations: src/formats/int8-compute-path.ts. build-wasm.ts calls it. Does not choose tiles.

import { type Format, formats, type Operand, type Vectors } from "./generate-formats.ts";

/**
 * A packed block of 32 activations:
 *
 * | offset | size  | content                                                                                      |
 * | ------ | ----- | -------------------------------------------------------------------------------------------- |
 * | 0      | 4     | scale · 2¹¹², f32                                                                            |
 * | 4      | 2 × 2 | -8 · Σ codes, over k with k % 4 < 2 and over the others, i16: what sums start with for a zero point of 8 |
 * | 8      | 8 × 4 | quads of codes, i8                                                                           |
 */
const X_BYTES = 40;
const START_AT = 4;
const QUADS_AT = 8;
/** How many groups of 8 weight rows a function computes at a time. */
const GROUPS = 4;
/** A group's 8 rows are two vectors of four lanes. V8 joins them to one of 256 bits if the low one comes first. */
const HALVES = [0, 1];
/** The sizes of tiles, weight groups × rows of x: for 256-bit vectors, for 128-bit vectors, and for a last single row. */
const TILES = [
  [4, 2],
  [2, 2],
  [4, 1],
];
/** The tiles that also have a version with 32-bit sums. */
const TILES_32 = TILES.filter(([, rows]) => rows === 2);
/** How many blocks share a head, in formats that have heads. */
const BLOCKS_OF_HEAD = 8;

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const each = <T>(list: readonly T[], write: (item: T, i: number) => string): string =>
  list.map(write).join("\n    ");
const declare = (type: string, names: readonly string[]): string =>
  names.length === 0 ? "" : `let ${names.map((name) => `${name}: ${type}`).join(", ")};`;

const cellsOf = range(GROUPS).flatMap((g) => HALVES.map((h) => ({ g, h, rows: `${g}${h}` })));

/** The text of the generated file. */
export function tiles(): string {
  return [
    "// Written by scripts/generate-tiles.ts.\n",
    'import { addBlock, addProduct, F16_BIAS, mac, mac32, scaleMask, scales, sumOfStart } from "../int8-dot";\n',
    ...formats.flatMap((format) => [
      stream(format, 1),
      stream(format, 2),
      panel(format),
      ...TILES.map(([groups, rows]) => tile(format, groups, rows)),
      ...(format.shift === undefined
        ? []
        : TILES_32.map(([groups, rows]) => tile(format, groups, rows, 32))),
    ]),
    ...[1, 2].map((rows) => choice(`stream_${rows}`, STREAM)),
    choice("panel", PANEL),
    ...TILES.map(([groups, rows]) => choice(`${groups}x${rows}`, TILE)),
    ...TILES_32.map(([groups, rows]) => choice(`${groups}x${rows}_32`, TILE)),
    sizes("hasRowScales", "bool", "", ({ ofRows }) => `${ofRows}`),
    sizes("bytesOf", "usize", "blocks: i32", blocksBytes),
    sizes("panelBlocks", "i32", "", (format) => `${format.planes.length === 1 ? 16 : 8}`),
  ].join("\n");
}

const STREAM =
  "c: usize, w0: usize, w1: usize, w2: usize, w3: usize, x: usize, blocks: i32, xStride: usize";
const PANEL = "panel: usize, w0: usize, w1: usize, w2: usize, w3: usize, blocks: i32";
const TILE = "c: usize, panel: usize, x: usize, blocks: i32, xStride: usize";

/** An expression: the bytes of `blocks` blocks, heads included. */
const blocksBytes = ({ headBytes, blockBytes }: Format): string =>
  headBytes === 0
    ? `<usize>blocks * ${blockBytes}`
    : `<usize>(blocks / ${BLOCKS_OF_HEAD}) * ${headBytes + BLOCKS_OF_HEAD * blockBytes}`;

/** A condition: the type parameter F stands for that format. */
const is = ({ type }: Format): string =>
  `sizeof<F>() == sizeof<${type}>() && ${type.startsWith("i") ? "" : "!"}isSigned<F>()`;

/** A generic function that calls the format's own; the compiler chooses by the type that stands for the format. */
function choice(suffix: string, parameters: string): string {
  const names = parameters.replaceAll(/: \w+/g, "");
  const having = formats.filter(({ shift }) => shift !== undefined || !suffix.endsWith("_32"));
  return `
@inline
export function any_${suffix}<F>(${parameters}): void {
    ${each(having, (format) => `if (${is(format)}) return ${format.name}_${suffix}(${names});`)}
    unreachable();
}
`;
}

/** A generic function that returns a number of the format, which the compiler chooses likewise. */
function sizes(
  name: string,
  type: string,
  parameters: string,
  of: (format: Format) => string,
): string {
  return `
@inline
export function ${name}<F>(${parameters}): ${type} {
    ${each(formats, (format) => `if (${is(format)}) return ${of(format)};`)}
    return unreachable();
}
`;
}

const constants = (format: Format): string => `const zero = i32x4.splat(0);
    ${each(format.constants, ([name, value]) => `const ${name} = ${value};`)}`;

/** A loop over the blocks of four groups in memory; it reads a head before each eight blocks. */
function overBlocks(format: Format, body: string): string {
  const inner = `
    ${body}
    ${each(range(GROUPS), (g) => `w${g} += ${format.blockBytes};`)}
  }`;
  if (format.headBytes === 0) return `  for (; blocks > 0; --blocks) {${inner}`;
  return `  for (; blocks > 0; blocks -= ${BLOCKS_OF_HEAD}) {
    ${each(cellsOf, ({ g, h, rows }) => each(format.head(`w${g}`, h, rows), (line) => line))}
    ${each(range(GROUPS), (g) => `w${g} += ${format.headBytes};`)}
  for (let n = ${BLOCKS_OF_HEAD}; n > 0; --n) {${inner}
  }`;
}

const headLocals = (format: Format): string =>
  declare(
    "v128",
    cellsOf.flatMap(({ rows }) => format.headLocals.map((name) => `${name}${rows}`)),
  );

/** Sets the sums of a plane to what they start with. */
const start = (format: Format, plane: number, sum: string, z: string): string =>
  `${sum} = ${format.planes[plane] === "zero point" ? z : "zero"};`;

/** c += integers · scale; with minima also c += (−8 · Σ x) · (minimum / 8). */
function add(c: string, integers: string, d: string, m: string, vectors: Vectors): string {
  const sum = `${c} = addBlock(${c}, ${integers}, ${d}, ${vectors.scale});`;
  return vectors.minimum === undefined
    ? sum
    : `${sum} ${c} = addProduct(${c}, ${m}, ${vectors.minimum});`;
}

const dot = (sum: string, weight: string): string => `i32x4.dot_i16x8_s(${sum}, ${weight})`;
/** The scale of row `t` of x, · 2¹¹² as it is packed; below as it is. */
const scaleOfX = (t: number): string => `v128.load_splat<f32>(x, ${t * X_BYTES})`;
const wholeScaleOfX = (t: number): string => `f32x4.mul(${scaleOfX(t)}, down)`;
const hasMinima = (format: Format): boolean => format.vectors.includes("minimum");

/**
 * One row of x, or two, times four groups, which are read from memory as four streams; memory's speed limits decode. c: where the sums
 * [rows][32] go.
 */
function stream(format: Format, rowsOfX: number): string {
  const cells = range(rowsOfX).flatMap((t) =>
    cellsOf.map((cell) => ({ ...cell, t, name: `${t}${cell.rows}` })),
  );
  const sum = (plane: number, name: string): string => `s${plane}_${name}`;
  const planes = range(format.planes.length);
  const run = (operands: readonly Operand[], r: number): string =>
    `${each(operands, ({ quad }, i) =>
      each(
        range(rowsOfX),
        (t) => `x${i}${t} = v128.load_splat<i32>(x, ${t * X_BYTES + QUADS_AT + 4 * quad});`,
      ),
    )}
    ${each(
      cellsOf,
      ({ g, h, rows }) => `r = v128.load(w${g}, ${format.codesAt + r * 32 + h * 16});
    ${each(operands, ({ plane, of }, i) => {
      const macs = range(rowsOfX).map(
        (t) => `${sum(plane, t + rows)} = mac(${sum(plane, t + rows)}, x${i}${t}, u);`,
      );
      return `u = ${of("r")}; ${macs.join(" ")}`;
    })}`,
    )}`;
  const finish = ({ g, h, rows, t, name }: (typeof cells)[number]): string => {
    const { before = [], ...vectors } = format.vectorsOf(`w${g}`, h, rows);
    const parts = planes.map((p) => dot(sum(p, name), format.weight(p, vectors.factor ?? "")));
    const integers = parts.reduce((all, part) => `i32x4.add(${all}, ${part})`);
    return `${before.join(" ")} ${add(`c${name}`, integers, `d${t}`, `m${t}`, vectors)}`;
  };
  const scale = format.scaleIs === "shifted" ? scaleOfX : wholeScaleOfX;
  return `
export function ${format.name}_stream_${rowsOfX}(
  c: usize, w0: usize, w1: usize, w2: usize, w3: usize, x: usize, blocks: i32, xStride: usize,
): void {
    ${constants(format)}
    let r: v128, u: v128, v: v128;
    ${declare(
      "v128",
      range(rowsOfX).flatMap((t) => [`d${t}`, `m${t}`, `x0${t}`, `x1${t}`, `x2${t}`, `x3${t}`]),
    )}
    ${headLocals(format)}
    ${each(cells, ({ name }) => `let c${name} = zero;`)}
${overBlocks(
  format,
  `${each(range(rowsOfX), (t) => `m${t} = v128.load_splat<i32>(x, ${t * X_BYTES + START_AT});`)}
    ${each(cells, ({ t, name }) => each(planes, (p) => `let ${start(format, p, sum(p, name), `m${t}`)}`))}
    ${each(format.runs, run)}
    ${each(range(rowsOfX), (t) => `d${t} = ${scale(t)};`)}
    ${hasMinima(format) ? each(range(rowsOfX), (t) => `m${t} = sumOfStart(m${t}, d${t}, ones);`) : ""}
    ${each(cells, finish)}
    x += xStride;`,
)}
    ${each(cells.toReversed(), ({ t, g, h, name }) => `v128.store(c, c${name}, ${t * GROUPS * 32 + vectorAt(0, g, h)});`)}
}
`;
}

// A panel has for each block: the vectors of all groups, then for each plane 8 quads of codes, each quad of all groups.
const vectorAt = (vector: number, group: number, half: number): number =>
  (vector * GROUPS + group) * 32 + half * 16;
const codesAt = (format: Format, plane: number, quad: number, group: number): number =>
  (format.vectors.length * GROUPS + (plane * 8 + quad) * GROUPS + group) * 32;
const panelBytes = (format: Format): number => codesAt(format, format.planes.length, 0, 0);

/** Unpacks blocks of four groups into a panel, once for all rows of x. */
function panel(format: Format): string {
  const storePair = (name: string, at: number): string =>
    `v128.store(panel, ${name}1, ${at + 16}); v128.store(panel, ${name}0, ${at});`;
  const group = (g: number): string => `${each(HALVES, (h) => {
    const { before = [], ...read } = format.vectorsOf(`w${g}`, h, `${g}${h}`);
    const whole = format.scaleIs === "shifted" ? { scale: `f32x4.mul(${read.scale}, up)` } : {};
    const vectors = { ...read, ...whole };
    return `${before.join(" ")} ${format.vectors.map((name) => `${name}${h} = ${vectors[name]};`).join(" ")}`;
  })}
    ${each(format.vectors, (name, i) => storePair(name, vectorAt(i, g, 0)))}
    ${each(
      format.runs,
      (
        operands,
        r,
      ) => `r0 = v128.load(w${g}, ${format.codesAt + r * 32}); r1 = v128.load(w${g}, ${format.codesAt + r * 32 + 16});
    ${each(
      operands,
      ({ plane, quad, of }) =>
        `u0 = ${of("r0")}; u1 = ${of("r1")}; ${storePair("u", codesAt(format, plane, quad, g))}`,
    )}`,
    )}`;
  return `
export function ${format.name}_panel(panel: usize, w0: usize, w1: usize, w2: usize, w3: usize, blocks: i32): void {
    ${constants(format)}
    let r0: v128, r1: v128, u0: v128, u1: v128, v: v128;
    ${declare(
      "v128",
      format.vectors.flatMap((name) => HALVES.map((h) => `${name}${h}`)),
    )}
    ${headLocals(format)}
${overBlocks(
  format,
  `${each(range(GROUPS), group)}
    panel += ${panelBytes(format)};`,
)}
}
`;
}

/** One cell of a tile: row `t` of x times half `h` of group `g`. It has a register or two of sums. */
type Cell = { readonly t: number; readonly g: number; readonly h: number; readonly name: string };

/** Adds the products of one quad of a plane to the sums of all cells. */
function multiply(
  format: Format,
  cells: readonly Cell[],
  plane: number,
  quad: number,
  mac: string,
): string {
  const rows = range(Math.max(...cells.map(({ t }) => t)) + 1);
  const groups = range(Math.max(...cells.map(({ g }) => g)) + 1);
  const load = (g: number): string =>
    each(HALVES, (h) => `w${h} = v128.load(panel, ${codesAt(format, plane, quad, g) + h * 16});`);
  return `${each(rows, (t) => `x${t} = v128.load_splat<i32>(x, ${t * X_BYTES + QUADS_AT + 4 * quad});`)}
    ${each(
      groups,
      (g) => `${load(g)}
    ${each(
      cells.filter((cell) => cell.g === g),
      ({ t, h, name }) => `s${name} = ${mac}(s${name}, x${t}, w${h});`,
    )}`,
    )}`;
}

/** Sums a block's integer products into `s` of each cell, with 16-bit sums, plane after plane: registers hold one plane's sums. */
function integers16(
  format: Format,
  cells: readonly Cell[],
  vectorsOf: (cell: Cell) => Vectors,
): string {
  return each(format.planes, (_, p) => {
    const last = p === format.planes.length - 1;
    return `${each(cells, ({ t, name }) => `${p === 0 ? "let " : ""}${start(format, p, `s${name}`, `z${t}`)}`)}
    ${each(range(8), (quad) => multiply(format, cells, p, quad, "mac"))}
    ${each(cells, (cell) => {
      const sums = dot(`s${cell.name}`, format.weight(p, vectorsOf(cell).factor ?? ""));
      const total = p === 0 ? sums : `i32x4.add(n${cell.name}, ${sums})`;
      return last ? `s${cell.name} = ${total};` : `const n${cell.name} = ${total};`;
    })}`;
  });
}

/** The same with 32-bit sums, for processors that have an instruction for it. */
function integers32(format: Format, cells: readonly Cell[]): string {
  const rows = range(Math.max(...cells.map(({ t }) => t)) + 1);
  return `${each(rows, (t) => `m${t} = ${dot(`z${t}`, "ones")};`)}
    ${each(cells, ({ t, name }) => `let ${start(format, 0, `s${name}`, `m${t}`)}`)}
    ${each(format.planes, (_, p) => {
      const shift =
        p === 0
          ? ""
          : each(cells, ({ name }) => `s${name} = i32x4.shl(s${name}, ${format.shift});`);
      return `${shift}
    ${each(range(8), (quad) => multiply(format, cells, p, quad, "mac32"))}`;
    })}`;
}

/** A tile: blocks of a panel's first `groups` groups times `rows` rows of x, added to the sums at c, [rows][32]. */
function tile(format: Format, groups: number, rows: number, bits: 16 | 32 = 16): string {
  const cells = range(rows).flatMap((t) =>
    cellsOf.filter(({ g }) => g < groups).map(({ g, h }) => ({ t, g, h, name: `${t}${g}${h}` })),
  );
  const vectorsOf = ({ g, h }: Cell): Vectors =>
    Object.fromEntries(
      format.vectors.map((name, i) => [name, `v128.load(panel, ${vectorAt(i, g, h)})`]),
    ) as Vectors;
  return `
export function ${format.name}_${groups}x${rows}${bits === 32 ? "_32" : ""}(
  c: usize, panel: usize, x: usize, blocks: i32, xStride: usize,
): void {
    ${constants(format)}
    let w0: v128, w1: v128;
    ${declare(
      "v128",
      range(rows).flatMap((t) => [`x${t}`, `m${t}`]),
    )}
    ${each(cells, ({ t, g, h, name }) => `let c${name} = v128.load(c, ${t * GROUPS * 32 + vectorAt(0, g, h)});`)}
  for (; blocks > 0; --blocks) {
    ${each(range(rows), (t) => `const z${t} = v128.load_splat<i32>(x, ${t * X_BYTES + START_AT});`)}
    ${bits === 32 ? integers32(format, cells) : integers16(format, cells, vectorsOf)}
    ${each(range(rows), (t) => `const d${t} = ${wholeScaleOfX(t)};`)}
    ${hasMinima(format) ? each(range(rows), (t) => `m${t} = sumOfStart(z${t}, d${t}, ones);`) : ""}
    ${each(cells, (cell) => add(`c${cell.name}`, `s${cell.name}`, `d${cell.t}`, `m${cell.t}`, vectorsOf(cell)))}
    panel += ${panelBytes(format)};
    x += xStride;
  }
    ${each(
      cells.toReversed(),
      ({ t, g, h, name }) => `v128.store(c, c${name}, ${t * GROUPS * 32 + vectorAt(0, g, h)});`,
    )}
}
`;
}
