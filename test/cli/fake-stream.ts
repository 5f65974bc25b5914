// A stream that remembers what was written, as a terminal of some width or as a pipe.

import { Writable } from "node:stream";

export type FakeStream = NodeJS.WriteStream & { readonly text: () => string };

export function fakeStream({
  isTTY,
  columns = 80,
}: {
  isTTY: boolean;
  columns?: number;
}): FakeStream {
  const pieces: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(piece: string, _encoding, done) {
      pieces.push(piece);
      done();
    },
  });
  return Object.assign(stream, {
    isTTY,
    columns,
    text: () => pieces.join(""),
  }) as unknown as FakeStream;
}
