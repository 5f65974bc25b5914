// Instructions as a disassembler writes them (Intel's order, without the sizes of memory), each with the calls of the Assembler that make
// it: every form, with registers and displacements on both sides of each limit. scripts/record-encodings.ts records their bytes.

import {
  type Assembler,
  at,
  atLabel,
  type Extras,
  register,
} from "../../src/backends/native/assembler.ts";
import type { Memory, Operand } from "../../src/backends/native/assembler.ts";
import {
  type Form,
  type Load,
  loads,
  type Operation,
  operations,
  type Width,
} from "../../src/backends/native/instructions.ts";

export type EncodingCase = { readonly text: string; emit(a: Assembler): void };

const names = Object.keys(register);
const { rax, rcx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r12, r13, r15 } = register;

const vector = (n: number, width: Width): string =>
  `${{ 128: "x", 256: "y", 512: "z" }[width]}mm${n}`;
const hex = (n: number): string => `${n < 0 ? "-" : "+"}0x${Math.abs(n).toString(16)}`;

function memory(m: Memory): string {
  if ("label" in m) throw new Error("labels are written by hand");
  const { base, index, scale = 1, displacement } = m;
  const isBare = displacement === 0 && (base & 7) !== 5;
  const times = index === undefined ? "" : `+${names[index]}*${scale}`;
  return `[${names[base]}${times}${isBare ? "" : hex(displacement)}]`;
}

/** Bases and indices that need every form of the byte behind the opcode. `unit`: what a displacement of one byte counts in EVEX. */
const memories = (unit: number): Memory[] => [
  at(rax),
  at(rbp),
  at(rsp, 8 * unit),
  at(r12),
  at(r13, -128 * unit),
  at(rdi, 127 * unit),
  at(r15, 128 * unit),
  at(rsi, -129 * unit),
  at(rbx, 0x12345),
  at(r9, unit + 1, r10, 4),
  at(rax, 0, r12, 8),
  at(r13, 0, rcx, 2),
  at(r8, 4 * unit, rbp),
];
const [ONE, NEAR, FAR] = [at(rax, 4), at(rdi, 127 * 4, r9, 8), at(r12, 128 * 4)];

/** Registers to, a and b: each high bit of each. */
const registers = [
  [1, 2, 3],
  [9, 2, 3],
  [1, 10, 3],
  [1, 2, 11],
  [15, 14, 13],
  [17, 2, 3],
  [1, 18, 3],
  [1, 2, 19],
  [25, 26, 27],
];

// What the forms' table does not say.
/** Operations on 128 bits, 512 bits, or more than 128 bits only; and those whose last operand is memory. */
const widthsOf: Readonly<Record<string, readonly Width[]>> = {
  vinserti128: [256, 512],
  vinserti64x4: [512],
  vmovhps: [128],
  vpermd: [256, 512],
  vshuff32x4: [256, 512],
  vbroadcastf32x8: [512],
  vmovq: [128],
};
const memoryOnly = ["vmovhps", "vbroadcastf32x8"];
/** Lanes of 32 bits, for which one number of memory can stand. */
const with32 = [
  "vpaddd",
  "vpand",
  "vpxor",
  "vpternlogd",
  "vpdpbusd",
  "vpdpwssd",
  "vpermd",
  "vshuff32x4",
  "vpunpckldq",
  "vpunpckhdq",
  "vaddps",
  "vmulps",
  "vfmadd231ps",
];
const immediates: Readonly<Record<string, number>> = {
  vpternlogd: 0x6a,
  vinserti128: 1,
  vinserti64x4: 1,
  vshuff32x4: 0xdd,
  vshufps: 0xb1,
};
/** Names of the EVEX form. */
const evexNames: Readonly<Record<string, string>> = {
  ...{ vpand: "vpandd", vpxor: "vpxord", vinserti128: "vinserti32x4" },
};

function isEvex(
  { evexOnly }: Form,
  width: Width,
  numbers: readonly number[],
  extras: Extras,
): boolean {
  const { broadcast, mask } = extras;
  return evexOnly === true || width === 512 || !!broadcast || !!mask || numbers.some((n) => n > 15);
}

/** The width of a register in place of a memory operand. */
function sourceWidth(form: Form, width: Width): Width {
  const bytes = form.unit?.(width) ?? width / 8;
  return bytes > 32 ? 512 : bytes > 16 ? 256 : 128;
}

const masked = ({ mask = 0, zero = false }: Extras): string =>
  (mask === 0 ? "" : `{k${mask}}`) + (zero ? "{z}" : "");

