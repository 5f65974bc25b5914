// Git LFS leaves a small text file in the place of a large file that it has not fetched. Knows no other content of files.

import { CheckpointError } from "../errors.ts";

/** The longest pointer, by the specification of Git LFS: shorter than 1024 bytes. */
export const MAX_POINTER_BYTES = 1024;

const START = new TextEncoder().encode("version https://git-lfs.github.com/spec/v");

/** Refuses a pointer. @param bytes the whole file, or its beginning @throws CheckpointError */
export function refuseLfsPointer(path: string, bytes: Uint8Array): void {
  if (bytes.length > MAX_POINTER_BYTES || !START.every((byte, i) => bytes[i] === byte)) return;
  const size = /^size (\d+)$/m.exec(new TextDecoder().decode(bytes))?.[1];
  throw new CheckpointError(
    `${path} is a Git LFS pointer${size === undefined ? "" : ` to a file of ${size} bytes`}, not the file itself: ` +
      "the repository was cloned without its large files; run `git lfs pull` in it",
  );
}
