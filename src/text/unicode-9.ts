// Made by test/full/unicode_tables.py from the results of Rust `tokenizers`; not edited by hand. Knows nothing of texts.

import { unpackRanges } from "./unpack-ranges.ts";

/** Marks of Unicode 16 that StripAccents keeps: Unicode 9 does not have them. */
export const KEPT_MARKS: readonly (readonly [number, number])[] = unpackRanges(
  "1kt 0 4a 8 17 9 8b 0 70 5 2e 0 4v 0 1k 0 53 0 d 0 1n 1 1x 0 8p 0 k 0 1mv 0 6y 0 j4 f fd 0 73 4 raq 0 " +
    "5v 0 js5 3 1u 4 8u 1 28 3 1z a 1e 3 6j 0 3 1 26 0 3n 1 3n 0 5 1 36 0 6y 0 3h 8 2 0 3 0 2 3 2 4 2 0 f " +
    "1 3g 0 r2 e 6u 5 2 1 3 3 2 0 2 1 3y 6 3 6 4 0 t 9 15 6 2 3 9 0 a a 1b f ig 5 4 0 2 1 2 6 2 0 1v 4 2 " +
    "1 2 4 9o 3 a 1 2 0 1d 6 4 4 o 0 44m 0 7 e 8uh h 2sg 0 1c 8 2l 0 c 1 irz 19 3 m 3ex 0 4h 6 ag 0 1q 3 " +
    "e5 3 73 1",
);

/** Characters of Unicode 16 that the normal forms leave as they are, and never compose or reorder. */
export const INERT: readonly (readonly [number, number])[] = unpackRanges(
  "1kt 0 4a 8 17 9 8b 0 70 5 2e 0 4v 0 1k 0 53 0 d 0 1n 1 1x 0 8p 0 k 0 1mv 0 6y 0 j4 f fd 0 73 4 45h 0 " +
    "n3m 3 1k 0 5v 0 h6 0 huo 0 9 0 8 0 a 0 bh 4 2 15 2 8 12i 3 1u 4 8u 1 28 3 1z a 1e 3 6j 0 3 1 26 0 3n " +
    "1 3n 0 5 1 36 0 6y 0 1z 3 6 0 3 0 2 1 13 8 2 0 3 0 2 3 2 4 2 0 f 1 3g 0 r2 e 6u 5 2 1 3 3 2 0 2 1 3y " +
    "6 3 6 4 0 t 9 15 6 2 3 9 0 a a 1b f ig 5 4 0 2 1 2 6 2 0 1v 4 2 1 2 4 9o 3 a 1 2 0 1d 6 4 4 o 0 44m " +
    "0 7 e 8uh h 2es 0 4 3 dh 0 1c 8 2l 0 c 1 icl z ef 19 3 m 3ca 1p y 0 4h 6 ag 0 1q 3 e5 3 73 1 29p 0 " +
    "22s 9",
);

/** Punctuation of Unicode 16 that `Punctuation` does not know. */
export const NEWER_PUNCTUATION: readonly (readonly [number, number])[] = unpackRanges(
  "17h 0 rk 0 3d 0 e9 0 d 0 2x6 1 1a 2 3pg c 3 b 1829 0 8v 0 4o 4 19 3 uj 1 2 1 37 4 b 1 2 0 eb c 25 0 " +
    "aq 0 7d 2 4c 0 2l 7 2c 2 2 4 2m 9 60 0 2o 4 17 1 hy 1 23 c 4w 0 35e 1 c57 2 88 3 94 0 nbx 0 nz 1",
);

/** What counts as punctuation beside ASCII and Unicode 16. */
export const FORMER_PUNCTUATION: readonly (readonly [number, number])[] =
  unpackRanges("4fh 0 1dng 0");
