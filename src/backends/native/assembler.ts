// An assembler for x86-64: each instruction is a call, with operands in Intel's order. It has the instructions that the kernels beside it
// use, and no text form. Vector registers are numbers from 0 to 31, general ones `register.*`, masks 1 to 7, tiles 0 to 7.
// Does not know what the code computes, nor how it is loaded.

import { CodeBuffer, type Label } from "./code-buffer.ts";
import {
  type Form,
  loads,
  type Load,
  operations,
  type Operation,
  type Width,
} from "./instructions.ts";

/** General registers. A call on Linux brings rdi and xmm0; rbx, rbp and r12 to r15 must come back as they were. */
export const register: Readonly<Record<General, number>> = {
  ...{ rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7 },
  ...{ r8: 8, r9: 9, r10: 10, r11: 11, r12: 12, r13: 13, r14: 14, r15: 15 },
};
type General =
  | "rax"
  | "rcx"
  | "rdx"
  | "rbx"
  | "rsp"
  | "rbp"
  | "rsi"
  | "rdi"
  | "r8"
  | "r9"
  | "r10"
  | "r11"
  | "r12"
  | "r13"
  | "r14"
  | "r15";

/** Memory at base + index · scale + displacement, or at a label of the code (the displacement counts from there). */
export type Memory =
  | {
      readonly base: number;
      readonly index?: number;
      readonly scale?: 1 | 2 | 4 | 8;
      readonly displacement: number;
    }
  | { readonly label: Label; readonly displacement: number };

/** Memory at base + displacement, or at base + index · scale + displacement. */
export function at(
  base: number,
  displacement = 0,
  index?: number,
  scale: 1 | 2 | 4 | 8 = 1,
): Memory {
  return index === undefined ? { base, displacement } : { base, index, scale, displacement };
}

/** Memory at a label. */
export function atLabel(label: Label, displacement = 0): Memory {
  return { label, displacement };
}

/** A register, or memory. */
export type Operand = number | Memory;
export type Condition = "e" | "ne" | "l" | "ge" | "le" | "g";

/** What EVEX can add to an instruction. */
export type Extras = {
  /** The memory operand is one number, for all lanes. */
  readonly broadcast?: boolean;
  /** Only lanes whose bit in this mask register is set are written. */
  readonly mask?: number;
  /** The other lanes become zero. */
  readonly zero?: boolean;
};

/** The second byte of conditional jumps: if numbers were equal or not; of signed ones, if the first was less, greater … */
const conditions: Readonly<Record<Condition, number>> = {
  e: 0x84,
  ne: 0x85,
  l: 0x8c,
  ge: 0x8d,
  le: 0x8e,
  g: 0x8f,
};

export class Assembler extends CodeBuffer {
  jmp(label: Label): void {
    this.emit(0xe9);
    this.relative(label);
  }

  /** Jumps if the last comparison, addition or subtraction says so. */
  j(condition: Condition, label: Label): void {
    this.emit(0x0f, conditions[condition]);
    this.relative(label);
  }

  call(label: Label): void {
    this.emit(0xe8);
    this.relative(label);
  }

  /** Calls the function whose address is in a register. */
  callRegister(r: number): void {
    this.emit(0x40 | (r >> 3), 0xff, 0xd0 | (r & 7));
  }

  ret(): void {
    this.emit(0xc3);
  }

  /** Where a call through an address may land, for processors that check it (CET). */
  endbr64(): void {
    this.emit(0xf3, 0x0f, 0x1e, 0xfa);
  }

  /** Information about the processor: eax and ecx say which; it comes in eax, ebx, ecx, edx. */
  cpuid(): void {
    this.emit(0x0f, 0xa2);
  }

  /** edx:eax ← the extended control register whose number is in ecx. */
  xgetbv(): void {
    this.emit(0x0f, 0x01, 0xd0);
  }

  // General registers, 64 bits.

