// Which instructions a processor has, from the words that cpuid gave on several: recorded (in libcpuid's collection, and on machines of
// ours) under Linux, with the XCR0 that Linux sets there.

import { machineCode } from "#platform";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  askProcessor,
  type CpuidWords,
  type Processor,
  processorOf,
} from "../../src/backends/native/processor.ts";
import { onlyWith } from "./has.ts";

/** Words by leaf and subleaf, and XCR0. */
type Recorded = {
  readonly words: Readonly<Record<string, CpuidWords>>;
  readonly xcr0: number;
};

const recorded: Readonly<Record<string, Recorded>> = {
  "Intel Core 2 Quad Q6600": {
    words: {
      "0.0": [0x0000_000a, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
      "1.0": [0x0000_06fb, 0x0004_0800, 0x0000_e3bd, 0xbfeb_fbff],
    },
    xcr0: 0,
  },
  "Intel Core i7-4770 (Haswell)": {
    words: {
      "0.0": [0x0000_000d, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
      "1.0": [0x0003_06c3, 0x0010_0800, 0x7ffa_fbff, 0xbfeb_fbff],
      "7.0": [0x0000_0000, 0x0000_27ab, 0x0000_0000, 0x0000_0000],
    },
    xcr0: 0x7,
  },
  "Intel Core i3-8121U (Cannon Lake)": {
    words: {
      "0.0": [0x0000_0016, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
      "1.0": [0x0006_0663, 0x0010_0800, 0x7ffa_fbbf, 0xbfeb_fbff],
      "7.0": [0x0000_0000, 0xf2bf_67eb, 0x0000_000e, 0x9c00_0000],
    },
    xcr0: 0x2e7,
  },
  "Intel Core i7-11700K (Rocket Lake)": {
    words: {
      "0.0": [0x0000_001b, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
      "1.0": [0x000a_0671, 0x0010_0800, 0xfeda_f387, 0xbfeb_fbff],
      "7.0": [0x0000_0000, 0xf2bf_67ab, 0x0040_5f46, 0xbc00_0410],
    },
    xcr0: 0x2e7,
  },
  "Intel Core i9-12900K (Alder Lake)": {
    words: {
      "0.0": [0x0000_0020, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
      "1.0": [0x0009_0672, 0x0080_0800, 0x7ffa_fbff, 0xbfeb_fbff],
      "7.0": [0x0000_0001, 0x239c_a7eb, 0x98c0_27ac, 0xfc1c_c410],
    },
    xcr0: 0x207,
  },
  "AMD Ryzen 9 5950X (Zen 3)": {
    words: {
      "0.0": [0x0000_0010, 0x6874_7541, 0x444d_4163, 0x6974_6e65],
      "1.0": [0x00a2_0f10, 0x0020_0800, 0x7ed8_320b, 0x178b_fbff],
      "7.0": [0x0000_0000, 0x219c_97a9, 0x0040_068c, 0x0000_0010],
    },
    xcr0: 0x207,
  },
  "AMD EPYC (Zen 4), in a virtual machine": {
    words: {
      "0.0": [0x0000_001c, 0x6874_7541, 0x444d_4163, 0x6974_6e65],
      "1.0": [0x00a1_0f11, 0x0102_0800, 0xfffa_3203, 0x178b_fbff],
      "7.0": [0x0000_0001, 0xf1bf_07ab, 0x0040_5fc6, 0x0000_0010],
    },
    xcr0: 0xe7,
  },
  "AMD Ryzen 7 9700X (Zen 5)": {
    words: {
      "0.0": [0x0000_0010, 0x6874_7541, 0x444d_4163, 0x6974_6e65],
      "1.0": [0x00b4_0f40, 0x0010_0800, 0x7ed8_320b, 0x178b_fbff],
      "7.0": [0x0000_0001, 0xf1bf_97ab, 0x1940_5fce, 0x1000_0110],
    },
    xcr0: 0x2e7,
  },
};

/** Leaves that a processor does not have read as zeros. */
const asked =
  ({ words }: Recorded) =>
  (leaf: number, subleaf: number): CpuidWords =>
    words[`${leaf}.${subleaf}`] ?? [0, 0, 0, 0];

const of = (recording: Recorded, xcr0 = recording.xcr0): Processor =>
  processorOf(asked(recording), () => xcr0);

const namesOf = (processor: Processor): string[] =>
  Object.entries(processor).flatMap(([name, has]) => (has ? [name] : []));

const avx512 = ["avx512", "avx512Vnni", "avx512Vbmi"];

test.each<[string, string[]]>([
  ["Intel Core 2 Quad Q6600", []],
  ["Intel Core i7-4770 (Haswell)", []],
  ["Intel Core i3-8121U (Cannon Lake)", ["avx512", "avx512Vbmi"]],
  ["Intel Core i7-11700K (Rocket Lake)", avx512],
  ["Intel Core i9-12900K (Alder Lake)", []],
  ["AMD Ryzen 9 5950X (Zen 3)", []],
  ["AMD EPYC (Zen 4), in a virtual machine", avx512],
  ["AMD Ryzen 7 9700X (Zen 5)", avx512],
])("%s", (name, expected) => {
  expect(namesOf(of(recorded[name]))).toEqual(expected);
});

describe("what the system does not save may not be used", () => {
  const zen5 = recorded["AMD Ryzen 7 9700X (Zen 5)"];

  test.each([
    ["no 512-bit registers", 0x207],
    ["no upper half of the registers 0 to 15", 0x2a7],
    ["no 256-bit registers", 0x3],
    ["512-bit ones without 256-bit ones", 0xe3],
  ])("%s", (_, xcr0) => {
    expect(namesOf(of(zen5, xcr0))).toEqual([]);
  });

  test("a system that does not save by XSAVE is not asked for XCR0, which would be no instruction", () => {
    const { words } = zen5;
    const [eax, ebx, ecx, edx] = words["1.0"];
    const old = { words: { ...words, "1.0": [eax, ebx, ecx & ~(1 << 27), edx] as const }, xcr0: 0 };
    const refused = (): never => expect.unreachable("XCR0 was read");
    expect(namesOf(processorOf(asked(old), refused))).toEqual([]);
    expect(namesOf(processorOf(asked(recorded["Intel Core 2 Quad Q6600"]), refused))).toEqual([]);
  });
});

describe("each set of instructions is one bit", () => {
  const [AVX, FMA, OSXSAVE] = [1 << 28, 1 << 12, 1 << 27];
  const AVX2 = 1 << 5;
  const AVX512 = [16, 17, 30, 31].reduce((bits, bit) => bits | (1 << bit), 0);
  /** A processor with these bits of leaf 7, and AVX and FMA of leaf 1. */
  const having = (ebx: number, ecx = 0, edx = 0, leaf1 = AVX | FMA | OSXSAVE): string[] =>
    namesOf(
      of({
        words: {
          "0.0": [7, 0, 0, 0],
          "1.0": [0, 0, leaf1, 0],
          "7.0": [1, ebx, ecx, edx],
        },
        xcr0: 0x602e7,
      }),
    );
  const withBit = (names: (bit: number) => string[]): Record<string, number[]> => {
    const bits: Record<string, number[]> = {};
    for (let bit = 0; bit < 32; bit++) for (const name of names(bit)) (bits[name] ??= []).push(bit);
    return bits;
  };

  test("AVX-512, which needs AVX2 and fused multiply-add", () => {
    expect(having(AVX2 | AVX512)).toEqual(["avx512"]);
    for (const bit of [16, 17, 30, 31]) expect(having(AVX2 | (AVX512 & ~(1 << bit)))).toEqual([]);
    expect(having(AVX512)).toEqual([]);
    for (const leaf1 of [AVX | OSXSAVE, FMA | OSXSAVE])
      expect(having(AVX2 | AVX512, 0, 0, leaf1)).toEqual([]);
  });

  test("beside AVX-512", () => {
    const more = (bits: Record<string, number[]>): Record<string, number[]> => {
      const { avx512: wide, ...others } = bits;
      expect(wide).toHaveLength(32);
      return others;
    };
    const all = AVX2 | AVX512;
    expect(more(withBit((bit) => having(all, 1 << bit)))).toEqual({
      avx512Vnni: [11],
      avx512Vbmi: [1],
    });
    const amx = [22, 24, 25];
    expect(
      more(withBit((bit) => having(all, 0, amx.reduce((a, b) => a | (1 << b), 0) & ~(1 << bit))))
        .amx,
    ).toEqual(Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => !amx.includes(bit)));
  });
});

describe("AMX", () => {
  /** A processor with AVX-512 and tiles: Zen 5's words with the bits that Intel's manual gives to AMX. */
  const zen5 = recorded["AMD Ryzen 7 9700X (Zen 5)"];
  const tiles = (edx: number): Recorded => {
    const [a, b, c, d] = zen5.words["7.0"];
    return { words: { ...zen5.words, "7.0": [a, b, c, d | edx] }, xcr0: 0x602e7 };
  };
  const [BF16, TILE, INT8] = [1 << 22, 1 << 24, 1 << 25];

  test("needs tiles, both kinds of products, and that the system saves tiles and their configuration", () => {
    expect(of(tiles(BF16 | TILE | INT8)).amx).toBe(true);
    for (const less of [BF16 | TILE, BF16 | INT8, TILE | INT8, 0])
      expect(of(tiles(less)).amx).toBe(false);
    for (const xcr0 of [0x202e7, 0x402e7, 0x2e7])
      expect(of(tiles(BF16 | TILE | INT8), xcr0).amx).toBe(false);
  });
});

test(
  "this machine's processor is the one that Linux describes",
  onlyWith("machine code", async () => {
    const flags =
      /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1].split(" ") ?? [];
    const has = (...names: string[]): boolean => names.every((name) => flags.includes(name));
    const processor = askProcessor(await machineCode());
    expect(processor).toEqual({
      avx512: has("avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"),
      avx512Vnni: has("avx512_vnni"),
      avx512Vbmi: has("avx512vbmi"),
      amx: has("amx_tile", "amx_int8", "amx_bf16"),
    });
  }),
);
