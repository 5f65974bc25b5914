// A StoredWeight whose parts lie in a checkpoint byte for byte as the format has them, each in a tensor of its own (or are known
// already). Filling takes no memory besides the parts; reading rows takes what these rows' parts take. Does not know whose files.

import { CheckpointError } from "../../errors.ts";
import type { MatrixShape, Parts, WeightFormat } from "../../formats/weight-format.ts";
import { floats32 } from "../../formats/words.ts";
import { shown } from "../json-reader.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { Checkpoint, TensorEntry } from "../weights.ts";

/** One part: a tensor of the checkpoint (`scales`: check that no number is NaN, infinite or negative), or bytes that are known. */
export type PartSource =
  | { readonly entry: TensorEntry; readonly scales?: boolean }
  | { readonly known: Uint8Array };

/**
 * Which bytes of the parts hold some rows of a matrix: bytes ranges[i] of part i make a smaller matrix of `shape`, of which the rows
 * are rows [from, to).
 */
export type Cut = {
  readonly ranges: readonly (readonly [from: number, to: number])[];
  readonly shape: MatrixShape;
  readonly from: number;
  readonly to: number;
};

export type PlacedParts = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly encoding: string;
  readonly format: WeightFormat;
  readonly sources: readonly PartSource[];
  /** Where rows [from, to) lie. */
  cut(from: number, to: number): Cut;
};

/** How many bytes are read between two calls of `onBytes`: 16 MiB. */
const PIECE = 1 << 24;

export function placedWeight(checkpoint: Checkpoint, placed: PlacedParts): StoredWeight {
  const { name, shape, encoding, format, sources } = placed;
  const entries = sources.flatMap((source) => ("entry" in source ? [source.entry] : []));
  const paths = new Set(entries.map(({ file }) => file));
  const pieces = sources.map((source) =>
    "known" in source ? source : { offset: source.entry.offset, bytes: source.entry.bytes },
  );
  const file = paths.size === 1 ? { path: entries[0].file, parts: pieces } : undefined;

  const read = async (
    source: PartSource,
    target: Uint8Array,
    from: number,
    onBytes: (bytes: number) => void,
  ): Promise<void> => {
    if ("known" in source) return target.set(source.known.subarray(from, from + target.length));
    for (let at = 0; at < target.length; at += PIECE) {
      const piece = target.subarray(at, at + PIECE);
      await checkpoint.read(source.entry.name, piece, from + at, from + at + piece.length);
      onBytes(piece.length);
    }
    if (source.scales) checkScales(source.entry, target);
  };

  return {
    ...{ name, shape, encoding, format },
    bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0),
    ...(file && { file }),

    async fill(parts, onBytes) {
      for (const [i, source] of sources.entries()) await read(source, parts[i], 0, onBytes);
    },

    async readRows(from, to, out) {
      const cut = placed.cut(from, to);
      const parts: Parts = cut.ranges.map(([begin, end]) => new Uint8Array(end - begin));
      for (const [i, source] of sources.entries())
        await read(source, parts[i], cut.ranges[i][0], () => {});
      format.unpack(parts, cut.shape, cut.from, cut.to, out);
    },
  };
}

/** @throws CheckpointError a scale is NaN, infinite or negative */
function checkScales({ name, file }: TensorEntry, bytes: Uint8Array): void {
  const scales = floats32(bytes);
  const bad = scales.findIndex((scale) => !(scale >= 0 && scale < Infinity));
  if (bad < 0) return;
  throw new CheckpointError(
    `${file}: ${shown(name)} holds ${scales[bad]} as the scale of a block, expected a number that is not negative; ` +
      "the file is damaged: fetch it again, or quantise the model again",
  );
}
