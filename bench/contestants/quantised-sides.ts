// Who takes part in the comparison of models in few bits, and the files that each reads: how they are made, and by which file
// one sees that they are there. The slow ones go first: they fill the page cache with what nobody else reads.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { thisMachine } from "../machine.ts";
import type { Brief, Side } from "./member.ts";
import {
  bench,
  everyWay,
  llamaCpp,
  ours,
  python,
  pytorch,
  run,
  stories,
  transformersJs,
  type Way,
  work,
} from "./sides.ts";

/** Something on the disk: it is there if one of `proofs` is. */
export type Needed = { readonly proofs: readonly string[]; make(): void };

/** Makes what is missing. */
export function prepare(files: readonly Needed[]): void {
  for (const file of files) if (!file.proofs.some((path) => existsSync(path))) file.make();
}

export type Wanted = { readonly side: Side; readonly needs: readonly Needed[] };

/** Distances from float32's logits that show the same model: rounding, 8 bits, 4 bits (unrelated logits are 1.4 away). */
const EXACT = 1e-3;
const ROUNDED = 0.05;
const EIGHT_BITS = 0.2;
const FOUR_BITS = 0.8;
/** Through 32 layers of random weights, any rounding grows; this only tells numbers from none. */
const DEEP = 2;

const NF4 = { load_in_4bit: true, bnb_4bit_quant_type: "nf4", bnb_4bit_compute_dtype: "float32" };

export function mistralSides(layers: number): readonly Wanted[] {
  const name = `mistral-7b-${layers}l`;
  const whole = layers >= 16;
  const fourBits = whole ? DEEP : FOUR_BITS;
  const source = checkpoint(layers);
  const dir = source.folder;
  const quantised = (method: string): Source => quantisedCheckpoint(name, dir, method);
  const mine = (
    side: string,
    title: string,
    method: string,
    tolerance: number,
    compute_dtype: string,
    ways?: readonly Way[],
  ): readonly Wanted[] => {
    const made = quantised(method);
    const rest = { dtype: "auto", tolerance, options: { compute_dtype } };
    return ours(side, title, made.folder, rest, ways).map((one) => ({
      side: one,
      needs: [source, made],
    }));
  };
  const file = gguf(name, dir, "Q4_0");
  const [fp32, q4] = ["fp32", "q4"].map((dtype) => onnx(name, dir, dtype));
  const slow: Brief = { prompt: whole ? 8 : 128, newTokens: 8, rounds: 1 };
  // PyTorch's bfloat16 is slow where the processor has no instructions for it.
  const hasBf16 = thisMachine().instructions.some((set) =>
    /^(avx512_bf16|amx_bf16|bf16)$/.test(set),
  );
  const quick: Brief = { prompt: 512, newTokens: 16, rounds: 2 };
  const nf4 = { dtype: "float32", tolerance: fourBits, options: { quantization_config: NF4 } };
  const bf16 = { dtype: "bfloat16", tolerance: ROUNDED };
  const few = [
    ...mine("q4", "q4", "q4", fourBits, "int8", everyWay),
    ...mine("nf4-int8", "nf4, compute dtype int8", "nf4", fourBits, "int8", everyWay),
    ...mine("nf4", "nf4, compute dtype float16", "nf4", fourBits, "float16", everyWay),
  ];
  const llama = {
    side: llamaCpp("llama.cpp", "node-llama-cpp, Q4_0 (head Q6_K)", file.path, fourBits),
    needs: [source, file],
  };
  if (whole) {
    return [
      {
        side: pytorch("pytorch-bf16", "PyTorch, bfloat16", dir, {
          ...bf16,
          brief: hasBf16 ? { ...quick, rounds: 1 } : slow,
        }),
        needs: [source],
      },
      {
        side: pytorch("bitsandbytes", "bitsandbytes, NF4", dir, {
          ...nf4,
          dtype: "bfloat16",
          brief: slow,
        }),
        needs: [source],
      },
      llama,
      ...few,
      ...mine(
        "nf4-dq",
        "nf4 with double quantisation, compute dtype float16",
        "nf4-dq",
        fourBits,
        "float16",
      ),
    ];
  }
  return [
    {
      side: pytorch("pytorch-f32", "PyTorch, float32", dir, {
        dtype: "float32",
        tolerance: EXACT,
        brief: quick,
      }),
      needs: [source],
    },
    {
      side: pytorch("pytorch-bf16", "PyTorch, bfloat16", dir, {
        ...bf16,
        brief: hasBf16 ? quick : slow,
      }),
      needs: [source],
    },
    {
      side: pytorch("bitsandbytes", "bitsandbytes, NF4, compute dtype float32", dir, {
        ...nf4,
        brief: slow,
      }),
      needs: [source],
    },
    {
      side: transformersJs("transformers.js", "transformers.js, fp32", fp32.folder, {
        dtype: "fp32",
        tolerance: EXACT,
      }),
      needs: [source, fp32],
    },
    {
      side: transformersJs("transformers.js-q4", "transformers.js, q4", q4.folder, {
        dtype: "q4",
        tolerance: fourBits,
      }),
      needs: [source, q4],
    },
    llama,
    ...few,
    ...mine("nf4-f32", "nf4, compute dtype float32", "nf4", fourBits, "float32"),
    ...mine("q8", "q8", "q8", EIGHT_BITS, "int8"),
    ...ours("bf16", "bfloat16", dir, { dtype: "bfloat16", tolerance: ROUNDED }, everyWay).map(
      (side) => ({
        side,
        needs: [source],
      }),
    ),
  ];
}

