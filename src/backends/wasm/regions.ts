// Which shard each region of a model lies in. Knows sizes only.

import type { Shard } from "./shard.ts";

export type RegionOptions = {
  /** The shard of each region that has one. */
  readonly known: Readonly<Record<string, number>>;
  readonly shards: readonly Shard[];
  /** Bytes of weights that lie in a shard. */
  weightsIn(shard: number): number;
  /** Bytes of weights after which a new shard is begun, at most half of it: the rest is for states and scratch. */
  readonly shardBytes?: number;
  /** Makes that shard, if it is not there. @returns whether it is there now */
  reach(shard: number): boolean;
};

/**
 * Regions in their order, each whole, a new shard when the weights of one are enough. When there can be no more shards, the one
 * with the most room takes the next region.
 * @param sizes bytes of each region's weights
 */
export function assignRegions(
  sizes: ReadonlyMap<string, number>,
  { known, shards, weightsIn, shardBytes = Infinity, reach }: RegionOptions,
): Map<string, number> {
  const regions = new Map(Object.entries(known));
  const room = shards.map(({ unused }) => unused);
  let last = Math.max(0, ...regions.values());
  let filled = weightsIn(last);
  for (const [name, bytes] of sizes) {
    if (regions.has(name)) continue;
    let shard = last;
    if (filled > 0 && filled + bytes > Math.min(shardBytes, shards[last].limit / 2)) {
      if (reach(last + 1)) {
        shard = ++last;
        filled = 0;
        room[shard] ??= shards[shard].unused;
      } else shard = room.indexOf(Math.max(...room));
    }
    regions.set(name, shard);
    room[shard] -= bytes;
    if (shard === last) filled += bytes;
  }
  return regions;
}
