// Bytes as arrays of wider numbers: a view if the address is a multiple of the number's size, else a copy.
// Does not know what the numbers mean.

/** The bytes as 16-bit words: a view when they are aligned, else a copy of them. */
export function words16(bytes: Uint8Array<ArrayBufferLike>): Uint16Array<ArrayBufferLike> {
  const { buffer, byteOffset } = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(buffer, byteOffset, bytes.length >>> 1);
}

/** The bytes as f32 numbers: a view when they are aligned, else a copy of them. */
export function floats32(bytes: Uint8Array<ArrayBufferLike>): Float32Array<ArrayBufferLike> {
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(buffer, byteOffset, bytes.length >>> 2);
}

/** The bytes as 32-bit words: a view when they are aligned, else a copy of them. */
export function words32(bytes: Uint8Array<ArrayBufferLike>): Int32Array<ArrayBufferLike> {
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Int32Array(buffer, byteOffset, bytes.length >>> 2);
}

/** The bytes of an array of numbers, as a view. */
export function bytesOf(values: ArrayBufferView<ArrayBufferLike>): Uint8Array<ArrayBufferLike> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