function operation(
  name: Operation,
  width: Width,
  [to, a]: readonly number[],
  b: Operand,
  extras: Extras = {},
): EncodingCase {
  const form = operations[name];
  const evex = isEvex(form, width, [to, a, ...(typeof b === "number" ? [b] : [])], extras);
  const source =
    typeof b === "number"
      ? vector(b, sourceWidth(form, width))
      : (extras.broadcast ? "bcst " : "") + memory(b);
  const immediate = immediates[name];
  const operands = [
    vector(to, width) + masked(extras),
    vector(a, width),
    source,
    ...(immediate === undefined ? [] : [hex(immediate).slice(1)]),
  ];
  return {
    text: `${(evex && evexNames[name]) || name} ${operands.join(",")}`,
    emit: (assembler) =>
      assembler.op(
        name,
        width,
        to,
        a,
        b,
        immediate === undefined ? extras : { ...extras, immediate },
      ),
  };
}

function load(
  name: Load,
  width: Width,
  to: number,
  from: Operand,
  extras: Extras = {},
): EncodingCase {
  const source =
    typeof from === "number"
      ? vector(from, sourceWidth(loads[name], width))
      : (extras.broadcast ? "bcst " : "") + memory(from);
  return {
    text: `${name} ${vector(to, width)}${masked(extras)},${source}`,
    emit: (a) => a.load(name, width, to, from, extras),
  };
}

const all: readonly Width[] = [128, 256, 512];
const keys = <K extends string>(table: Readonly<Record<K, unknown>>): K[] =>
  Object.keys(table) as K[];

const ofOperations = keys(operations).flatMap((name, n) =>
  (widthsOf[name] ?? all).flatMap((width): EncodingCase[] => {
    const unit = operations[name].unit?.(width) ?? width / 8;
    const places = memories(unit).filter((_, i) => name === "vpaddd" || (i + n) % 4 === 0);
    return [
      ...(memoryOnly.includes(name) ? [] : registers.map((r) => operation(name, width, r, r[2]))),
      ...places.map((place, i) => operation(name, width, registers[(i + n) % 9], place)),
      ...(with32.includes(name)
        ? [ONE, NEAR, FAR].map((place, i) =>
            operation(name, width, registers[4 * i], place, { broadcast: true }),
          )
        : []),
      ...(memoryOnly.includes(name)
        ? []
        : [
            operation(name, width, [1, 2], 3, { mask: 5 }),
            operation(name, width, [9, 30], at(r9, unit), { mask: 1, zero: true }),
          ]
      ).filter(() => !/^(vpand|vpxor|vinserti128)$/.test(name) || width === 512),
    ];
  }),
);

const ofLoads = keys(loads).flatMap((name, n) =>
  (widthsOf[name] ?? all).flatMap((width): EncodingCase[] => {
    const unit = loads[name].unit?.(width) ?? width / 8;
    const places = memories(unit).filter((_, i) => name === "vmovups" || (i + n) % 3 === 0);
    return [
      ...(memoryOnly.includes(name)
        ? []
        : registers.map(([to, , from]) => load(name, width, to, from))),
      ...places.map((place, i) => load(name, width, registers[(i + n) % 9][0], place)),
      ...(name === "vmovq" ? [] : [load(name, width, 3, at(rdi, unit), { mask: 2, zero: true })]),
      ...(name === "vcvtdq2ps" ? [load(name, width, 21, FAR, { broadcast: true })] : []),
    ];
  }),
);

const ofStores = all.flatMap((width): EncodingCase[] => [
  ...memories(width / 8).map((to, i): EncodingCase => {
    const [from] = registers[i % 9];
    return {
      text: `vmovups ${memory(to)},${vector(from, width)}`,
      emit: (a) => a.storeVector(width, to, from),
    };
  }),
  {
    text: `vmovups [rdi-0x40]{k3},${vector(2, width)}`,
    emit: (a) => a.storeVector(width, at(rdi, -64), 2, { mask: 3 }),
  },
]);

const ofShifts = all.flatMap((width) =>
  registers.flatMap(([to, from], i): EncodingCase[] =>
    (["left", "right"] as const).map((direction) => ({
      text: `vps${direction === "left" ? "l" : "r"}lw ${vector(to, width)},${vector(from, width)},0x${(i + 1).toString(16)}`,
      emit: (a) => a.shiftWords(direction, width, to, from, i + 1),
    })),
  ),
);

type TwoOperands = "mov" | "add" | "sub" | "cmp" | "imul" | "cmovg";
const generalPairs = [
  [rax, rcx],
  [r8, rdi],
  [rsi, r15],
  [r13, r12],
  [rsp, rbp],
];

