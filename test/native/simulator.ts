// Runs machine code, instruction by instruction, on any machine: kernels are tried where the processor lacks their instructions. It reads
// bytes, so it also checks how they are written. It knows the instructions that the Assembler has, and no timing.

import { EngineError } from "../../src/errors.ts";
import { decodeVector, type VectorInstruction } from "./simulator-decode.ts";
import { Memory } from "./simulator-memory.ts";
import { type Place, Reader, unknown } from "./simulator-reader.ts";
import { Tiles } from "./simulator-tiles.ts";
import { runVector, VECTOR_BYTES } from "./simulator-vectors.ts";

/** Where code begins in the simulated process. */
const CODE_AT = 0x10000;
const STACK_AT = 0x8000;
/** Where the last return leads. */
const END = 0xdead;
const [RSP] = [4];

type Step = () => void;

export class Simulator {
  readonly memory: Memory = new Memory();
  readonly #code: Uint8Array;
  readonly #registers: number[] = Array.from({ length: 16 }, () => 0);
  readonly #vectors: Uint8Array[] = Array.from({ length: 32 }, () => new Uint8Array(VECTOR_BYTES));
  readonly #masks: number[] = Array.from({ length: 8 }, () => 0);
  readonly #tiles: Tiles = new Tiles();
  /** Instructions that were read before, and where the next one begins. */
  readonly #steps: Map<number, { readonly run: Step; readonly next: number }> = new Map();
  #at = 0;
  /** Of the last comparison, as a − b. */
  #difference = 0;
  /** How many instructions have been run. */
  count = 0;

  constructor(code: Uint8Array) {
    this.#code = code;
    this.memory.add(CODE_AT, code);
    this.memory.add(STACK_AT - 4096, new Uint8Array(4096));
  }

