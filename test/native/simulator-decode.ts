// Vector instructions from their bytes: prefixes VEX (three bytes) and EVEX. Does not know what instructions do.

import { EngineError } from "../../src/errors.ts";
import { type Form, loads, operations } from "../../src/backends/native/instructions.ts";
import type { Place, Reader } from "./simulator-reader.ts";

export type VectorInstruction = {
  /** As in instructions.ts; "store", "shift left", "shift right", "kmovw", "kmovd"; or of tiles, see simulator-tiles.ts. */
  readonly name: string;
  /** Bytes of the vectors. */
  readonly bytes: number;
  readonly register: number;
  readonly second: number;
  readonly operand: number | Place;
  readonly broadcast: boolean;
  /** 0: all lanes. */
  readonly mask: number;
  readonly zero: boolean;
  readonly immediate: number;
};

const keyOf = (map: number, prefix: number, opcode: number): string => `${map} ${prefix} ${opcode}`;

type Known = readonly [name: string, form: Form | undefined];

/** Those that another instruction differs from in the W bit only, which is set here. */
const WITH_W: readonly string[] = ["vpermw"];

const names: ReadonlyMap<string, Known> = new Map<string, Known>([
  ...Object.entries({ ...operations, ...loads }).map(([name, form]): [string, Known] => [
    keyOf(form.map, form.prefix, form.opcode) + (WITH_W.includes(name) ? " w" : ""),
    [name, form],
  ]),
  [keyOf(1, 0, 0x11), ["store", undefined]],
  [keyOf(1, 1, 0x71), ["shift", undefined]],
  [keyOf(1, 0, 0x92), ["kmovw", undefined]],
  [keyOf(1, 3, 0x92), ["kmovd", undefined]],
  [keyOf(2, 0, 0x49), ["tile configuration", undefined]],
  [keyOf(2, 3, 0x49), ["tilezero", undefined]],
  [keyOf(2, 3, 0x4b), ["tileloadd", undefined]],
  [keyOf(2, 2, 0x4b), ["tilestored", undefined]],
  [keyOf(2, 2, 0x5c), ["tdpbf16ps", undefined]],
]);

/** Those with an immediate byte. */
const WITH_IMMEDIATE = /^(vinsert|vpternlog|shift|vshuf)/;

/** @param first the byte that was read already: c4 or 62 */
export function decodeVector(reader: Reader, first: number): VectorInstruction {
  const isEvex = first === 0x62;
  const [a, b] = [reader.byte(), reader.byte()];
  const c = isEvex ? reader.byte() : 0;
  const opcode = reader.byte();
  const map = a & (isEvex ? 7 : 31);
  const prefix = b & 3;
  const key = keyOf(map, prefix, opcode);
  const known = (b & 128 && names.get(`${key} w`)) || names.get(key);
  if (known === undefined) throw new EngineError(`simulator: unknown vector instruction ${key}`);
  const [name, form] = known;
  const length = isEvex ? (c >> 5) & 3 : (b >> 2) & 1;
  const bytes = 16 << length;
  const broadcast = isEvex && (c & 16) !== 0;
  const [r, x, bHigh] = [~a & 128, ~a & 64, ~a & 32];
  const own = form?.unit?.((bytes * 8) as 128 | 256 | 512) ?? bytes;
  const unit = isEvex ? (broadcast ? 4 : own) : 1;
  const { register, place } = reader.operand(r, x, bHigh, unit);
  const high = isEvex ? ~a & 16 : 0;
  const isShift = name === "shift";
  const immediate = WITH_IMMEDIATE.test(name) ? reader.byte() : 0;
  const next = typeof place === "number" ? 0 : reader.at;
  return {
    name: isShift ? `shift ${(register & 7) === 6 ? "left" : "right"}` : name,
    bytes,
    register: register | high,
    second: ((~b >> 3) & 15) | (isEvex && (~c & 8) !== 0 ? 16 : 0),
    operand: typeof place === "number" ? place | (isEvex && x ? 16 : 0) : { ...place, next },
    broadcast,
    mask: isEvex ? c & 7 : 0,
    zero: isEvex && (c & 128) !== 0,
    immediate,
  };
}
