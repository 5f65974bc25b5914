// The memory of a simulated process: pieces at fixed addresses. What lies beside them cannot be read or written.

import { EngineError } from "../../src/errors.ts";

type Piece = { readonly at: number; readonly bytes: Uint8Array; readonly view: DataView };

export class Memory {
  readonly #pieces: Piece[] = [];

  /** From `at` on, the process has these bytes. */
  add(at: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#pieces.push({ at, bytes, view });
  }

  /** The bytes [at, at + length), as they lie. @throws EngineError they are not there */
  bytes(at: number, length: number): Uint8Array {
    const { bytes, at: begin } = this.#find(at, length);
    return bytes.subarray(at - begin, at - begin + length);
  }

  /** A number of 64 bits, which must be a safe integer. */
  word(at: number): number {
    const { view, at: begin } = this.#find(at, 8);
    return Number(view.getBigInt64(at - begin, true));
  }

  /** A signed number of 32 bits. */
  word32(at: number): number {
    const { view, at: begin } = this.#find(at, 4);
    return view.getInt32(at - begin, true);
  }

  setWord(at: number, value: number, isLong: boolean): void {
    const { view, at: begin } = this.#find(at, isLong ? 8 : 4);
    if (isLong) view.setBigInt64(at - begin, BigInt(value), true);
    else view.setInt32(at - begin, value, true);
  }

  #find(at: number, length: number): Piece {
    const found = this.#pieces.find(
      (piece) => at >= piece.at && at + length <= piece.at + piece.bytes.length,
    );
    if (found !== undefined) return found;
    throw new EngineError(`simulator: ${length} bytes at ${at.toString(16)} are not in memory`);
  }
}
