"""Writes src/text/regex/unicode-16.ts and src/text/unicode-9.ts: how the tables of Unicode in Rust `tokenizers` differ from newer ones.
python unicode_tables.py SRC_TEXT_FOLDER NODE

What is found out by running the library over all characters: which characters Oniguruma counts as unassigned (Unicode 16); which marks
StripAccents keeps, which characters the normal forms leave as they are, and which of them could be the first part of a composed one,
although Unicode 16 says otherwise (the library's tables are those of Unicode 9); and which punctuation `Punctuation` does not know."""
import json
import subprocess
import sys
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
text = "".join(map(chr, POINTS))


def members(expression):
    rest = set(normalizers.Replace(Regex(expression), "").normalize_str(text))
    return [c for c in POINTS if chr(c) not in rest]


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def packed(points, name, doc):
    """Gaps and lengths in base 36."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"

    def base36(n):
        s = ""
        while True:
            s = digits[n % 36] + s
            n //= 36
            if n == 0:
                return s

    words, last = [], 0
    for a, b in ranges(points):
        words += [base36(a - last), base36(b - a)]
        last = b
    lines, line = [], ""
    for w in words:
        if len(line) + len(w) > 100:
            lines.append(line)
            line = ""
        line += w + " "
    lines.append(line.rstrip())
    joined = " +\n  ".join(f'"{line}"' for line in lines)
    return f"/** {doc} */\nexport const {name}: readonly (readonly [number, number])[] = unpackRanges(\n  {joined},\n);\n"


NODE = """
const out = [];
for (let c = 0; c < 0x110000; c++) {
  if (c === 10 || (c >= 0xd800 && c < 0xe000) || (c >= 0xac00 && c < 0xd7a4)) continue;
  const s = String.fromCodePoint(c);
  const [nfkd, nfd] = [s.normalize("NFKD"), s.normalize("NFD")];
  if (nfkd !== s) out.push([c, nfd === s ? -1 : nfd.codePointAt(0), nfkd]);
}
console.log(JSON.stringify(out));
"""


def decomposed():
    """Characters that the newest Unicode decomposes (asked of Node): the first part if it may be composed again, and the whole."""
    return json.loads(subprocess.run([sys.argv[2], "-e", NODE], capture_output=True, check=True, encoding="utf-8").stdout)


folder = Path(sys.argv[1])
HEAD = "// Made by test/full/unicode_tables.py from the results of Rust `tokenizers`; not edited by hand. Knows nothing of texts.\n\n"
IMPORT = 'import { unpackRanges } from "%s";\n\n'
unassigned = set(members(r"\p{Cn}"))
marks = members(r"\p{M}")
kept = {c for c in marks if normalizers.StripAccents().normalize_str(chr(c)) != ""}
inert = set(kept)
nfkd = normalizers.NFKD()
for c, first, result in decomposed():
    if nfkd.normalize_str(chr(c)) == chr(c):
        inert.add(c)
        if first >= 0:
            inert.add(first)
(folder / "regex" / "unicode-16.ts").write_text(
    HEAD + IMPORT % "../unpack-ranges.ts" + packed(unassigned, "NEWER", "Characters that Unicode 16 does not have."))
punctuation = members(r"\p{P}")
pre = pre_tokenizers.Punctuation()
cut = [c for c in POINTS if len(pre.pre_tokenize_str(f"a{chr(c)}a")) == 3]
missing = [c for c in punctuation if c not in set(cut)]
extra = [c for c in cut if c not in set(punctuation) and c > 127]
(folder / "unicode-9.ts").write_text(
    HEAD + IMPORT % "./unpack-ranges.ts"
    + packed(kept, "KEPT_MARKS", "Marks of Unicode 16 that StripAccents keeps: Unicode 9 does not have them.")
    + "\n" + packed(inert, "INERT", "Characters of Unicode 16 that the normal forms leave as they are, and never compose or reorder.")
    + "\n" + packed(missing, "NEWER_PUNCTUATION", "Punctuation of Unicode 16 that `Punctuation` does not know.")
    + "\n" + packed(extra, "FORMER_PUNCTUATION", "What counts as punctuation beside ASCII and Unicode 16."))
