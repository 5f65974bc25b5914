// Constants that code reads: they lie behind it, in the same pages. Does not know what they are for.

import type { Assembler } from "./assembler.ts";
import type { Label } from "./code-buffer.ts";

export class ConstantPool {
  readonly #labels: Map<string, { readonly label: Label; readonly words: readonly number[] }> =
    new Map();

  /** Where words of 32 bits lie; one word may be broadcast to all lanes. The same words lie in one place. */
  words(...words: readonly number[]): Label {
    const key = words.join();
    let entry = this.#labels.get(key);
    if (entry === undefined)
      this.#labels.set(key, (entry = { label: { position: undefined }, words }));
    return entry.label;
  }

  /** Where an f32 lies. */
  float(value: number): Label {
    return this.words(new Int32Array(Float32Array.of(value).buffer)[0]);
  }

  /** Puts all constants here, behind the code that reads them. */
  place(a: Assembler): void {
    for (const { label, words } of this.#labels.values()) {
      a.align(words.length > 1 ? 64 : 4);
      a.place(label);
      a.data(new Uint8Array(Int32Array.from(words).buffer));
    }
  }
}
