// What vector instructions do, lane by lane, as the manuals say. Does not know how they are written.

import { EngineError } from "../../src/errors.ts";
import type { VectorInstruction } from "./simulator-decode.ts";
import type { Memory } from "./simulator-memory.ts";

export const VECTOR_BYTES = 64;

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset);
const i8 = (v: DataView, at: number): number => v.getInt8(at);
const u8 = (v: DataView, at: number): number => v.getUint8(at);
const i16 = (v: DataView, at: number): number => v.getInt16(at, true);
const u16 = (v: DataView, at: number): number => v.getUint16(at, true);
const i32 = (v: DataView, at: number): number => v.getInt32(at, true);
const f32 = (v: DataView, at: number): number => v.getFloat32(at, true);

/** a · b + c, rounded once to f32. */
export function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const product = a * b; // exact in f64
  const sum = product + c;
  if (!Number.isFinite(sum) || sum === 0) return Math.fround(sum);
  const back = sum - product;
  const error = product - (sum - back) + (c - back);
  if (error === 0) return Math.fround(sum);
  // Rounding to odd in f64 makes the second rounding right.
  const bits = new BigInt64Array(Float64Array.of(sum).buffer);
  if ((bits[0] & 1n) === 0n) bits[0] += error > 0 === sum > 0 ? 1n : -1n;
  return Math.fround(new Float64Array(bits.buffer)[0]);
}

