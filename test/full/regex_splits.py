"""Regular expressions of every kind on random texts, cut by Rust `tokenizers`, as JSON on stdout: the oracle of regex.test.ts, and the
maker of test/text/regex-splits.json. python regex_splits.py SEED RANDOM_EXPRESSIONS TEXTS_FOR_EACH"""
import json
import random
import sys

from tokenizers import Regex, pre_tokenizers

seed, count, texts = map(int, sys.argv[1:4])
random.seed(seed)

# What published tokenizer.json files have, and what Oniguruma's syntax has beside it.
FIXED = r"""
'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s
's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+|\s+
[一-龥぀-ゟ゠-ヿ]+|[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
\s?\p{L}+|\s?\p{N}+|\s?[^\s\p{L}\p{N}]+|\s+
(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L})
(?=(\d{3})+(?!\d))
\d
\d+|\D+
\w+
\W+
\s
\S+
\b
\B
\bfox\b
\b\w
\h+
\H+
.
.+
(?m:.)+
(?m).$
\N+|\O
\R
\R+|[^\r\n]
^.
.$
^
$
\A.
.\z
.\Z
\Gx|\G[a-c]
a\Kb
\w\K\s
[[:alpha:]]+
[[:digit:]]
[[:punct:]]+
[[:^punct:]]+
[[:space:]]
[[:word:]]+
[[:upper:]][[:lower:]]*
[[:alnum:]_]+
[[:xdigit:]]{2}
[[:cntrl:]]
[[:blank:]]
[[:graph:]]+
[[:print:]]+
[[:ascii:]]+
\p{Han}
\p{han}+
\p{Hiragana}+|\p{Katakana}+
\p{Greek}+|\p{Cyrillic}+
\p{Latin}+
\p{Common}+
\p{Inherited}
\p{Thai}|\p{Arabic}+|\p{Hebrew}+|\p{Devanagari}+
\p{Hangul}+
\P{L}+
\p{^L}+
\P{^L}
\p{Letter}+
\p{Uppercase_Letter}
\p{lowercase letter}+
\p{Alphabetic}+
\p{Alnum}+
\p{Punct}
\p{Emoji}
\p{Any}
\p{Cn}
\p{C}
\p{M}+
\p{Sc}|\p{Sm}
\p{Zs}
\p{Nd}+|\p{No}|\p{Nl}
\p{Lm}
\p{Lo}+
\p{Ll}+
[^\p{L}\s]+
[a-z&&[^aeiou]]+
[\w&&[^\d_]]+
[^\s&&[^a]]
[a-c&&b-d]
[[a-c][x-z]]+
[^a[^b]]
[]a]
[^]a]+
[a\]]
[a-]
[-a]
[a-z-9]+
[\d\s]+
[\x61-\x63]
[\u4e00-\u9fff]+
[\x{1f300}-\x{1faff}]
\x{1F600}
\x41|\u0042|\103
\xe4\xb8\xad
[\b\t]
a++b
a*+a
a?+a
(?>a+)b
(?>a|ab)c
(?:ab)++
(?:a|b)*?c
a+?
a*?b
a??b
a{2}
a{2,}
a{,2}
a{1,2}?
a{2}?b
ca{2}?b
a{3,2}
a{2}+
a{,}
a{x}
(?:\p{L}\p{M}*)+
(?:\p{L}+ ?)+
(\w)\1
(?<x>\w)\k<x>
(a|b)\k<-1>
(?i)(a|ß)\1
(?i:a)b
(?i)abc
(?i)k+|ſ
(?i:ss)
(?i:ß)
(?i:straße)
(?i:[ßx])
(?i:ﬁ|ﬆ)
(?i:ff)i
(?i:[a-f]+)
(?i:[^a-f]+)
(?i:\p{Lu})
(?i:[\p{Lu}])
(?i:ς)
(?i:é|É)
a(?i)b|c
(?i-i:a)
(?x) a  b # and
(?#none)a
(?<=a)b
(?<!a)b
(?<=a|bc)d
(?<!a|bc)c
(?<=a+)b
(?<=^|\s)\w
(?<=\p{L}{2})\p{L}
(?=a)\w\w
(?!a)\w
(?!\p{L})(?!\s).
(?=\Kb)
x*
(?:)
a|
|a
(a*)*
(?:a*)+b
(a|b*)*c
(|a)+
(a?)*?b
\n|\r
[\r\n]+
\t
\/|\-|\_|\'
[\s\S]
\S\s*
\p{L}(?=\p{M})
(?:[^\W\d_]|')+
""".strip("\n").split("\n") + [r"(?x) a  b # and" + "\n c?", " ", "\u2581", " ?", "é", "e\u0301"]

