// The families of kernels that machine code can compute in place of WebAssembly: for which processors, and on which ops they are tried
// before they are used.

import type { LimitKind } from "../native/limits.ts";
import type { Processor } from "../native/processor.ts";
import { NATIVE_ATTENTION, NATIVE_DENSE, NATIVE_FOUR_BIT, NATIVE_INT8 } from "./kernels/header.ts";

export type NativeFamily = {
  /** Its bit in NATIVE. */
  readonly bit: number;
  /** What it computes, in the words of `doctor`. */
  readonly name: string;
  /** The instructions that its kernels use on that processor; undefined: there are none for it. */
  instructions(processor: Processor): string | undefined;
  /** Its kernels use AMX's tiles where the processor has them and the system allows them. */
  readonly usesTiles?: boolean;
  /** What a processor needs, in the words of `doctor`. */
  readonly needs: string;
  /** The arithmetic that holds its kernels up with many rows. */
  readonly limit: LimitKind;
  readonly tried: ProductsTried | AttentionTried;
};

export type ProductsTried = {
  readonly op: "linear";
  /** Dtypes of weights whose products must have the same bits; columns must be multiples of `step`: 1, 64 or 256. */
  readonly products: readonly { readonly dtype: string; readonly step: 1 | 64 | 256 }[];
  /** A product that must be faster: its weight's dtype, and its number of rows. */
  readonly timed: { readonly dtype: string; readonly rows: number };
};

export type AttentionTried = {
  readonly op: "paged_attention";
  /** Dtypes of caches over which attention must have the same bits; over the first it must be faster, with so many rows. */
  readonly caches: readonly string[];
  readonly timed: { readonly rows: number };
};

/** Dtypes of one step. */
const every = (step: 1 | 64 | 256, ...dtypes: readonly string[]): ProductsTried["products"] =>
  dtypes.map((dtype) => ({ dtype, step }));

export const nativeFamilies: readonly NativeFamily[] = [
  {
    bit: NATIVE_INT8,
    name: "8-bit products",
    instructions: ({ avx512Vnni }) => (avx512Vnni ? "AVX-512 VNNI" : undefined),
    needs: "AVX-512 with VNNI",
    limit: "int8",
    tried: {
      op: "linear",
      products: [
        ...every(1, "q4:int8", "q4r:int8", "q6r:int8", "q8:int8"),
        ...every(256, "q4k:int8", "q6k:int8"),
      ],
      timed: { dtype: "q4r:int8", rows: 64 },
    },
  },
  {
    bit: NATIVE_FOUR_BIT,
    name: "4-bit products (nf4, fp4)",
    instructions: ({ avx512Vnni, avx512Vbmi }) =>
      avx512Vnni && avx512Vbmi ? "AVX-512 VNNI and VBMI" : undefined,
    needs: "AVX-512 with VNNI and VBMI",
    limit: "int8",
    tried: {
      op: "linear",
      products: [
        ...every(64, "nf4-64:int8", "nf4-64-dq:int8", "fp4-128:int8"),
        ...every(64, "nf4-64:fixed16", "fp4-64:fixed16"),
      ],
      timed: { dtype: "nf4-64:fixed16", rows: 16 },
    },
  },
  {
    bit: NATIVE_ATTENTION,
    name: "attention",
    instructions: ({ avx512 }) => (avx512 ? "AVX-512" : undefined),
    needs: "AVX-512",
    limit: "float32",
    tried: { op: "paged_attention", caches: ["f16", "f32"], timed: { rows: 16 } },
  },
  {
    bit: NATIVE_DENSE,
    name: "products with plain weights (f32, bf16, f16)",
    instructions: ({ avx512 }) => (avx512 ? "AVX-512" : undefined),
    needs: "AVX-512",
    limit: "float32",
    tried: {
      op: "linear",
      products: every(1, "f32", "bf16", "f16"),
      timed: { dtype: "bf16", rows: 16 },
    },
  },
];