  mov(to: number, from: Operand): void {
    this.#general(0x8b, to, from);
  }
  store(to: Memory, from: number): void {
    this.#general(0x89, from, to);
  }
  /** The low 32 bits. */
  store32(to: Memory, from: number): void {
    this.#general32(0x89, from, to);
  }
  /** 32 bits, with zeros in the others. */
  mov32(to: number, from: Memory): void {
    this.#general32(0x8b, to, from);
  }
  /** 32 bits, with the sign in the others. */
  movsxd(to: number, from: Memory): void {
    this.#general(0x63, to, from);
  }
  movImmediate(to: number, value: number): void {
    this.emit(0x48 | (to >> 3), 0xc7, 0xc0 | (to & 7));
    this.word(value);
  }
  xchg(a: number, b: number): void {
    this.#general(0x87, a, b);
  }
  lea(to: number, from: Memory): void {
    this.#general(0x8d, to, from);
  }
  add(to: number, from: Operand): void {
    this.#general(0x03, to, from);
  }
  sub(to: number, from: Operand): void {
    this.#general(0x2b, to, from);
  }
  cmp(a: number, b: Operand): void {
    this.#general(0x3b, a, b);
  }
  imul(to: number, from: Operand): void {
    this.#twoBytes(0xaf, to, from);
  }
  /** to ← from, if the last comparison of signed numbers said greater. */
  cmovg(to: number, from: Operand): void {
    this.#twoBytes(0x4f, to, from);
  }
  addImmediate(to: number, value: number): void {
    this.#immediate(0, to, value);
  }
  subImmediate(to: number, value: number): void {
    this.#immediate(5, to, value);
  }
  cmpImmediate(a: Operand, value: number): void {
    this.#immediate(7, a, value);
  }
  /** For a jump by "e" or "ne": whether all those bits are zero. */
  testImmediate(r: number, bits: number): void {
    this.emit(0x48 | (r >> 3), 0xf7, 0xc0 | (r & 7));
    this.word(bits);
  }
  shiftLeft(to: number, count: number): void {
    this.emit(0x48 | (to >> 3), 0xc1, 0xe0 | (to & 7), count);
  }
  push(r: number): void {
    this.emit(0x40 | (r >> 3), 0x50 | (r & 7));
  }
  pop(r: number): void {
    this.emit(0x40 | (r >> 3), 0x58 | (r & 7));
  }
  /** to ← the f64 in a vector register, which must be a whole number. */
  cvttsd2si(to: number, from: number): void {
    this.emit(0xf2, 0x48 | ((to >> 3) << 2) | (from >> 3), 0x0f, 0x2c);
    this.#modrm(to, from & 15, 1);
  }
  /** Asks for memory, to be in the cache of level 1, 2 or 3 when it is read. */
  prefetch(from: Memory, level: 1 | 2 | 3): void {
    const [b, x] = highBits(from, 16);
    this.emit(0x40 | (x << 1) | b, 0x0f, 0x18);
    this.#modrm(level, from, 1);
  }

  // Vectors. VEX where it can say it (256 bits at most, registers 0 to 15, nothing extra), else EVEX.

  /** to ← a op b. `immediate`: for those that take one. */
  op(
    name: Operation,
    width: Width,
    to: number,
    a: number,
    b: Operand,
    extras: Extras & { readonly immediate?: number } = {},
  ): void {
    this.#vector(operations[name], width, to, a, b, extras);
    if (extras.immediate !== undefined) this.emit(extras.immediate);
  }

  /** to ← from. */
  load(name: Load, width: Width, to: number, from: Operand, extras: Extras = {}): void {
    this.#vector(loads[name], width, to, 0, from, extras);
  }

  /** Vectors of any alignment to memory. */
  storeVector(width: Width, to: Memory, from: number, extras: Extras = {}): void {
    this.#vector({ map: 1, prefix: 0, w: 0, opcode: 0x11 }, width, from, 0, to, extras);
  }

  /** Shifts of 16-bit lanes by a constant; zeros come. */
  shiftWords(
    direction: "left" | "right",
    width: Width,
    to: number,
    from: number,
    by: number,
  ): void {
    const form: Form = { map: 1, prefix: 1, w: 0, opcode: 0x71 };
    this.#vector(form, width, direction === "left" ? 6 : 2, to, from, {});
    this.emit(by);
  }

  /** Sixteen bits of a general register as a mask. */
  kmovw(mask: number, from: number): void {
    this.emit(0xc4, 0xe1 ^ ((from >> 3) << 5), 0x78, 0x92, 0xc0 | (mask << 3) | (from & 7));
  }

  /** Thirty-two bits, for the words of a vector. */
  kmovd(mask: number, from: number): void {
    this.emit(0xc4, 0xe1 ^ ((from >> 3) << 5), 0x7b, 0x92, 0xc0 | (mask << 3) | (from & 7));
  }

  /** Clears the upper halves of vector registers, without which older code would be slow. */
  vzeroupper(): void {
    this.emit(0xc5, 0xf8, 0x77);
  }

