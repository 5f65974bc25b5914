// Which pieces of files are mapped into a shard, instead of being read: the bytes from the first to the last of a file's
// tensors that belong there, when few others lie between them. Knows no system calls and no addresses.

import type { LeafSpec } from "../backend.ts";

/** A piece of a file for one shard, and the leaves that lie in it. */
export type FileSpan = {
  readonly shard: number;
  readonly path: string;
  readonly from: number;
  readonly bytes: number;
  readonly leaves: readonly LeafSpec[];
};

type Wanted = {
  readonly spec: LeafSpec;
  readonly bytes: number;
  readonly shards: readonly number[];
};

/** How much of a span may be bytes that nobody asked for. */
const WASTE = 1.25;
/** Less than this is read sooner than mapped. */
const LEAST = 1 << 24;

export function fileSpans(wanted: readonly Wanted[]): FileSpan[] {
  const groups = Map.groupBy(
    wanted.filter(({ spec, shards }) => spec.file !== undefined && shards.length === 1),
    ({ spec, shards }) => `${shards[0]} ${spec.file?.path}`,
  );
  return [...groups.values()].flatMap((group) => {
    const [{ spec, shards }] = group;
    const parts = group.flatMap((w) => w.spec.file?.parts ?? []).filter((part) => "offset" in part);
    const from = Math.min(...parts.map(({ offset }) => offset));
    const bytes = Math.max(...parts.map((part) => part.offset + part.bytes)) - from;
    const used = parts.reduce((sum, part) => sum + part.bytes, 0);
    if (bytes < LEAST || bytes > used * WASTE) return [];
    const leaves = group.map((w) => w.spec);
    return [{ shard: shards[0], path: spec.file?.path ?? "", from, bytes, leaves }];
  });
}
