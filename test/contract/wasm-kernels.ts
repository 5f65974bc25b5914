// Puts a case of the table into a WASM memory, tensors between guard zones, and calls the kernel of its op on ranges.
// Knows how each kernel is called.

import { fileURLToPath } from "node:url";
import { encode } from "../../src/backends/wasm/encode.ts";
import { formatCodes } from "../../src/backends/wasm/format-codes.ts";
import { instantiate, type Kernels } from "../../src/backends/wasm/kernel-module.ts";
import { BASE, NATIVE } from "../../src/backends/wasm/kernels/header.ts";
import { weightDType } from "../../src/formats/registry.ts";
import { type DType, elements } from "../../src/graph/graph.ts";
import { laid, liesOf } from "./cache-layout.ts";
import { record, type Run } from "./case.ts";
import { bytesOf, type TestTensor } from "./tensors.ts";

export type Build = "kernels.wasm" | "kernels-plain.wasm";

export function kernelPath(build: Build): string {
  return fileURLToPath(new URL(`../../src/backends/wasm/${build}`, import.meta.url));
}

/** Bytes before and after each tensor; all ones, so that reading there gives NaN. */
const GUARD = 80;
/** Behind scratch: what a kernel that needs more might jump over. */
const SCRATCH_GUARD = 1 << 17;

/** Machine code for a memory, and the memory's address in the process that runs it. */
export type MachineCodeOf = (memory: WebAssembly.Memory) => {
  readonly native: (call: number) => void;
  readonly base: number;
};