/** The embedded model: small, so what a step costs beside its products shows. llama.cpp reads the same weights. */
export function embeddedSides(): readonly Wanted[] {
  const q4 = { keep: "q4" };
  const mine = [
    ...ours("f32", "float32", stories, { dtype: "float32", tolerance: EXACT }, everyWay),
    ...ours("q4", "q4", stories, { dtype: "auto", tolerance: FOUR_BITS, options: q4 }, everyWay),
  ].map((side) => ({ side, needs: [] }));
  const theirs = ["F32", "Q4_0"].map((type) => {
    const file = gguf("stories", stories, type);
    const tolerance = type === "F32" ? 1e-2 : FOUR_BITS; // its cache is float16
    const title = `node-llama-cpp, ${type}${type === "F32" ? "" : " (head Q8_0)"}`;
    return { side: llamaCpp(`llama.cpp-${type}`, title, file.path, tolerance), needs: [file] };
  });
  return [...mine, ...theirs];
}

type Source = Needed & { readonly folder: string };

/** Random weights of the shape, in bfloat16: what all sides start from. */
export function checkpoint(layers: number): Source {
  const folder = join(work, `mistral-7b-${layers}l-bfloat16`);
  const shape = ["--shape", "mistral-7b", "--layers", `${layers}`, "--dtype", "bfloat16"];
  // The exporters want some tokenizer; which one does not matter here.
  const make = (): void =>
    run(
      process.execPath,
      join(bench, "make-checkpoint.ts"),
      folder,
      ...shape,
      "--tokenizer",
      stories,
    );
  return { folder, proofs: weights(folder), make };
}

/** By `mistral quantize`. */
export function quantisedCheckpoint(name: string, from: string, method: string): Source {
  const folder = join(work, `${name}-${method}`);
  const cli = join(bench, "../src/cli.ts");
  const make = (): void => run(process.execPath, cli, "quantize", from, folder, "--to", method);
  return { folder, proofs: weights(folder), make };
}

/** Written last, in one file or in several. */
function weights(folder: string): readonly string[] {
  return ["model.safetensors", "model.safetensors.index.json"].map((file) => join(folder, file));
}

export function gguf(name: string, from: string, type: string): Needed & { readonly path: string } {
  const path = join(work, "gguf", `${name}.${type}.gguf`);
  const make = (): void => run(python, join(bench, "make-gguf.py"), from, path, type);
  return { path, proofs: [path], make };
}

function onnx(name: string, from: string, dtype: string): Source {
  const folder = join(work, `${name}-onnx-bfloat16`);
  const proof = join(folder, "onnx", dtype === "q4" ? "model_q4.onnx" : "model.onnx");
  const make = (): void => run(python, join(bench, "export-onnx.py"), from, folder, dtype);
  return { folder, proofs: [proof], make };
}
