// Which pieces of files are mapped into a shard, instead of being read: from one of a file's tensors that belong there to the
// next, as long as few other bytes lie between them. Knows no system calls and no addresses.

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

/** How much of a span may be bytes that nobody asked for. */
const WASTE = 1.25;
/** Less than this is read sooner than mapped. */
const LEAST = 1 << 24;

/** Bytes of a file from the first to the last part of a leaf, and how many of them it uses. */
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

/** Neighbours in the file become one, unless what lies between them is much of it. */
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
