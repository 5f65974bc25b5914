// Puts a case of the table into a WASM memory, tensors between guard zones, and calls the kernel of its op on ranges.
// Knows how each kernel is called, and that a page of K lies turned.

import { fileURLToPath } from "node:url";
import { findFormat } from "../../src/formats/format.ts";
import type { DType, Shape, Values } from "../../src/graph/graph.ts";
import { instantiate, type Kernels } from "../../src/backends/wasm/kernel-module.ts";
import type { Case, Sizes, TestTensor } from "./table.ts";

export type Build = "kernels.wasm" | "kernels-plain.wasm";

export function kernelPath(build: Build): string {
  return fileURLToPath(new URL(`../../src/backends/wasm/${build}`, import.meta.url));
}

/** Bytes before and after each tensor; all ones, so that reading there gives NaN. */
const GUARD = 80;
export const SCRATCH_BYTES: number = 1 << 17;

export class KernelBench {
  readonly kernels: Kernels;
  readonly #memory: WebAssembly.Memory = new WebAssembly.Memory({
    initial: 512,
    maximum: 65536,
    shared: true,
  });
  readonly #tensors: { offset: number; bytes: number }[] = [];
  #end = 1 << 16;

  constructor(module: WebAssembly.Module) {
    this.kernels = instantiate(module, this.#memory);
  }

  /** Forgets all tensors and makes everything a guard. */
  clear(): void {
    new Uint8Array(this.#memory.buffer).fill(255, 1 << 16, this.#end + 2 * GUARD);
    this.#tensors.length = 0;
    this.#end = (1 << 16) + GUARD;
  }

  /** Room for a tensor; `off` bytes beside a multiple of 64. */
  reserve(bytes: number, off = 4): number {
    const offset = Math.ceil(this.#end / 64) * 64 + off;
    this.#end = offset + bytes + GUARD;
    new Uint8Array(this.#memory.buffer).fill(255, offset, Math.ceil(this.#end / 64) * 64 + 64);
    if (this.#end > this.#memory.buffer.byteLength)
      throw new Error("the test's memory is too small");
    this.#tensors.push({ offset, bytes });
    return offset;
  }

  put({ values, dtype }: TestTensor): number {
    const bytes = pack(values, dtype);
    const offset = this.reserve(bytes.length, dtype === "f32" || dtype === "i32" ? 4 : 2);
    new Uint8Array(this.#memory.buffer, offset, bytes.length).set(bytes);
    return offset;
  }

  floats(offset: number, count: number): Float32Array {
    return Float32Array.from(
      new Float32Array(this.#memory.buffer.slice(offset, offset + count * 4)),
    );
  }

  set(offset: number, { buffer, byteOffset, byteLength }: ArrayBufferView): void {
    new Uint8Array(this.#memory.buffer, offset, byteLength).set(
      new Uint8Array(buffer, byteOffset, byteLength),
    );
  }

  /** The first byte that was written outside of all tensors. */
  damaged(): number | undefined {
    const bytes = new Uint8Array(this.#memory.buffer);
    let from = (1 << 16) + GUARD;
    for (const { offset, bytes: length } of [...this.#tensors, { offset: this.#end, bytes: 0 }]) {
      for (let i = from; i < offset; i++) if (bytes[i] !== 255) return i;
      from = offset + length;
    }
    return undefined;
  }
}

function pack(values: Values, dtype: DType): Uint8Array {
  if (dtype === "i32") return new Uint8Array(Int32Array.from(values).buffer);
  const format = findFormat(dtype);
  if (format === undefined) throw new Error(`unknown format ${dtype}`);
  const bytes = new Uint8Array(format.bytes(values.length));
  format.pack(Float32Array.from(values), bytes);
  return bytes;
}

/** The numbers as that format holds them. */
export function rounded(tensor: TestTensor, dtype: DType): TestTensor {
  if (dtype === "f32") return tensor;
  const wide = new Float32Array(tensor.values.length);
  findFormat(dtype)?.unpack(pack(tensor.values, dtype), wide);
  return { ...tensor, dtype, values: Float64Array.from(wide) };
}

/** A pool [pages, 16, KV] with every page turned into [KV, 16], or back. */
export function turned<T extends Values | Float32Array>(
  pool: T,
  [pages, , KV]: Shape,
  back = false,
): T {
  const out = pool.slice() as T;
  for (let page = 0; page < pages; page++) {
    for (let offset = 0; offset < 16; offset++) {
      for (let i = 0; i < KV; i++) {
        const [plain, other] = [(page * 16 + offset) * KV + i, (page * KV + i) * 16 + offset];
        out[back ? plain : other] = pool[back ? other : plain];
      }
    }
  }
  return out;
}

/** What a kernel is called with, but for the range. */
export type Placed = {
  readonly ins: readonly number[];
  readonly outs: readonly number[];
  readonly tensors: readonly TestTensor[];
  readonly attrs: object;
  readonly scratch: number;
  readonly wide: boolean;
};

type Call = { units: number; range(begin: number, end: number): void };

/** The ops whose first input is a pool of keys, and those whose second is. */
export const keysAt: Readonly<Record<string, number>> = {
  kv_append: 0,
  copy_pages: -1, // whole pages: their layout does not matter
  paged_attention: 1,
  eager_attention: 1,
};

const formatCode = (dtype: DType): number => ["f32", "bf16", "f16"].indexOf(dtype);

/** How each op's kernel is called, and how many units it has. */
export function callOf(kernels: Kernels, name: string, placed: Placed): Call {
  const { ins, outs, tensors, attrs, scratch, wide } = placed;
  const shapes = tensors.map(({ shape }) => shape);
  const rows = shapes[0][0];
  const a = attrs as Record<string, never>;
  const calls: Record<string, () => Call> = {
    embed: () => ({
      units: rows,
      range: (b, e) =>
        kernels.embed(
          ...[outs[0], ...ins, 0, 0, 0, shapes[1][1], shapes[1][0]],
          ...[formatCode(tensors[1].dtype), 1, b, e],
        ),
    }),
    linear: () => ({
      units: shapes[1][0],
      range: (b, e) => {
        const [O, K] = shapes[1];
        const kernel = kernels[`linear_${tensors[1].dtype}`];
        kernel(outs[0], ins[0], ins[1], K, O, scratch, wide ? 1 : 0, 0, rows, b, e);
      },
    }),
    rms_norm: () => ({
      units: rows,
      range: (b, e) =>
        kernels.rms_norm(
          ...[
            outs[0],
            outs[1],
            ins[0],
            ins[1],
            shapes[0][1],
            a.eps,
            formatCode(tensors[1].dtype),
            scratch,
            b,
            e,
          ],
        ),
    }),
    rope: () => ({
      units: rows,
      range: (b, e) =>
        kernels.rope(outs[0], ...ins, a.heads, shapes[1][1], a.inverse ? 1 : 0, b, e),
    }),
    kv_append: () => ({
      units: shapes[2][0],
      range: (b, e) => kernels.kv_append(...ins, shapes[2][1], b, e),
    }),
    copy_pages: () => ({
      units: shapes[2][0],
      range: (b, e) => kernels.copy_pages(...ins, 16 * 4 * shapes[0][2], b, e),
    }),
    glu: () => ({
      units: rows * shapes[0][1],
      range: (b, e) =>
        kernels.glu(outs[0], ...ins, ["silu", "gelu", "gelu_tanh", "relu"].indexOf(a.act), b, e),
    }),
    add: () => ({
      units: rows * shapes[0][1],
      range: (b, e) => kernels.add(outs[0], ...ins, b, e),
    }),
    gather_rows: () => ({
      units: shapes[1][0],
      range: (b, e) => kernels.gather_rows(outs[0], ...ins, shapes[0][1], b, e),
    }),
    log_softmax: () => ({
      units: rows,
      range: (b, e) => kernels.log_softmax(outs[0], ins[0], shapes[0][1], b, e),
    }),
    cross_entropy: () => ({
      units: rows,
      range: (b, e) => kernels.cross_entropy(...outs, ...ins, shapes[0][1], b, e),
    }),
    paged_attention: () => {
      const blockRows = 4;
      return {
        units: Math.ceil(rows / blockRows) * a.kvHeads,
        range: (b, e) =>
          kernels.paged_attention(
            outs[0],
            ...ins,
            ...attention(placed),
            rows,
            blockRows,
            wide ? 1 : 0,
            scratch,
            b,
            e,
          ),
      };
    },
    eager_attention: () => ({
      units: rows * a.heads,
      range: (b, e) =>
        kernels.eager_attention(...outs, ...ins, ...attention(placed), a.columns, scratch, b, e),
    }),
  };
  return calls[name]();
}

function attention({ tensors, attrs }: Placed): number[] {
  const { heads, kvHeads, window, scale } = attrs as Record<string, number>;
  return [heads, kvHeads, tensors[0].shape[1] / heads, window, tensors[5].shape[1], scale];
}

/** Of the results, the written states of an op first. */
export type Result = Float32Array[];

/** Runs a case on ranges of units, last range first when there are several. */
export function runCase(
  bench: KernelBench,
  c: Case,
  sizes: Sizes,
  ins: readonly TestTensor[],
  cuts: number,
  wide: boolean,
): Result {
  bench.clear();
  const keys = keysAt[c.op.name] ?? -1;
  const pointers = ins.map((t, i) =>
    bench.put(i === keys ? { ...t, values: turned(t.values, t.shape) } : t),
  );
  const shapes = c.outputs(sizes);
  const outs = shapes.map((shape) => bench.reserve(4 * shape.reduce((n, dim) => n * dim, 1)));
  const scratch = bench.reserve(SCRATCH_BYTES, 0);
  const placed: Placed = {
    ins: pointers,
    outs,
    tensors: ins,
    attrs: c.attrs(sizes),
    scratch,
    wide,
  };
  const { units, range } = callOf(bench.kernels, c.op.name, placed);
  const borders = Array.from({ length: cuts + 1 }, (_, i) => Math.floor((i * units) / cuts));
  for (let i = cuts; i > 0; i--) range(borders[i - 1], borders[i]);
  const damaged = bench.damaged();
  if (damaged !== undefined)
    throw new Error(`${c.op.name} wrote to byte ${damaged}, beside all tensors`);
  const states = (c.op.writes ?? []).map((i) => {
    const values = bench.floats(pointers[i], ins[i].values.length);
    return i === keys ? turned(values, ins[i].shape, true) : values;
  });
  return [
    ...states,
    ...outs.map((offset, i) =>
      bench.floats(
        offset,
        shapes[i].reduce((n, dim) => n * dim, 1),
      ),
    ),
  ];
}

/** The inputs in every weight format, if there is a weight among them. */
export function variants(ins: readonly TestTensor[]): [DType, TestTensor[]][] {
  const dtypes: DType[] = ins.some((t) => t.weight) ? ["f32", "bf16", "f16"] : ["f32"];
  return dtypes.map((dtype) => [dtype, ins.map((t) => (t.weight ? rounded(t, dtype) : t))]);
}