  #general(opcode: number, r: number, operand: Operand): void {
    const [b, x] = highBits(operand, 16);
    this.emit(0x48 | ((r >> 3) << 2) | (x << 1) | b, opcode);
    this.#modrm(r, operand, 1);
  }

  #general32(opcode: number, r: number, operand: Operand): void {
    const [b, x] = highBits(operand, 16);
    this.emit(0x40 | ((r >> 3) << 2) | (x << 1) | b, opcode);
    this.#modrm(r, operand, 1);
  }

  #twoBytes(opcode: number, r: number, operand: Operand): void {
    const [b, x] = highBits(operand, 16);
    this.emit(0x48 | ((r >> 3) << 2) | (x << 1) | b, 0x0f, opcode);
    this.#modrm(r, operand, 1);
  }

  #immediate(extension: number, to: Operand, value: number): void {
    this.#general(0x81, extension, to);
    this.word(value);
  }

  #vector(
    form: Form,
    width: Width,
    r: number,
    second: number,
    operand: Operand,
    extras: Extras & { readonly immediate?: number },
  ): void {
    const { map, prefix, opcode, evexOnly = false } = form;
    const { broadcast = false, mask = 0, zero = false, immediate } = extras;
    // The immediate comes after the displacement, which counts from the instruction's end.
    const after =
      immediate === undefined && !(opcode >= 0x71 && opcode <= 0x73 && map === 1) ? 0 : 1;
    const isHigh = Math.max(r, second, typeof operand === "number" ? operand : 0) > 15;
    const evex = evexOnly || width === 512 || broadcast || mask !== 0 || isHigh;
    if (!evex) {
      const [b, x] = highBits(operand, 16);
      this.emit(0xc4, inverted(r >> 3, 7) | inverted(x, 6) | inverted(b, 5) | map);
      const length = width === 256 ? 1 : 0;
      this.emit((form.w << 7) | ((~second & 15) << 3) | (length << 2) | prefix, opcode);
      this.#modrm(r, operand, 1, after);
      return;
    }
    const [b, x] = highBits(operand, 32);
    const length = { 128: 0, 256: 1, 512: 2 }[width];
    const { evexW = form.w, unit = (bits: Width) => bits / 8 } = form;
    const high = inverted(r >> 3, 7) | inverted(x, 6) | inverted(b, 5) | inverted(r >> 4, 4);
    this.emit(0x62, high | map, (evexW << 7) | ((~second & 15) << 3) | 4 | prefix);
    this.emit(
      ((zero ? 1 : 0) << 7) |
        (length << 5) |
        ((broadcast ? 1 : 0) << 4) |
        inverted(second >> 4, 3) |
        mask,
    );
    this.emit(opcode);
    this.#modrm(r, operand, broadcast ? 4 : unit(width), after);
  }

  /** @param unit what a displacement of one byte counts @param after bytes of the instruction that follow the displacement */
  #modrm(r: number, operand: Operand, unit: number, after = 0): void {
    const field = (r & 7) << 3;
    if (typeof operand === "number") return this.emit(0xc0 | field | (operand & 7));
    if ("label" in operand) {
      this.emit(field | 5);
      this.relative(operand.label, operand.displacement, after);
      return;
    }
    const { base, index, displacement, scale = 1 } = operand;
    const small = displacement / unit;
    const isSmall = Number.isInteger(small) && small >= -128 && small < 128;
    // rbp and r13 have no form without a displacement; rsp and r12 need the byte for an index.
    const mode = displacement === 0 && (base & 7) !== 5 ? 0 : isSmall ? 0x40 : 0x80;
    if (index !== undefined || (base & 7) === 4) {
      this.emit(mode | field | 4, (Math.log2(scale) << 6) | (((index ?? 4) & 7) << 3) | (base & 7));
    } else this.emit(mode | field | (base & 7));
    if (mode === 0x40) this.emit(small);
    if (mode === 0x80) this.word(displacement);
  }
}

/** The bits of a register, or of base and index, that do not fit into the operand's byte. A vector register's fifth bit is x. */
function highBits(operand: Operand, registers: 16 | 32): [b: number, x: number] {
  if (typeof operand === "number") return [(operand >> 3) & 1, registers === 32 ? operand >> 4 : 0];
  return "label" in operand ? [0, 0] : [operand.base >> 3, (operand.index ?? 0) >> 3];
}

/** The lowest bit, inverted, at a place. */
const inverted = (bit: number, place: number): number => (~bit & 1) << place;
