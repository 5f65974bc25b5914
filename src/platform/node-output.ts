// Where a program's own text goes.

/** To standard output, as it is. */
export function printText(text: string): void {
  process.stdout.write(text);
}
