// Output of text on Node. A browser build offers the same function.

/** Writes text to standard output, as it is. A reader that has left (`| head`) is no error, as for console.log. */
export function printText(text: string): void {
  const { stdout } = process;
  stdout.write(text, (error) => {
    // The stream emits the error after this call.
    if (isBrokenPipe(error) && stdout.listenerCount("error") === 0) stdout.once("error", () => {});
  });
}

const isBrokenPipe = (error: NodeJS.ErrnoException | null | undefined): boolean =>
  error?.code === "EPIPE";