export class KernelBench {
  readonly kernels: Kernels;
  readonly #memory: WebAssembly.Memory = new WebAssembly.Memory({
    initial: 512,
    maximum: 65536,
    shared: true,
  });
  readonly #tensors: { offset: number; bytes: number }[] = [];
  #end = 1 << 16;

  /** @param machineCode gives kernels in machine code for a memory */
  constructor(module: WebAssembly.Module, machineCode?: MachineCodeOf) {
    const { native, base } = machineCode?.(this.#memory) ?? {};
    this.kernels = instantiate(module, this.#memory, native);
    if (base === undefined) return;
    new BigUint64Array(this.#memory.buffer, BASE, 1)[0] = BigInt(base);
    new Int32Array(this.#memory.buffer, NATIVE, 1)[0] = -1;
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

  /** A thread's scratch of just so many bytes, and a wide guard behind it. */
  reserveScratch(bytes: number): number {
    const offset = this.reserve(bytes, 0);
    this.#end = offset + bytes + SCRATCH_GUARD;
    new Uint8Array(this.#memory.buffer).fill(255, offset, this.#end + 2 * GUARD);
    return offset;
  }

  /** Each part of a tensor. */
  put(tensor: TestTensor): number[] {
    const { dtype } = tensor;
    return bytesOf(tensor).map((bytes) => {
      const offset = this.reserve(bytes.length, dtype === "f32" || dtype === "i32" ? 4 : 2);
      this.set(offset, bytes);
      return offset;
    });
  }

  /** Numbers of a state or a result, widened. */
  numbers(offset: number, count: number, dtype: DType): Float32Array {
    if (dtype === "f32") return this.floats(offset, count);
    if (dtype === "i32") return this.integers(offset, count);
    const format = weightDType(dtype).format;
    const bytes = new Uint8Array(
      this.#memory.buffer.slice(offset, offset + format.parts(1, count)[0]),
    );
    const wide = new Float32Array(count);
    format.unpack([bytes], { rows: 1, columns: count }, 0, 1, wide);
    return wide;
  }

  floats(offset: number, count: number): Float32Array {
    return Float32Array.from(
      new Float32Array(this.#memory.buffer.slice(offset, offset + count * 4)),
    );
  }

  integers(offset: number, count: number): Float32Array {
    return Float32Array.from(new Int32Array(this.#memory.buffer.slice(offset, offset + count * 4)));
  }

  bytes(offset: number, count: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(new Uint8Array(this.#memory.buffer, offset, count));
  }

  set(offset: number, { buffer, byteOffset, byteLength }: ArrayBufferView): void {
    new Uint8Array(this.#memory.buffer, offset, byteLength).set(
      new Uint8Array(buffer, byteOffset, byteLength),
    );
  }

  /** The first byte that was written outside of all tensors. */
  damaged(): number | undefined {
    let from = (1 << 16) + GUARD;
    for (const { offset, bytes } of [...this.#tensors, { offset: this.#end, bytes: 0 }]) {
      const at = this.#firstWritten(from, offset);
      if (at !== undefined) return at;
      from = offset + bytes;
    }
    return undefined;
  }

  /** The first byte of [from, to) that is not all ones; words are looked at first, as guards are long. */
  #firstWritten(from: number, to: number): number | undefined {
    const words = new Int32Array(this.#memory.buffer);
    const bytes = new Uint8Array(this.#memory.buffer);
    let at = from;
    while (at < to) {
      if (at % 4 === 0 && at + 4 <= to && words[at >> 2] === -1) at += 4;
      else if (bytes[at] === 255) at++;
      else return at;
    }
    return undefined;
  }
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

const formatCode = ({ dtype }: TestTensor): number => formatCodes[dtype] ?? -1;

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
          ...[formatCode(tensors[1]), 1, b, e],
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
            formatCode(tensors[1]),
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
      range: (b, e) => kernels.kv_append(...ins, shapes[2][1], formatCode(tensors[0]), b, e),
    }),
    kv_append_codes: () => ({
      units: shapes[2][0],
      range: (b, e) => kernels.kv_append_codes(...ins, shapes[2][1], shapes[5][2], b, e),
    }),
    copy_pages: () => ({
      units: shapes[2][0],
      range: (b, e) =>
        kernels.copy_pages(...ins, bytesOf(tensors[0])[0].length / shapes[0][0], b, e),
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
    add_bias: () => ({
      units: rows,
      range: (b, e) =>
        kernels.add_bias(outs[0], ...ins, shapes[0][1], formatCode(tensors[1]), b, e),
    }),
    transpose: () => ({
      units: a.blocks * shapes[0][1],
      range: (b, e) => kernels.transpose(outs[0], ins[0], shapes[0][1], a.rows, b, e),
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
    mse: () => ({
      units: rows,
      range: (b, e) => kernels.mse(outs[0], ...ins, shapes[0][1], b, e),
    }),
    bce: () => ({
      units: rows,
      range: (b, e) => kernels.bce(outs[0], ...ins, shapes[0][1], b, e),
    }),
    sample: () => ({
      units: rows,
      range: (b, e) => kernels.sample(...outs, ...ins, shapes[0][1], scratch, b, e),
    }),
    put_tokens: () => ({
      units: shapes[1][0],
      range: (b, e) => kernels.put_tokens(...ins, rows, b, e),
    }),
    pick_ids: () => ({
      units: rows,
      range: (b, e) => kernels.pick_ids(outs[0], ...ins, shapes[1][0], b, e),
    }),
    paged_attention: () => {
      const blockRows = 4;
      const parts = wide ? Math.max(1, (a.heads / a.kvHeads) >> 1) : 1;
      return {
        units: Math.ceil(rows / blockRows) * a.kvHeads * parts,
        range: (b, e) =>
          kernels.paged_attention(
            outs[0],
            ...attention(placed),
            rows,
            blockRows,
            parts,
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
        kernels.eager_attention(
          ...[...outs, ...attention(placed), a.columns, a.unmasked ?? 0, scratch, b, e],
        ),
    }),
  };
  return calls[name]();
}

/** The arguments of both kinds of attention, from q to the cache's format. */
function attention({ ins, tensors, attrs }: Placed): number[] {
  const { heads, kvHeads, window, scale } = attrs as Record<string, number>;
  const D = tensors[0].shape[1] / heads;
  const places = Array.from({ length: 8 }, (_, i) => ins[i] ?? 0);
  const format = formatCode(tensors[1]);
  return [...places, heads, kvHeads, D, window, tensors[5].shape[1], scale, format];
}

/** Of the results, the written states of an op first. */
export type Result = Float32Array[];

/** Runs a case on ranges of units, last range first when there are several. */
export function runCase(bench: KernelBench, run: Run, cuts: number, wide: boolean): Result {
  const { case: c, sizes, ins } = run;
  const { node } = record(run);
  bench.clear();
  const lies = liesOf[c.op.name] ?? {};
  const pointers = ins.map(
    (t, i) => bench.put({ ...t, values: laid(t.values, t.shape, lies[i]) })[0],
  );
  const outs = node.outs.map(({ shape }) => bench.reserve(4 * elements(shape)));
  const placed: Placed = {
    ins: pointers,
    outs,
    tensors: ins,
    attrs: c.attrs(sizes),
    scratch: bench.reserveScratch(encode(node, () => 0).scratch),
    wide,
  };
  const { units, range } = callOf(bench.kernels, c.op.name, placed);
  const borders = Array.from({ length: cuts + 1 }, (_, i) => Math.floor((i * units) / cuts));
  for (let i = cuts; i > 0; i--) range(borders[i - 1], borders[i]);
  const damaged = bench.damaged();
  if (damaged !== undefined)
    throw new Error(`${c.op.name} wrote to byte ${damaged}, beside all tensors`);
  const states = (c.op.writes ?? []).map((i) => {
    const values = bench.numbers(pointers[i], ins[i].values.length, ins[i].dtype);
    return laid(values, ins[i].shape, lies[i], true);
  });
  return [
    ...states,
    ...outs.map((offset, i) => {
      const { shape, dtype } = node.outs[i];
      return bench.numbers(offset, elements(shape), dtype);
    }),
  ];
}
