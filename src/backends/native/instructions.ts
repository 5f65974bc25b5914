// Vector instructions of x86-64 that the kernels use, as the manuals of Intel and AMD encode them. Does not know what they do.

/** Bits of a vector. */
export type Width = 128 | 256 | 512;

/** How an instruction is written. */
export type Form = {
  /** Opcode map: 1 is 0F, 2 is 0F38, 3 is 0F3A. */
  readonly map: 1 | 2 | 3;
  /** 0: none, 1: 66, 2: F3, 3: F2. */
  readonly prefix: 0 | 1 | 2 | 3;
  readonly w: 0 | 1;
  readonly opcode: number;
  /** The W bit in EVEX, where it is another one. */
  readonly evexW?: 0 | 1;
  /** There is no VEX form with this name. */
  readonly evexOnly?: boolean;
  /** How many bytes the memory operand has, if not a vector: EVEX counts small displacements in them. */
  readonly unit?: (width: Width) => number;
};

const form = (
  map: Form["map"],
  prefix: Form["prefix"],
  opcode: number,
  more: Partial<Form> = {},
): Form => ({ map, prefix, w: 0, opcode, ...more });

const part =
  (of: number) =>
  (width: Width): number =>
    width / 8 / of;
const bytes = (count: number) => () => count;

export type Operation =
  | "vpaddw"
  | "vpaddd"
  | "vpand"
  | "vpxor"
  | "vpternlogd"
  | "vpmaddubsw"
  | "vpdpbusd"
  | "vpdpwssd"
  | "vpslld"
  | "vpermb"
  | "vpermw"
  | "vpermd"
  | "vshuff32x4"
  | "vshufps"
  | "vpunpckldq"
  | "vpunpckhdq"
  | "vpunpcklqdq"
  | "vpunpckhqdq"
  | "vaddps"
  | "vmulps"
  | "vfmadd231ps"
  | "vinserti128"
  | "vinserti64x4"
  | "vmovhps";

/** register ← register op register or memory. */
export const operations: Readonly<Record<Operation, Form>> = {
  vpaddw: form(1, 1, 0xfd),
  vpaddd: form(1, 1, 0xfe),
  vpand: form(1, 1, 0xdb), // EVEX: vpandd
  vpxor: form(1, 1, 0xef), // EVEX: vpxord
  vpternlogd: form(3, 1, 0x25, { evexOnly: true }),
  vpmaddubsw: form(2, 1, 0x04),
  vpdpbusd: form(2, 1, 0x50, { evexOnly: true }),
  vpdpwssd: form(2, 1, 0x52, { evexOnly: true }),
  vpslld: form(1, 1, 0xf2, { unit: bytes(16) }), // by the count in a 128-bit register
  vpermb: form(2, 1, 0x8d, { evexOnly: true }),
  vpermw: form(2, 1, 0x8d, { evexW: 1, evexOnly: true }),
  vpermd: form(2, 1, 0x36), // 256 bits at least
  vshuff32x4: form(3, 1, 0x23, { evexOnly: true }), // 256 bits at least
  vshufps: form(1, 0, 0xc6),
  vpunpckldq: form(1, 1, 0x62),
  vpunpckhdq: form(1, 1, 0x6a),
  vpunpcklqdq: form(1, 1, 0x6c, { evexW: 1 }),
  vpunpckhqdq: form(1, 1, 0x6d, { evexW: 1 }),
  vaddps: form(1, 0, 0x58),
  vmulps: form(1, 0, 0x59),
  vfmadd231ps: form(2, 1, 0xb8),
  vinserti128: form(3, 1, 0x38, { unit: bytes(16) }), // EVEX: vinserti32x4
  vinserti64x4: form(3, 1, 0x3a, { evexW: 1, evexOnly: true, unit: bytes(32) }),
  vmovhps: form(1, 0, 0x16, { unit: bytes(8) }),
};

export type Load =
  | "vmovups"
  | "vmovq"
  | "vcvtdq2ps"
  | "vcvtph2ps"
  | "vpmovsxbd"
  | "vpmovsxbw"
  | "vpmovzxwd"
  | "vpbroadcastd"
  | "vbroadcastss"
  | "vbroadcastf32x8"
  | "vmovdqu16";

/** register ← register or memory. */
export const loads: Readonly<Record<Load, Form>> = {
  vmovups: form(1, 0, 0x10),
  vmovq: form(1, 2, 0x7e, { evexW: 1, unit: bytes(8) }),
  vcvtdq2ps: form(1, 0, 0x5b),
  vcvtph2ps: form(2, 1, 0x13, { unit: part(2) }),
  vpmovsxbd: form(2, 1, 0x21, { unit: part(4) }),
  vpmovsxbw: form(2, 1, 0x20, { unit: part(2) }),
  vpmovzxwd: form(2, 1, 0x33, { unit: part(2) }),
  vpbroadcastd: form(2, 1, 0x58, { unit: bytes(4) }),
  vbroadcastss: form(2, 1, 0x18, { unit: bytes(4) }),
  vbroadcastf32x8: form(2, 1, 0x1b, { evexOnly: true, unit: bytes(32) }), // 512 bits, from memory
  vmovdqu16: form(1, 3, 0x6f, { evexW: 1, evexOnly: true }),
};
