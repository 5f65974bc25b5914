// What an x64 processor can do, of what the kernels beside this file use: as the instruction cpuid tells it, and as far as the system
// saves the registers concerned when it switches threads (XCR0). Bits are those of Intel's and AMD's manuals.

import type { MachineCode } from "#platform";
import { Assembler, at, register } from "./assembler.ts";
import { sharedLibrary } from "./shared-library.ts";

export type Processor = {
  /** AVX-512 F, BW, DQ and VL, beside AVX2 and fused multiply-add. */
  readonly avx512: boolean;
  /** Dot products of four 8-bit integers in one instruction, on 512 bits. */
  readonly avx512Vnni: boolean;
  /** Permutations of bytes (VBMI). */
  readonly avx512Vbmi: boolean;
  /** Matrix products of 8-bit integers and of bf16 on tiles (AMX). The system must allow them to the process besides. */
  readonly amx: boolean;
};

/** eax, ebx, ecx and edx. */
export type CpuidWords = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** What cpuid and XCR0 say. */
export function processorOf(
  cpuid: (leaf: number, subleaf: number) => CpuidWords,
  xcr0: () => number,
): Processor {
  const [most] = cpuid(0, 0);
  const ecx1 = most >= 1 ? cpuid(1, 0)[2] : 0;
  // Without OSXSAVE the instruction that reads XCR0 does not exist.
  if (most < 7 || !hasBit(ecx1, 27)) return none;
  const saved = xcr0();
  const [, ebx, ecx, edx] = cpuid(7, 0);
  const saves = (state: number): boolean => (saved & state) === state;
  const avx2 = hasBit(ecx1, 28) && hasBit(ecx1, 12) && hasBit(ebx, 5);
  const avx512 =
    avx2 && saves(YMM | ZMM) && [16, 17, 30, 31].every((subset) => hasBit(ebx, subset));
  return {
    avx512,
    avx512Vnni: avx512 && hasBit(ecx, 11),
    avx512Vbmi: avx512 && hasBit(ecx, 1),
    amx: avx512 && saves(TILES) && [22, 24, 25].every((part) => hasBit(edx, part)),
  };
}

// Registers that the system saves: bits of XCR0.
const YMM = 0b110;
const ZMM = 0b1110_0000;
const TILES = 0b110_0000_0000_0000_0000;

const none: Processor = { avx512: false, avx512Vnni: false, avx512Vbmi: false, amx: false };

const hasBit = (word: number, bit: number): boolean => ((word >>> bit) & 1) === 1;

/** Asks this machine's processor, by machine code. @throws EngineError the system refuses machine code */
export function askProcessor(machine: MachineCode): Processor {
  const path = machine.keepLibrary(sharedLibrary(...question()));
  const words = new Uint32Array(new ArrayBuffer(64));
  const ask = machine.openFunction(path, "ask");
  const readXcr0 = machine.openFunction(path, "read_xcr0");
  const address = machine.addressOf(words.buffer);
  const cpuid = (leaf: number, subleaf: number): CpuidWords => {
    words.set([leaf, subleaf]);
    ask(address);
    return [words[2], words[3], words[4], words[5]];
  };
  return processorOf(cpuid, () => (readXcr0(address), words[2]));
}

/**
 * Functions that get the address of words of 32 bits: `ask` reads a leaf and a subleaf, and writes what cpuid says in the four words
 * behind; `read_xcr0` writes the low half of XCR0 there.
 */
function question(): [code: Uint8Array, symbols: Readonly<Record<string, number>>] {
  const { rax, rbx, rcx, rdx, rdi } = register;
  const a = new Assembler();
  const words = (first: number): ReturnType<typeof at> => at(rdi, 4 * first);
  a.endbr64();
  a.push(rbx);
  a.cvttsd2si(rdi, 0);
  a.movsxd(rax, words(0));
  a.movsxd(rcx, words(1));
  a.cpuid();
  [rax, rbx, rcx, rdx].forEach((r, i) => a.store32(words(2 + i), r));
  a.pop(rbx);
  a.ret();
  const read_xcr0 = a.size;
  a.endbr64();
  a.cvttsd2si(rdi, 0);
  a.movImmediate(rcx, 0);
  a.xgetbv();
  a.store32(words(2), rax);
  a.ret();
  return [a.finish(), { ask: 0, read_xcr0 }];
}
