// Machine code as it grows: bytes, labels, and the distances to labels that are filled in at the end. Does not know instructions.

import { EngineError } from "../../errors.ts";

/** A place in the code, which may be known later. */
export type Label = { position: number | undefined };

/** Displacements of memory that are known when all labels are. */
type Fixup = { readonly position: number; readonly label: Label; readonly displacement: number };

export class CodeBuffer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(65536);
  #size = 0;
  readonly #fixups: Fixup[] = [];

  /** The code, with every label filled in. */
  finish(): Uint8Array<ArrayBuffer> {
    const code = this.#bytes.slice(0, this.#size);
    const view = new DataView(code.buffer);
    for (const { position, label, displacement } of this.#fixups) {
      if (label.position === undefined)
        throw new EngineError("machine code: a label was used and never placed; report this");
      view.setInt32(position, label.position + displacement, true);
    }
    return code;
  }

  get size(): number {
    return this.#size;
  }

  emit(...bytes: readonly number[]): void {
    this.#reserve(bytes.length);
    for (const byte of bytes) this.#bytes[this.#size++] = byte;
  }

  /** Data among the code. */
  data(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.length;
  }

  #reserve(more: number): void {
    if (this.#size + more <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#size + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }

  /** Goes on at a multiple of `step` bytes; what is left out is never run. */
  align(step: number): void {
    while (this.size % step !== 0) this.emit(0x90);
  }

  label(): Label {
    return { position: undefined };
  }

  place(label: Label): void {
    label.position = this.size;
  }

  /** A label here. */
  here(): Label {
    return { position: this.size };
  }

  /** Four bytes: how far a label is from the end of the instruction. */
  protected relative(label: Label, displacement = 0, after = 0): void {
    const position = this.size;
    this.#fixups.push({ position, label, displacement: displacement - position - 4 - after });
    this.word(0);
  }

  /** A number of 32 bits. */
  protected word(value: number): void {
    this.emit(value, value >> 8, value >> 16, value >> 24);
  }
}
