// Tiles of AMX, as Intel's manual says: eight of up to 16 rows of 64 bytes. Does not know how instructions are written.

import { EngineError } from "../../src/errors.ts";
import type { VectorInstruction } from "./simulator-decode.ts";
import type { Memory } from "./simulator-memory.ts";
import { fusedMultiplyAdd } from "./simulator-vectors.ts";

const ROW = 64;
const NAMES = ["tile configuration", "tilezero", "tileloadd", "tilestored", "tdpbf16ps"];

type Tile = { readonly rows: number; readonly bytes: number; readonly data: Uint8Array };

export class Tiles {
  #tiles: readonly Tile[] | undefined;

  get isConfigured(): boolean {
    return this.#tiles !== undefined;
  }

  has(name: string): boolean {
    return NAMES.includes(name);
  }

  /** @param address of the memory operand, without its index @param stride from a row to the next */
  run(
    { name, register, second, operand }: VectorInstruction,
    memory: Memory,
    address: () => number,
    stride: number,
  ): void {
    if (name === "tile configuration") {
      this.#tiles =
        typeof operand === "number" ? undefined : configured(memory.bytes(address(), 64));
      return;
    }
    const tile = this.#tile(register);
    if (name === "tilezero") return void tile.data.fill(0);
    if (name === "tdpbf16ps")
      return multiply(tile, this.#tile(operand as number), this.#tile(second));
    const first = address() - stride;
    for (let row = 0; row < tile.rows; row++) {
      const there = memory.bytes(first + row * stride, tile.bytes);
      const here = tile.data.subarray(row * ROW, row * ROW + tile.bytes);
      if (name === "tileloadd") here.set(there);
      else there.set(here);
    }
  }

  #tile(number: number): Tile {
    const tile = this.#tiles?.[number];
    if (tile === undefined || tile.rows === 0)
      throw new EngineError(`simulator: tile ${number} is used and not configured`);
    return tile;
  }
}

function configured(bytes: Uint8Array): Tile[] {
  if (bytes[0] !== 1 || bytes[1] !== 0) throw new EngineError("simulator: palette 1 was expected");
  return Array.from({ length: 8 }, (_, i) => {
    const [columns, rows] = [bytes[16 + 2 * i] | (bytes[17 + 2 * i] << 8), bytes[48 + i]];
    if (columns > ROW || rows > 16) throw new EngineError(`simulator: tile ${i} is too large`);
    return { rows, bytes: columns, data: new Uint8Array(16 * ROW) };
  });
}

const bf16 = (bytes: Uint8Array, at: number): number =>
  new Float32Array(Uint32Array.of((bytes[at] | (bytes[at + 1] << 8)) << 16).buffer)[0];

/** c += a · b: pairs of bf16 numbers of a row of a, times those of a row of b. */
function multiply(c: Tile, a: Tile, b: Tile): void {
  if (a.bytes / 4 !== b.rows || c.rows !== a.rows || c.bytes !== b.bytes)
    throw new EngineError("simulator: the shapes of tiles do not fit");
  const sums = new Float32Array(c.data.buffer);
  for (let m = 0; m < c.rows; m++)
    for (let k = 0; k < a.bytes / 4; k++)
      for (let n = 0; n < b.bytes / 4; n++) {
        const at = m * 16 + n;
        for (const half of [0, 2]) {
          const [x, w] = [
            bf16(a.data, m * ROW + 4 * k + half),
            bf16(b.data, k * ROW + 4 * n + half),
          ];
          sums[at] = fusedMultiplyAdd(x, w, sums[at]);
        }
      }
}