CHARACTERS = (
    list("aabbcdfghiklmnorstvxyzABCKSX019_ \n\r\t'\"-./\\,;:!?()[]{}<>@#$%^&*+=|~`")
    + [" "] * 8
    + ["fox", "don't", "I'LL", "ss", "ff", "st", "\r\n", "  ", "\n\n", "abc", "aa", "ab"]
    + list("éÉßẞſKςσΣñüÅåﬁﬀﬃﬆŉİıǅʕ")
    + list("\u0301\u0315\u0300\u0327\u093f\u0bcd\u200d\u200b\ufe0f")
    + list("한글ㅏ中文镇々ひらカナーﾔｶ")
    + list("жЖаяאבعربيहिन्दीไทยம்தमාසිං")
    + list("٣๔෩²½ⅷ①〇九১")
    + list("\u00a0\u3000\u2028\u2029\u0085\u180e\u1680\x0b\x0c\x1c\x00\x7f\u00ad")
    + list("€₩¥+±×÷∞∑«»“”‘’…—–・、。！？「」")
    + ["👍", "🏽", "🇰🇷", "👨‍👩‍👧", "😀", "𝒳", "𐍈", "𐌀", "\U0001e900", "\ue000", "\ufffd", "\U0010ffff", "\u0378"]
    # characters of Unicode 17 and of other recent versions
    + ["\U00011de3", "\ua7ce", "\u20c1", "\U0001fac8", "\U000323b5", "\u088f", "\U00016d63", "\u1c89", "\U0001f6dc"]
)


def text():
    return "".join(random.choice(CHARACTERS) for _ in range(random.randint(1, 24)))


ATOMS = [r"\p{L}", r"\p{N}", r"\s", r"\S", r"\w", r"\d", r"\W", ".", "a", "b", " ", "é", "[ab]", "[^ab]", r"[\p{L}\p{M}]", r"[^\s\p{L}]", "[a-f]",
         r"\p{Lu}", r"\p{Ll}", r"\p{Han}", r"[\r\n]", "x", "ss", "'", r"[[:alpha:]]", r"[\w&&[^\d]]", r"\p{P}", "中"]
EMPTY = [r"\b", r"\B", "^", "$", r"(?=\s)", r"(?!\S)", r"(?<=a)", r"(?<!\p{L})", r"(?=\p{L})"]


def expression(depth):
    kind = random.random()
    if depth == 0 or kind < 0.35:
        atom = random.choice(ATOMS)
        if len(atom) > 1 and not atom.startswith(("\\", "[")):
            atom = f"(?:{atom})"
        return atom + random.choice(["", "", "", "+", "*", "?", "{2}", "{1,3}", "+?", "*?", "??", "++", "*+", "?+", "{2,}"])
    if kind < 0.45:
        return random.choice(EMPTY) + expression(depth - 1)
    if kind < 0.75:
        return "".join(expression(depth - 1) for _ in range(random.randint(2, 3)))
    if kind < 0.9:
        inner = "|".join(expression(depth - 1) for _ in range(random.randint(2, 3)))
        return random.choice(["(?:", "(", "(?>", "(?i:"]) + inner + ")" + random.choice(["", "", "?", "+", "*", "{2}"])
    return random.choice(["(?=", "(?!", "(?<=", "(?<!"]) + random.choice(ATOMS) + ")" + expression(depth - 1)


cases = []
for source in FIXED + [expression(3) for _ in range(count)]:
    try:
        regex = Regex(source)
        cut = pre_tokenizers.Split(regex, "isolated")
        matches = pre_tokenizers.Split(regex, "removed", invert=True)
    except Exception as error:
        cases.append({"source": source, "error": str(error)})
        continue
    rows = []
    for _ in range(texts):
        given = text()
        try:
            rows.append({"text": given,
                         "cuts": [a for _, (a, _b) in cut.pre_tokenize_str(given)][1:],
                         "matches": [n for _, span in matches.pre_tokenize_str(given) for n in span]})
        except BaseException as error:  # a panic where its own limit of retries is exceeded
            if isinstance(error, KeyboardInterrupt):
                raise
    cases.append({"source": source, "rows": rows})
json.dump(cases, sys.stdout, ensure_ascii=False)