export function halfToNumber(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

type Lanes = {
  /** Bytes of a lane. */
  readonly size: 1 | 2 | 4;
  /** The lane at a byte offset. a and b: the operands; old: what the register held. */
  of(a: DataView, b: DataView, at: number, old: DataView, immediate: number): number;
  readonly isFloat?: boolean;
};

const saturated = (value: number): number => Math.max(-32768, Math.min(32767, value));
const float = (of: (a: number, b: number, old: number) => number): Lanes => ({
  size: 4,
  isFloat: true,
  of: (a, b, at, old) => of(f32(a, at), f32(b, at), f32(old, at)),
});
const integer = (size: 1 | 2 | 4, of: (a: number, b: number) => number): Lanes => ({
  size,
  of: (a, b, at) =>
    size === 4
      ? of(i32(a, at), i32(b, at))
      : size === 2
        ? of(i16(a, at), i16(b, at))
        : of(i8(a, at), i8(b, at)),
});
/** A lane of `to` bytes from one of `from` bytes of b. */
const wider = (
  to: 2 | 4,
  from: 1 | 2,
  of: (b: DataView, at: number) => number,
  isFloat = false,
): Lanes => ({ size: to, isFloat, of: (_, b, at) => of(b, (at / to) * from) });

/** Numbers of `bytes` bytes in turn from a and b, from that offset of each 16 bytes on. */
const unpacked = (bytes: 4 | 8, from: 0 | 8): Lanes => ({
  size: 4,
  of(a, b, at) {
    const place = at & 15;
    const offset = (at & ~15) + from + (Math.floor(place / (2 * bytes)) * bytes + (place % bytes));
    return i32(place & bytes ? b : a, offset);
  },
});

const lanes: Readonly<Record<string, Lanes>> = {
  vpaddw: integer(2, (a, b) => a + b),
  vpaddd: integer(4, (a, b) => a + b),
  vpand: integer(4, (a, b) => a & b),
  vpxor: integer(4, (a, b) => a ^ b),
  vpternlogd: {
    size: 4,
    of: (a, b, at, old, table) => {
      let result = 0;
      for (let bit = 0; bit < 32; bit++) {
        const index = [old, a, b].reduce((n, v) => 2 * n + ((i32(v, at) >>> bit) & 1), 0);
        result |= ((table >> index) & 1) << bit;
      }
      return result;
    },
  },
  vpmaddubsw: {
    size: 2,
    of: (a, b, at) => saturated(u8(a, at) * i8(b, at) + u8(a, at + 1) * i8(b, at + 1)),
  },
  vpdpbusd: {
    size: 4,
    of: (a, b, at, old) =>
      [0, 1, 2, 3].reduce((sum, i) => sum + u8(a, at + i) * i8(b, at + i), i32(old, at)),
  },
  vpdpwssd: {
    size: 4,
    of: (a, b, at, old) => i32(old, at) + i16(a, at) * i16(b, at) + i16(a, at + 2) * i16(b, at + 2),
  },
  vpslld: { size: 4, of: (a, b, at) => (u8(b, 0) > 31 ? 0 : i32(a, at) << u8(b, 0)) },
  vpermb: { size: 1, of: (a, b, at) => u8(b, u8(a, at) & 63) },
  vpermw: { size: 2, of: (a, b, at) => u16(b, 2 * (u16(a, at) & 31)) },
  vpermd: { size: 4, of: (a, b, at) => i32(b, 4 * (i32(a, at) & 15)) },
  vshuff32x4: {
    size: 4,
    of: (a, b, at, _, order) =>
      i32(at < 32 ? a : b, 16 * ((order >> (2 * (at >> 4))) & 3) + (at & 15)),
  },
  vshufps: {
    size: 4,
    of: (a, b, at, _, order) => {
      const [place, lane] = [(at & 15) >> 2, at & ~15];
      return i32(place < 2 ? a : b, lane + 4 * ((order >> (2 * place)) & 3));
    },
  },
  vpunpckldq: unpacked(4, 0),
  vpunpckhdq: unpacked(4, 8),
  vpunpcklqdq: unpacked(8, 0),
  vpunpckhqdq: unpacked(8, 8),
  vaddps: float((a, b) => a + b),
  vmulps: float((a, b) => a * b),
  vfmadd231ps: float((a, b, old) => fusedMultiplyAdd(a, b, old)),
  vinserti128: {
    size: 1,
    of: (a, b, at) => u8(at >> 4 === 1 ? b : a, at >> 4 === 1 ? at & 15 : at),
  },
  vinserti64x4: {
    size: 1,
    of: (a, b, at) => u8(at >= 32 ? b : a, (at & 31) | (at >= 32 ? 0 : at & 32)),
  },
  vmovhps: { size: 1, of: (a, b, at) => u8(at >= 8 ? b : a, at >= 8 ? at - 8 : at) },
  vmovups: integer(4, (_, b) => b),
  vmovq: { size: 1, of: (_, b, at) => (at < 8 ? u8(b, at) : 0) },
  vcvtdq2ps: { size: 4, isFloat: true, of: (_, b, at) => i32(b, at) },
  vcvtph2ps: wider(4, 2, (b, at) => halfToNumber(u16(b, at)), true),
  vpmovsxbd: { size: 4, of: (_, b, at) => i8(b, at / 4) },
  vpmovsxbw: wider(2, 1, i8),
  vpmovzxwd: wider(4, 2, u16),
  vpbroadcastd: { size: 4, of: (_, b) => i32(b, 0) },
  vbroadcastss: { size: 4, of: (_, b) => i32(b, 0) },
  vbroadcastf32x8: { size: 4, of: (_, b, at) => i32(b, at & 31) },
  vmovdqu16: integer(2, (_, b) => b),
  "shift left": { size: 2, of: (_, b, at, _old, by) => u16(b, at) << by },
  "shift right": { size: 2, of: (_, b, at, _old, by) => u16(b, at) >> by },
};

/** How many bytes of memory an instruction reads, if not a whole vector. */
const memoryBytes: Readonly<Record<string, (bytes: number) => number>> = {
  vinserti128: () => 16,
  vinserti64x4: () => 32,
  vmovhps: () => 8,
  vmovq: () => 8,
  vpslld: () => 16,
  vcvtph2ps: (bytes) => bytes / 2,
  vpmovsxbd: (bytes) => bytes / 4,
  vpmovsxbw: (bytes) => bytes / 2,
  vpmovzxwd: (bytes) => bytes / 2,
  vpbroadcastd: () => 4,
  vbroadcastss: () => 4,
  vbroadcastf32x8: () => 32,
};

/** Bytes of a lane of masks, if not four. */
const maskedBytes: Readonly<Record<string, number>> = { vmovdqu16: 2, vpermw: 2 };
/** With a mask, lanes that are not asked for are not read. */
const MASKED_LOADS = ["vmovups", "vmovdqu16"];

/** Runs one instruction. @param mask the bits of its mask register */
export function runVector(
  {
    name,
    bytes,
    register,
    second,
    operand,
    broadcast,
    mask: maskNumber,
    zero,
    immediate,
  }: VectorInstruction,
  vectors: readonly Uint8Array[],
  mask: number,
  memory: Memory,
  address: () => number,
): void {
  const isSet = (lane: number): boolean => maskNumber === 0 || ((mask >> lane) & 1) === 1;
  if (name === "store") {
    const source = vectors[register];
    for (let lane = 0; lane < bytes / 4; lane++)
      if (isSet(lane))
        memory.bytes(address() + 4 * lane, 4).set(source.subarray(4 * lane, 4 * lane + 4));
    return;
  }
  const kind = lanes[name];
  if (kind === undefined) throw new EngineError(`simulator: ${name} is not known`);
  const size = maskedBytes[name] ?? 4;
  const b = new Uint8Array(VECTOR_BYTES);
  if (typeof operand === "number") b.set(vectors[operand]);
  else if (broadcast) {
    const one = memory.bytes(address(), 4);
    for (let lane = 0; lane < bytes / 4; lane++) b.set(one, 4 * lane);
  } else if (MASKED_LOADS.includes(name) && maskNumber !== 0) {
    for (let lane = 0; lane < bytes / size; lane++)
      if (isSet(lane)) b.set(memory.bytes(address() + size * lane, size), size * lane);
  } else b.set(memory.bytes(address(), memoryBytes[name]?.(bytes) ?? bytes));
  const isShift = name.startsWith("shift");
  const target = isShift ? second : register;
  const [old, result] = [vectors[target].slice(), new Uint8Array(VECTOR_BYTES)];
  const [va, vb, vold, to] = [vectors[second], b, old, result].map(view);
  for (let at = 0; at < bytes; at += kind.size) {
    const value = kind.of(va, vb, at, vold, immediate);
    if (kind.isFloat) to.setFloat32(at, value, true);
    else if (kind.size === 4) to.setInt32(at, value, true);
    else if (kind.size === 2) to.setInt16(at, value, true);
    else to.setInt8(at, value);
  }
  for (let lane = 0; lane < bytes / size; lane++) {
    if (isSet(lane)) continue;
    const kept = zero ? new Uint8Array(size) : old.subarray(size * lane, size * (lane + 1));
    result.set(kept, size * lane);
  }
  vectors[target].set(result);
}