const ofGeneral: EncodingCase[] = [
  ...(["mov", "add", "sub", "cmp", "imul", "cmovg"] satisfies TwoOperands[]).flatMap(
    (name, n): EncodingCase[] => [
      ...generalPairs.map(([to, from]) => ({
        text: `${name} ${names[to]},${names[from]}`,
        emit: (a: Assembler) => a[name](to, from),
      })),
      ...memories(1)
        .filter((_, i) => name === "mov" || (i + n) % 3 === 0)
        .map((from, i) => {
          const [to] = generalPairs[i % 5];
          return {
            text: `${name} ${names[to]},${memory(from)}`,
            emit: (a: Assembler) => a[name](to, from),
          };
        }),
    ],
  ),
  ...memories(1).flatMap((place, i): EncodingCase[] => {
    const [r] = generalPairs[i % 5];
    const dword = ["eax", "r8d", "esi", "r13d", "esp"][i % 5];
    return [
      { text: `mov ${memory(place)},${names[r]}`, emit: (a) => a.store(place, r) },
      { text: `mov ${memory(place)},${dword}`, emit: (a) => a.store32(place, r) },
      { text: `mov ${dword},${memory(place)}`, emit: (a) => a.mov32(r, place) },
      { text: `movsxd ${names[r]},${memory(place)}`, emit: (a) => a.movsxd(r, place) },
      { text: `cmp ${memory(place)},0x123`, emit: (a) => a.cmpImmediate(place, 0x123) },
      { text: `lea ${names[r]},${memory(place)}`, emit: (a) => a.lea(r, place) },
      {
        text: `prefetcht${i % 3} ${memory(place)}`,
        emit: (a) => a.prefetch(place, ((i % 3) + 1) as 1 | 2 | 3),
      },
    ];
  }),
  ...Object.values(register).flatMap((r): EncodingCase[] => [
    { text: `xchg ${names[r]},r9`, emit: (a) => a.xchg(r9, r) },
    { text: `mov ${names[r]},0x7fffffff`, emit: (a) => a.movImmediate(r, 0x7fffffff) },
    { text: `mov ${names[r]},0xffffffffffffffff`, emit: (a) => a.movImmediate(r, -1) },
    { text: `add ${names[r]},0x1234`, emit: (a) => a.addImmediate(r, 0x1234) },
    { text: `sub ${names[r]},0x80`, emit: (a) => a.subImmediate(r, 128) },
    { text: `cmp ${names[r]},0xfffffffffffffff0`, emit: (a) => a.cmpImmediate(r, -16) },
    { text: `test ${names[r]},0x3f`, emit: (a) => a.testImmediate(r, 0x3f) },
    { text: `shl ${names[r]},0x5`, emit: (a) => a.shiftLeft(r, 5) },
    { text: `push ${names[r]}`, emit: (a) => a.push(r) },
    { text: `pop ${names[r]}`, emit: (a) => a.pop(r) },
    { text: `call ${names[r]}`, emit: (a) => a.callRegister(r) },
    { text: `cvttsd2si ${names[r]},xmm${15 - r}`, emit: (a) => a.cvttsd2si(r, 15 - r) },
    {
      text: `kmovd k${1 + (r % 7)},${r < 8 ? names[r].replace("r", "e") : `${names[r]}d`}`,
      emit: (a) => a.kmovd(1 + (r % 7), r),
    },
    {
      text: `kmovw k${1 + (r % 7)},${r < 8 ? names[r].replace("r", "e") : `${names[r]}d`}`,
      emit: (a) => a.kmovw(1 + (r % 7), r),
    },
  ]),
  { text: "ret", emit: (a) => a.ret() },
  { text: "endbr64", emit: (a) => a.endbr64() },
  { text: "cpuid", emit: (a) => a.cpuid() },
  { text: "xgetbv", emit: (a) => a.xgetbv() },
  { text: "vzeroupper", emit: (a) => a.vzeroupper() },
];

/** Jumps, whose target is written as its distance from the jump, forward and back; and memory at a label. */
const ofLabels: EncodingCase[] = [
  ...(["e", "ne", "l", "ge", "le", "g"] as const).map((condition): EncodingCase => ({
    text: `j${condition} 0x20`,
    emit(a) {
      const label = a.label();
      a.j(condition, label);
      a.align(32);
      a.place(label);
    },
  })),
  ...(["jmp", "call"] as const).flatMap((name): EncodingCase[] => [
    {
      text: `${name} 0x20`,
      emit(a) {
        const label = a.label();
        a[name](label);
        a.align(32);
        a.place(label);
      },
    },
    { text: `${name} 0x0`, emit: (a) => a[name](a.here()) },
  ]),
  ...[
    "vpternlogd zmm1,zmm2,[rip+0x15],0x6a",
    "vmovups ymm9,[rip+0x17]",
    "vmovups zmm20,[rip+0x16]",
    "lea r9,[rip+0x19]",
  ].map((text, i): EncodingCase => ({
    text,
    emit(a) {
      const label = a.label();
      if (i === 0) a.op("vpternlogd", 512, 1, 2, atLabel(label), { immediate: 0x6a });
      if (i === 1) a.load("vmovups", 256, 9, atLabel(label));
      if (i === 2) a.load("vmovups", 512, 20, atLabel(label));
      if (i === 3) a.lea(r9, atLabel(label));
      a.align(32);
      a.place(label);
    },
  })),
];

export const encodingCases: readonly EncodingCase[] = [
  ...ofOperations,
  ...ofLoads,
  ...ofStores,
  ...ofShifts,
  ...ofGeneral,
  ...ofLabels,
];
