// 16- and 32-bit words of bytes that may start at any address: a view where the address allows one, else a copy.

/** The bytes as 16-bit words: a view when they are aligned, else a copy of them. */
export function words16(bytes: Uint8Array<ArrayBufferLike>): Uint16Array<ArrayBufferLike> {
  const { buffer, byteOffset } = aligned(bytes, 2);
  return new Uint16Array(buffer, byteOffset, bytes.length >>> 1);
}

/** The bytes as 32-bit floats: a view when they are aligned, else a copy of them. */
export function floats32(bytes: Uint8Array<ArrayBufferLike>): Float32Array<ArrayBufferLike> {
  const { buffer, byteOffset } = aligned(bytes, 4);
  return new Float32Array(buffer, byteOffset, bytes.length / 4);
}

/** The bytes of an array of numbers, as a view. */
export function bytesOf(values: ArrayBufferView<ArrayBufferLike>): Uint8Array<ArrayBufferLike> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function aligned(bytes: Uint8Array<ArrayBufferLike>, size: number): Uint8Array<ArrayBufferLike> {
  return bytes.byteOffset % size === 0 ? bytes : bytes.slice();
}
