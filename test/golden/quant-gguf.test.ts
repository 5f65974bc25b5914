// quant/gguf.*: every GGUF type's blocks of bytes → f32, exact, from TypeScript and from the WASM unpackers; Q4_0 and Q8_0
// also the other way.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FORMAT_GGUF } from "../../src/backends/wasm/kernels/header.ts";
import { ggufFormats } from "../../src/formats/gguf-types.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import { KernelBench, kernelPath } from "../contract/wasm-kernels.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";
import { readSafetensors } from "../safetensors-file.ts";

type Case = {
  type: string;
  ggml_type: number;
  shape?: [number, number];
  blocks?: number;
  source?: string;
};
const { cases } = goldenJson<{ cases: (Case & { block_size: number })[] }>("quant/gguf.json");
const tensors = readSafetensors(goldenPath("quant/gguf.safetensors"));

function tensor(name: string): Float32Array | Uint8Array {
  const data = tensors.get(name)?.data;
  if (data instanceof Float32Array || data instanceof Uint8Array) return data;
  throw new Error(`quant/gguf.safetensors holds no f32 or u8 tensor ${name}`);
}

const formatOf = (type: string): NonNullable<ReturnType<typeof findWeightFormat>> => {
  const format = findWeightFormat({ F16: "f16", BF16: "bf16" }[type] ?? type);
  if (format === undefined) throw new Error(`no format ${type}`);
  return format;
};

const rowsOf = ({ shape, blocks, block_size: columns }: (typeof cases)[number]) =>
  shape === undefined ? { rows: blocks ?? 0, columns } : { rows: shape[0], columns: shape[1] };

test.each(cases)("$type: blocks stand for exactly these numbers", (golden) => {
  const { rows, columns } = rowsOf(golden);
  const format = formatOf(golden.type);
  const bytes = tensor(`${golden.type}.bytes`) as Uint8Array;
  expect(format.parts(rows, columns)).toEqual([bytes.length]);
  const expected = tensor(`${golden.type}.dequantized`);
  const out = new Float32Array(rows * columns);
  format.unpack([bytes], { rows, columns }, 0, rows, out);
  expect(out.findIndex((value, i) => !Object.is(value, expected[i]))).toBe(-1);
  // a range of rows is the same numbers
  const middle = new Float32Array(2 * columns);
  format.unpack([bytes], { rows, columns }, 3, 5, middle);
  expect(middle).toEqual(expected.subarray(3 * columns, 5 * columns));
});

const inBlocks = cases.filter(({ type }) => ggufFormats.has(type));

test.each(["kernels.wasm", "kernels-plain.wasm"] as const)("%s: unpack gives the same", (build) => {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  expect(inBlocks).toHaveLength(12);
  for (const golden of inBlocks) {
    const { rows, columns } = rowsOf(golden);
    const bytes = tensor(`${golden.type}.bytes`);
    const expected = tensor(`${golden.type}.dequantized`);
    bench.clear();
    const [from, to] = [bench.reserve(bytes.length, 1), bench.reserve(4 * columns)];
    bench.set(from, bytes);
    for (let row = 0; row < rows; row++) {
      const code = FORMAT_GGUF + golden.ggml_type;
      bench.kernels.unpack(to, from, 0, 0, 0, code, golden.block_size, columns, row, 0, columns);
      const wanted = expected.subarray(row * columns, (row + 1) * columns);
      expect(bench.floats(to, columns), `${golden.type}, row ${row}`).toEqual(wanted);
    }
    expect(bench.damaged()).toBeUndefined();
  }
});

test.each(["Q4_0", "Q8_0"])("%s: quantising gives the reference's bytes", (type) => {
  const shape = { rows: 6, columns: 512 };
  const source = tensor("source") as Float32Array;
  const format = formatOf(type);
  const bytes = new Uint8Array(format.parts(6, 512)[0]);
  const packer = format.packer?.([bytes], shape);
  packer?.rows(source.subarray(0, 4 * 512), 0, 4);
  packer?.rows(source.subarray(4 * 512), 4, 6);
  packer?.finish();
  expect(bytes).toEqual(tensor(`${type}.bytes`));
});
