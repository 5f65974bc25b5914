// Ranges of characters as a table in a source file: gaps and lengths in base 36. Knows nothing of what they mean.

/** [first, last] of each range. `packed` has for each range the distance from the last one's end, and its length less one. */
export function unpackRanges(packed: string): [first: number, last: number][] {
  const numbers = packed.split(" ").map((word) => Number.parseInt(word, 36));
  const ranges: [number, number][] = [];
  let end = 0;
  for (let i = 0; i < numbers.length; i += 2) {
    const first = end + numbers[i];
    end = first + numbers[i + 1];
    ranges.push([first, end]);
  }
  return ranges;
}
