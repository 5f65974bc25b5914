// The bytes of machine code, one after the other: numbers, and the operands behind an opcode. Does not know instructions.

import { EngineError } from "../../src/errors.ts";

/** Memory at base + index · scale + displacement; without a base, at next + displacement, from the beginning of the code. */
export type Place = {
  readonly base: number | undefined;
  readonly index: number | undefined;
  readonly scale: number;
  readonly displacement: number;
  /** The offset of what follows the displacement. */
  readonly next: number;
};

/** Reads an instruction's bytes. */
export class Reader {
  readonly #code: Uint8Array;
  at: number;

  constructor(code: Uint8Array, at: number) {
    this.#code = code;
    this.at = at;
  }

  byte(): number {
    if (this.at >= this.#code.length) throw new EngineError("simulator: ran out of the code");
    return this.#code[this.at++];
  }

  expect(...bytes: readonly number[]): void {
    for (const byte of bytes) if (this.byte() !== byte) throw unknown(byte);
  }

  /** A signed number of 32 bits. */
  word(): number {
    const [a, b, c, d] = [this.byte(), this.byte(), this.byte(), this.byte()];
    return a | (b << 8) | (c << 16) | (d << 24);
  }

  /** The offset in the code to which a distance of 32 bits leads. */
  target(): number {
    const distance = this.word();
    return this.at + distance;
  }

  /**
   * The byte behind an opcode, with what follows it.
   * @param r x b the high bits of its three fields, 0 or not
   * @param unit what a displacement of one byte counts
   */
  operand(r: number, x: number, b: number, unit = 1): { register: number; place: number | Place } {
    const modrm = this.byte();
    const [mode, low] = [modrm >> 6, modrm & 7];
    const register = ((modrm >> 3) & 7) | (r ? 8 : 0);
    if (mode === 3) return { register, place: low | (b ? 8 : 0) };
    let base: number | undefined = low | (b ? 8 : 0);
    let [index, scale]: [number | undefined, number] = [undefined, 1];
    if (low === 4) {
      const sib = this.byte();
      base = (sib & 7) | (b ? 8 : 0);
      const number = ((sib >> 3) & 7) | (x ? 8 : 0);
      if (number !== 4) index = number;
      scale = 1 << (sib >> 6);
    } else if (mode === 0 && low === 5) base = undefined; // relative to the next instruction
    const isFar = mode === 2 || base === undefined;
    const displacement = isFar ? this.word() : mode === 1 ? ((this.byte() << 24) >> 24) * unit : 0;
    return { register, place: { base, index, scale, displacement, next: this.at } };
  }
}

export function unknown(opcode: number): EngineError {
  return new EngineError(`simulator: unknown instruction (byte ${opcode.toString(16)})`);
}
