// Chooses the pieces of files that are mapped into a shard instead of being read. Tensors of one shard that are neighbours in the
// file make one piece, as long as few other bytes lie between them. Knows no system calls and no addresses.

import type { LeafSpec } from "../backend.ts";

/** A piece of a file for one shard, and the leaves that lie in it. */
export type FileSpan = {
  readonly shard: number;
  readonly path: string;
  readonly from: number;
  readonly bytes: number;
  readonly leaves: readonly LeafSpec[];
};

/** A leaf that is to be placed: the bytes that it takes, and in which shards. */
export type Wanted = {
  readonly spec: LeafSpec;
  readonly bytes: number;
  readonly shards: readonly number[];
};

/** A span may be this many times as long as the bytes that are wanted from it. */
const WASTE = 1.25;
/** A span shorter than this (16 MiB) is read: that is faster than mapping it. */
const LEAST = 1 << 24;

/** Bytes [from, to) of a file, the leaves in them, and how many of the bytes these use. */
type Stretch = { leaves: LeafSpec[]; from: number; to: number; used: number };

export function fileSpans(wanted: readonly Wanted[]): FileSpan[] {
  const groups = Map.groupBy(
    wanted.filter(({ spec, shards }) => spec.file !== undefined && shards.length === 1),
    ({ spec, shards }) => `${shards[0]} ${spec.file?.path}`,
  );
  return [...groups.values()].flatMap((group) => {
    const [{ spec, shards }] = group;
    const stretches = joined(group.map((w) => stretchOf(w.spec)));
    return stretches
      .filter(({ from, to, used }) => to - from >= LEAST && to - from <= used * WASTE)
      .map(({ leaves, from, to }) => ({
        ...{ shard: shards[0], path: spec.file?.path ?? "", from, bytes: to - from, leaves },
      }));
  });
}

function stretchOf(leaf: LeafSpec): Stretch {
  const parts = (leaf.file?.parts ?? []).filter((part) => "offset" in part);
  return {
    leaves: [leaf],
    from: Math.min(...parts.map(({ offset }) => offset)),
    to: Math.max(...parts.map(({ offset, bytes }) => offset + bytes)),
    used: parts.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** Joins neighbours in the file, unless too many unused bytes lie between them. */
function joined(stretches: readonly Stretch[]): Stretch[] {
  const all: Stretch[] = [];
  for (const next of stretches.toSorted((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    const used = (last?.used ?? 0) + next.used;
    const to = Math.max(last?.to ?? 0, next.to);
    if (last === undefined || to - last.from > used * WASTE) all.push({ ...next });
    else Object.assign(last, { leaves: [...last.leaves, ...next.leaves], to, used });
  }
  return all;
}
