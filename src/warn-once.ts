// Warnings that a user should see once, not at each call. Knows nothing of what they say.

/** How many texts are remembered. A server whose clients choose the words forgets them rather than growing. */
const MOST = 1000;
const told = new Set<string>();

/** Prints a warning, unless this process has printed the same text before. */
export function warnOnce(text: string): void {
  if (told.has(text)) return;
  if (told.size === MOST) told.clear();
  told.add(text);
  console.warn(text);
}
