// Chooses a shard for each region of a model. Knows sizes only.

import type { Shard } from "./shard.ts";

export type RegionOptions = {
  /** The shard of each region that has one. */
  readonly known: Readonly<Record<string, number>>;
  readonly shards: readonly Shard[];
  /** Bytes of weights that lie in a shard. */
  weightsIn(shard: number): number;
  /** Bytes of weights after which a new shard is begun; never more than half of a shard: the rest is for states and scratch. */
  readonly shardBytes?: number;
  /** Makes shards up to that number. @returns false when there are no addresses for it */
  reach(shard: number): boolean;
};

/**
 * Gives each region a shard, one after the other. When a region's weights would make a shard too full, a new shard is begun; when
 * no new one can be made, the shard with the most room takes the region.
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