  /** Calls the function at an offset of the code, with an f64. @throws EngineError it broke a rule of functions */
  call(offset: number, argument: number): void {
    const saved = [3, 5, 12, 13, 14, 15];
    saved.forEach((r) => (this.#registers[r] = 1000 + r));
    this.#registers[RSP] = STACK_AT - 64;
    new DataView(this.#vectors[0].buffer).setFloat64(0, argument, true);
    this.#push(END);
    this.#at = CODE_AT + offset;
    while (this.#at !== END) this.#step();
    if (
      this.#registers[RSP] !== STACK_AT - 64 ||
      saved.some((r) => this.#registers[r] !== 1000 + r)
    )
      throw new EngineError("simulator: the function did not give back registers as they were");
    if (this.#tiles.isConfigured) throw new EngineError("simulator: tiles were not released");
  }

  #step(): void {
    let found = this.#steps.get(this.#at);
    if (found === undefined) {
      const reader = new Reader(this.#code, this.#at - CODE_AT);
      const run = this.#read(reader);
      found = { run, next: CODE_AT + reader.at };
      this.#steps.set(this.#at, found);
    }
    this.#at = found.next;
    this.count++;
    found.run();
  }

  #read(reader: Reader): Step {
    const first = reader.byte();
    if (first === 0x62 || first === 0xc4) return this.#readVector(reader, first);
    if (first === 0xc5) {
      reader.expect(0xf8, 0x77);
      return () => this.#vectors.slice(0, 16).forEach((v) => v.fill(0, 16));
    }
    if (first === 0xf3) {
      reader.expect(0x0f, 0x1e, 0xfa); // endbr64
      return () => {};
    }
    if (first === 0xf2) {
      const rex = reader.byte();
      reader.expect(0x0f, 0x2c);
      const { register, place } = reader.operand(rex & 4, rex & 2, rex & 1);
      const from = registerOf(place);
      return () => {
        const number = new DataView(this.#vectors[from].buffer).getFloat64(0, true);
        this.#registers[register] = Math.trunc(number);
      };
    }
    const rex = first >> 4 === 4 ? first : 0;
    return this.#readGeneral(reader, rex, rex === 0 ? first : reader.byte());
  }

  #readGeneral(reader: Reader, rex: number, opcode: number): Step {
    const r = this.#registers;
    const low = opcode & 7;
    const extended = low | ((rex & 1) << 3);
    if (opcode >= 0x50 && opcode < 0x58) return () => this.#push(r[extended]);
    if (opcode >= 0x58 && opcode < 0x60) return () => (r[extended] = this.#pop());
    if (opcode === 0xc3) return () => (this.#at = this.#pop());
    if (opcode === 0xe8 || opcode === 0xe9) {
      const target = reader.target() + CODE_AT;
      return () => {
        if (opcode === 0xe8) this.#push(this.#at);
        this.#at = target;
      };
    }
    if (opcode === 0x0f) return this.#readTwoBytes(reader, rex, reader.byte());
    const { register, place } = reader.operand(rex & 4, rex & 2, rex & 1);
    const value = (): number =>
      typeof place === "number" ? r[place] : this.memory.word(this.#address(place));
    switch (opcode) {
      case 0x8b:
        return rex & 8
          ? () => (r[register] = value())
          : () => (r[register] = this.memory.word32(this.#address(place as Place)) >>> 0);
      case 0x89:
        return () =>
          this.memory.setWord(this.#address(place as Place), r[register], (rex & 8) !== 0);
      case 0x63:
        return () => (r[register] = this.memory.word32(this.#address(place as Place)));
      case 0x8d:
        return () => (r[register] = this.#address(place as Place));
      case 0x03:
        return () => (r[register] = this.#compared(r[register] + value()));
      case 0x2b:
        return () => (r[register] = this.#compared(r[register] - value()));
      case 0x3b:
        return () => void this.#compared(r[register] - value());
    }
    if (opcode === 0x81 && (register & 7) === 7) {
      const immediate = reader.word();
      return () => void this.#compared(value() - immediate);
    }
    const to = registerOf(place);
    if (opcode === 0x87) return () => void ([r[register], r[to]] = [r[to], r[register]]);
    if (opcode === 0xff) {
      return () => {
        this.#push(this.#at);
        this.#at = r[to];
      };
    }
    if (opcode === 0xc1) {
      const by = reader.byte();
      return () => (r[to] *= 2 ** by);
    }
    const immediate = reader.word();
    if (opcode === 0xc7) return () => (r[to] = immediate);
    if (opcode === 0xf7) {
      return () =>
        (this.#difference = Number(BigInt.asIntN(64, BigInt(r[to]) & BigInt(immediate))));
    }
    if (opcode !== 0x81) throw unknown(opcode);
    switch (register & 7) {
      case 0:
        return () => (r[to] = this.#compared(r[to] + immediate));
      case 5:
        return () => (r[to] = this.#compared(r[to] - immediate));
      default:
        throw unknown(opcode);
    }
  }

  #readTwoBytes(reader: Reader, rex: number, opcode: number): Step {
    const r = this.#registers;
    if (opcode >> 4 === 8) {
      const target = reader.target() + CODE_AT;
      const isMet = conditions[opcode & 15];
      if (isMet === undefined) throw unknown(opcode);
      return () => void (isMet(this.#difference) && (this.#at = target));
    }
    const { register, place } = reader.operand(rex & 4, rex & 2, rex & 1);
    const value = (): number =>
      typeof place === "number" ? r[place] : this.memory.word(this.#address(place));
    if (opcode === 0x18) return () => {}; // prefetch
    if (opcode === 0xaf) return () => (r[register] *= value());
    if (opcode === 0x4f) return () => void (this.#difference > 0 && (r[register] = value()));
    throw unknown(opcode);
  }

  #readVector(reader: Reader, first: number): Step {
    const instruction = decodeVector(reader, first);
    if (instruction.name.startsWith("kmov")) {
      const from = registerOf(instruction.operand);
      const kept = instruction.name === "kmovw" ? 0xffff : -1;
      return () => (this.#masks[instruction.register] = this.#registers[from] & kept);
    }
    const address = (): number => this.#address(instruction.operand as Place);
    if (this.#tiles.has(instruction.name)) {
      return () => {
        const stride = this.#stride(instruction);
        this.#tiles.run(instruction, this.memory, address, stride);
      };
    }
    return () =>
      runVector(instruction, this.#vectors, this.#masks[instruction.mask], this.memory, address);
  }

  /** Tiles are read and written by rows: the index register says how far they are apart. */
  #stride({ operand }: VectorInstruction): number {
    return typeof operand === "number" || operand.index === undefined
      ? 0
      : this.#registers[operand.index] * operand.scale;
  }

  #address({ base, index, scale, displacement, next }: Place): number {
    if (base === undefined) return CODE_AT + next + displacement;
    const offset = index === undefined ? 0 : this.#registers[index] * scale;
    return this.#registers[base] + offset + displacement;
  }

  #compared(value: number): number {
    this.#difference = value;
    return value;
  }

  #push(value: number): void {
    this.#registers[RSP] -= 8;
    this.memory.setWord(this.#registers[RSP], value, true);
  }

  #pop(): number {
    this.#registers[RSP] += 8;
    return this.memory.word(this.#registers[RSP] - 8);
  }
}

/** By the low four bits of the opcode. */
const conditions: Readonly<Record<number, (difference: number) => boolean>> = {
  4: (d) => d === 0,
  5: (d) => d !== 0,
  12: (d) => d < 0,
  13: (d) => d >= 0,
  14: (d) => d <= 0,
  15: (d) => d > 0,
};

function registerOf(place: number | Place): number {
  if (typeof place !== "number") throw new EngineError("simulator: a register was expected ");
  return place;
}
