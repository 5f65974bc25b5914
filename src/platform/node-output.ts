// Output of text on Node. A browser build offers the same function.

/** Writes text to standard output, as it is. */
export function printText(text: string): void {
  process.stdout.write(text);
}
