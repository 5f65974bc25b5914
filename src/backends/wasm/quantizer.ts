// Quantises pieces of matrices by the kernel `quantize`, on all threads: a program of one op, in the first memory. Its buffers lie there
// too. Does not know where numbers come from, and where bytes go.

import { EngineError } from "../../errors.ts";
import { type FourBitType, fourBitRanks } from "../../formats/four-bit-codes.ts";
import type { NumberFormat } from "../../formats/number-format.ts";
import { FOUR_BIT_BLOCKS, fourBitSettings } from "../../formats/four-bit.ts";
import { findFormat } from "../../formats/format.ts";
import { weightDType } from "../../formats/registry.ts";
import type { Parts, WeightFormat } from "../../formats/weight-format.ts";
import { bytesOf } from "../../formats/words.ts";
import type { Numbers, Quantizer } from "../backend.ts";
import { formatCodes } from "./format-codes.ts";
import { align } from "./header.ts";
import {
  ARGS_WORD,
  CODE_WORD,
  OP_BYTES,
  PROGRAM_HEADER,
  QUANTIZE,
  ROWS_WORD,
  WORK_WORD,
} from "./kernels/header.ts";
import { quantizeScratch } from "./kernels/scratch.ts";
import type { ShardedMemory } from "./memory.ts";
import type { Team } from "./threads.ts";

/** Bytes of a piece's numbers, and of what they become: so few that a piece is done within some milliseconds. */
const PIECE = 8 * 2 ** 20;
const SLOTS = 2;
const SHARD = 0;
/** Bytes of a table for 4-bit codes, see kernels/quantize-four-bit.ts. */
const TABLE = 128;

/** The families that the kernel makes. */
const FAMILIES: ReadonlySet<string> = new Set([
  ...["q4", "q4r", "q6r", "q8", "nf4", "fp4", "int8"],
  ...["f32", "bf16", "f16"],
]);

export class WasmQuantizer implements Quantizer {
  readonly #memory: ShardedMemory;
  readonly #team: Team;
  readonly #columns: number;
  /** The block that holds all buffers, and where each lies. */
  readonly #block: number;
  readonly #program: number;
  readonly #failed: number;
  readonly #table: number;
  readonly #inputs: readonly number[];
  readonly #output: number;

  /**
   * @param columns those of the widest matrix
   * @throws MemoryError there is no room for its buffers
   */
  constructor(memory: ShardedMemory, team: Team, columns: number) {
    this.#memory = memory;
    this.#team = team;
    this.#columns = columns;
    // The views that Backend.load gives are lost when a memory that is not shared grows, so everything is taken now. What stays
    // comes first: then the addresses of the buffers are free to the memory's end afterwards.
    memory.shard(SHARD);
    memory.scratch.threads(SHARD, align(quantizeScratch(columns, Math.max(...FOUR_BIT_BLOCKS))));
    memory.scratch.claimLines(SHARD, 1);
    let end = 0;
    const offsets = [PROGRAM_HEADER + OP_BYTES, 64, TABLE, ...Array(SLOTS).fill(PIECE), PIECE].map(
      (bytes) => (end += align(bytes)) - align(bytes),
    );
    this.#block = memory.allocate(SHARD, end, "quantising", { zero: false });
    const [program, failed, table, ...pieces] = offsets.map((offset) => this.#block + offset);
    [this.#program, this.#failed, this.#table] = [program, failed, table];
    this.#inputs = pieces.slice(0, SLOTS);
    this.#output = pieces[SLOTS];
  }

  rows(from: Numbers, name: string, columns: number): number {
    const { format } = weightDType(name);
    if (!FAMILIES.has(format.family) || columns > this.#columns) return 0;
    const step = stepOf(format, columns);
    const bytes = Math.max(
      numberFormat(from).bytes(step * columns),
      format.parts(step, columns).reduce((sum, size) => sum + align(size), 0),
    );
    return Math.floor(PIECE / bytes) * step;
  }

  input(slot: number, bytes: number): Uint8Array {
    return this.#memory.shards[SHARD].bytes(this.#inputs[slot], bytes);
  }

  quantize(
    slot: number,
    from: Numbers,
    name: string,
    rows: number,
    columns: number,
  ): Parts | undefined {
    const { format } = weightDType(name);
    const shard = this.#memory.shards[SHARD];
    let end = this.#output;
    const places = format.parts(rows, columns).map((bytes) => {
      const place = { offset: end, bytes };
      end += align(bytes);
      return place;
    });
    const settings = fourBitSettings(format.name);
    if (settings !== undefined) shard.bytes(this.#table, TABLE).set(rankTable(settings.type));
    const units = settings
      ? Math.ceil((rows * columns) / format.param)
      : Math.ceil(rows / format.step(columns));
    const words = shard.words(this.#program, (PROGRAM_HEADER + OP_BYTES) / 4);
    words.fill(0);
    words[0] = 1;
    const op = words.subarray(PROGRAM_HEADER / 4);
    op[CODE_WORD] = QUANTIZE;
    op[WORK_WORD] = Math.ceil((rows * columns) / Math.max(units, 1));
    op[ROWS_WORD] = units;
    op.set(
      [
        ...[places[0].offset, places[1]?.offset ?? 0, this.#inputs[slot]],
        ...[codeOf(from.format), codeOf(from.rounded ?? "f32"), rows, columns],
        ...[codeOf(format.family), format.param, this.#table, this.#failed],
      ],
      ARGS_WORD,
    );
    const failed = shard.words(this.#failed, 1);
    failed[0] = 0;
    const memories = this.#memory.shards.map(({ memory }) => memory);
    this.#team.run(memories, SHARD, this.#program, () => `quantising to ${name}`);
    if (failed[0] !== 0) return undefined;
    return places.map(({ offset, bytes }) => shard.bytes(offset, bytes));
  }

  dispose(): void {
    this.#memory.shards[SHARD].free(this.#block);
  }
}

/** Pieces have a multiple of so many rows: whole groups, and whole blocks of 4-bit codes. */
function stepOf(format: WeightFormat, columns: number): number {
  if (fourBitSettings(format.name) === undefined) return format.step(columns);
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  return format.param / common(format.param, columns);
}

/** The table of kernels/quantize-four-bit.ts. */
export function rankTable(type: FourBitType): Uint8Array {
  const { bounds, codes } = fourBitRanks[type];
  const table = new Uint8Array(TABLE);
  table.set(bytesOf(bounds));
  table.set(codes, bounds.byteLength);
  return table;
}

function numberFormat({ format }: Numbers): NumberFormat {
  const found = findFormat(format);
  if (found === undefined)
    throw new EngineError(`quantising: ${format} is no format of plain numbers`);
  return found;
}

function codeOf(family: string): number {
  const code = formatCodes[family];
  if (code === undefined) throw new EngineError(`quantising: no kernel knows the format ${family}`);
  return code;
}
