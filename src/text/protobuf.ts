// Reads the wire format of Protocol Buffers, as far as SentencePiece models use it: varints, 64- and 32-bit words and
// bytes. Lengths are checked before anything is cut out; groups are refused. Knows nothing of messages.

import { CheckpointError } from "../errors.ts";

/** A field of a message. `value`: a varint, the bits of a 32-bit word, or a 64-bit word as a double; `bytes`: what has a length. */
export type Field = {
  number: number;
  wire: 0 | 1 | 2 | 5;
  value: number;
  bytes: Uint8Array | undefined;
};

const NONE = new Uint8Array(0);

/** The fields of one message in order. @throws CheckpointError while reading, at the first malformed field */
export function* readFields(bytes: Uint8Array, where: string): Generator<Field> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const broken = (what: string): CheckpointError =>
    new CheckpointError(`${where}: ${what} at byte ${at} of ${bytes.length}; download it again`);
  const varint = (): number => {
    // as a double: exact up to 2^53, and larger numbers mean nothing here
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= bytes.length) throw broken("a number breaks off");
      const byte = bytes[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw broken("a number of more than ten bytes");
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    const number = Math.floor(tag / 8);
    if (number < 1 || number > 0x1fffffff) throw broken(`field number ${number}`);
    if (wire === 0) yield { number, wire, value: varint(), bytes: undefined };
    else if (wire === 2) {
      const length = varint();
      if (length > bytes.length - at) {
        throw broken(`a field of ${length} bytes, longer than the rest,`);
      }
      yield { number, wire, value: 0, bytes: bytes.subarray(at, at + length) };
      at += length;
    } else if (wire === 5 || wire === 1) {
      const width = wire === 5 ? 4 : 8;
      if (width > bytes.length - at) throw broken("a word breaks off");
      const value = width === 4 ? view.getUint32(at, true) : view.getFloat64(at, true);
      at += width;
      yield { number, wire, value, bytes: undefined };
    } else throw broken(`wire type ${wire}, which no such file uses,`);
  }
}

/** The last field of this number in a message: where a setting occurs more than once, Protocol Buffers take the last. */
export function lastField(bytes: Uint8Array, number: number, where: string): Field | undefined {
  let last: Field | undefined;
  for (const field of readFields(bytes, where)) if (field.number === number) last = field;
  return last;
}

/** The text of a field. @throws CheckpointError not UTF-8, or a field of another type */
export function fieldText(field: Field, where: string): string {
  if (field.wire !== 2) {
    throw new CheckpointError(
      `${where}: field ${field.number} has wire type ${field.wire}; expected 2`,
    );
  }
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return decoder.decode(field.bytes ?? NONE);
  } catch (cause) {
    throw new CheckpointError(`${where}: field ${field.number} is not UTF-8`, { cause });
  }
}
