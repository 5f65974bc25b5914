// Makes GGUF files for tests, right ones and wrong ones, independently of src/checkpoint: little endian, byte by byte.

/** A value with ggml's number of its type, or a list of values of one type. */
export type Typed =
  | { type: number; value: number | bigint | string }
  | { type: 9; of: number; items: readonly (number | bigint | string | Typed)[]; count?: bigint };

export const u8 = (value: number): Typed => ({ type: 0, value });
export const u32 = (value: number): Typed => ({ type: 4, value });
export const i32 = (value: number): Typed => ({ type: 5, value });
export const f32 = (value: number): Typed => ({ type: 6, value });
export const bool = (value: boolean): Typed => ({ type: 7, value: value ? 1 : 0 });
export const text = (value: string): Typed => ({ type: 8, value });
export const list = (of: number, items: readonly (number | bigint | string | Typed)[]): Typed => ({
  type: 9,
  of,
  items,
});

export type CraftedGgufTensor = {
  name: string;
  /** As in the file: neighbours first. */
  dimensions: readonly (number | bigint)[];
  /** ggml's number of the type. */
  type: number;
  data: Uint8Array;
  /** In place of where the data is put. */
  offset?: bigint;
};

export type CraftedGguf = {
  magic?: string;
  version?: number;
  /** In place of the right ones. */
  tensorCount?: bigint;
  keyCount?: bigint;
  metadata?: readonly (readonly [key: string | Uint8Array, value: Typed])[];
  tensors?: readonly CraftedGgufTensor[];
  /** What the data is aligned to; metadata must say the same. */
  alignment?: number;
};

/** The bytes of a file. */
export function craftGguf(file: CraftedGguf): Uint8Array<ArrayBuffer> {
  const { metadata = [], tensors = [], alignment = 32 } = file;
  const out = new Output();
  out.raw(new TextEncoder().encode(file.magic ?? "GGUF"));
  out.number(4, file.version ?? 3);
  out.number(10, file.tensorCount ?? tensors.length);
  out.number(10, file.keyCount ?? metadata.length);
  for (const [key, value] of metadata) {
    out.string(key);
    out.number(4, value.type);
    out.value(value);
  }
  let at = 0;
  for (const { name, dimensions, type, data, offset } of tensors) {
    out.string(name);
    out.number(4, dimensions.length);
    for (const size of dimensions) out.number(10, size);
    out.number(4, type);
    out.number(10, offset ?? at);
    at += Math.ceil(data.length / alignment) * alignment;
  }
  for (const { data } of tensors) {
    out.align(alignment);
    out.raw(data);
  }
  out.align(alignment);
  return out.bytes();
}

/** A tensor of type F32. @param data its bytes, or how many zeros */
export function tensor(
  name: string,
  data: Uint8Array | number,
  ...dimensions: number[]
): CraftedGgufTensor {
  const bytes = typeof data === "number" ? new Uint8Array(data) : data;
  return { name, dimensions, type: 0, data: bytes };
}

/** A tensor of F32 numbers `seed`, `seed` + 0.001 … */
export function numbers(name: string, dimensions: number[], seed: number): CraftedGgufTensor {
  const count = dimensions.reduce((product, size) => product * size, 1);
  const values = Float32Array.from({ length: count }, (_, i) => seed + i / 1000);
  return tensor(name, new Uint8Array(values.buffer), ...dimensions);
}

/** A whole model: two layers, two heads and one for keys, in the architecture of the name. */
export function tinyModel(architecture = "llama"): {
  metadata: [string, Typed][];
  tensors: CraftedGgufTensor[];
} {
  const of = (key: string, value: Typed): [string, Typed] => [`${architecture}.${key}`, value];
  const counts = {
    embedding_length: 8,
    block_count: 2,
    feed_forward_length: 12,
    context_length: 64,
  };
  const layer = (i: number): CraftedGgufTensor[] =>
    Object.entries({
      ...{ attn_norm: [8], attn_q: [8, 8], attn_k: [8, 4], attn_v: [8, 4], attn_output: [8, 8] },
      ...{ ffn_norm: [8], ffn_gate: [8, 12], ffn_up: [8, 12], ffn_down: [12, 8] },
    }).map(([name, dimensions], n) =>
      numbers(`blk.${i}.${name}.weight`, dimensions, 100 * i + 10 * n),
    );
  return {
    metadata: [
      ["general.architecture", text(architecture)],
      ...Object.entries(counts).map(([key, value]) => of(key, u32(value))),
      of("attention.head_count", u32(2)),
      of("attention.head_count_kv", u32(1)),
      of("attention.layer_norm_rms_epsilon", f32(1e-5)),
    ],
    tensors: [
      numbers("token_embd.weight", [8, 3], 1),
      numbers("output_norm.weight", [8], 2),
      numbers("output.weight", [8, 3], 3),
      ...layer(0),
      ...layer(1),
    ],
  };
}

const SIZES: Readonly<Record<number, number>> = {
  ...{ 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 },
};

class Output {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;

  raw(bytes: Uint8Array): void {
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length - bytes.length);
  }

  align(alignment: number): void {
    this.#grow(Math.ceil(this.#length / alignment) * alignment - this.#length);
  }

  string(value: string | Uint8Array): void {
    const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
    this.number(10, bytes.length);
    this.raw(bytes);
  }

  number(type: number, value: number | bigint): void {
    const bytes = SIZES[type];
    if (bytes === undefined) return; // a type that GGUF does not have: nothing is known of its value
    this.#grow(bytes);
    const view = new DataView(this.#bytes.buffer, this.#length - bytes, bytes);
    if (type === 6) view.setFloat32(0, Number(value), true);
    else if (type === 12) view.setFloat64(0, Number(value), true);
    else {
      const bits = BigInt.asUintN(64, BigInt(value));
      for (let i = 0; i < bytes; i++) view.setUint8(i, Number((bits >> BigInt(8 * i)) & 255n));
    }
  }

  value(typed: Typed): void {
    if ("value" in typed) {
      if (typeof typed.value === "string") this.string(typed.value);
      else this.number(typed.type, typed.value);
      return;
    }
    this.number(4, typed.of);
    this.number(10, typed.count ?? typed.items.length);
    for (const item of typed.items) {
      if (typeof item === "object") this.value(item);
      else if (typeof item === "string") this.string(item);
      else this.number(typed.of, item);
    }
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(by: number): void {
    this.#length += by;
    if (this.#length <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
