"""Tokenizers in the style of published ones and what Rust `tokenizers` makes of texts with them, as JSON on stdout: the oracle of
tokenizer-styles.test.ts, and the maker of test/text/tokenizer-styles.json.
python tokenizer_styles.py FOLDER_OF_GOLDEN_TOKENIZERS SEED TEXTS [STYLE …]"""
import json
import random
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

folder, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
wanted = sys.argv[4:]
random.seed(seed)

LINES = [
    "The quick brown fox jumps over the lazy dog, doesn't it? It's 1,234.56 dollars (maybe €99).",
    "Le château était très éloigné ; l'été, naïve façade, œuvre — « garçon ».",
    "Größe, Straße und Übermut: Äpfel für die Königin.",
    "Привет, мир! Съешь ещё этих мягких французских булок.",
    "안녕하세요. 오늘 날씨가 정말 좋네요! 한국어 텍스트입니다.",
    "日本語のテキストです。カタカナとひらがな、漢字も々含む。",
    "中文文本，包含标点符号。一二三四五。",
    "مرحبا بالعالم، كيف حالك اليوم؟ ١٢٣",
    "नमस्ते दुनिया, यह हिन्दी है। १२३",
    "สวัสดีชาวโลก ภาษาไทย",
    "Ελληνικά γράμματα: ΟΔΥΣΣΕΥΣ, ςσ.",
    "שלום עולם, זה טקסט בעברית.",
    "def f(x):\n    return x ** 2  # comment\n\n\tif x != 0: print(f'{x:>10}')\r\n",
    "https://example.com/path?q=1&r=%20#frag user@example.org C:\\dir\\file.txt",
    "{\"key\": [1, 2, {\"nested\": null}], \"text\": \"a\\nb\"}",
    "HelloWORLD camelCaseString snake_case_name SCREAMING_CASE kebab-case XMLHttpRequest",
    "👍🏽 👨‍👩‍👧 🇰🇷 😀😀 ❤️ emoji ✨ text",
    "e\u0301a\u0315\u0300x i\u0307 ﬁ ﬃ Å Å ½ ² ① ㎏ ﾔ ｶﾞ 가 각 \u1100\u1161\u11a8",
    "12345 6789 3.14159 1e-10 0xFF 1st 2nd ⅷ ๔๕",
    "   leading and   inner    spaces \t\ttabs\n\n\nlines\r\n\r\n  ",
    "\u00a0nbsp\u3000ideographic\u2028line\u200bzero\ufeffbom\x00null\x7f",
    "Don't you'LL we'Re I'VE she'd 'S it'ſ o'clock 'tis",
]
PIECES = [
    " ", "  ", "▁", "a", "b", "the ", "Hello", " world", "\n", "\t", "한국", "中文", "😀", "👨‍👩‍👧", "é", "e\u0301", "</s>", "<s>", "<unk>", "[INST]", "[/INST]",
    "<0x0A>", "\u00a0", "\u3000", "123", "0", ".", ",", "!!", "'s", "ß", "İ", "\x00", "\u200b", "ﬁ", "𝒳", "\U0010ffff", "العربية", "<|im_start|>",
    "<|im_end|>", "user", "\r\n", "_", "-", "Ġ", "Ċ", "Ã©", "a\u0315\u0300", "\u0301", "\u0345", "각", "\u1100\u1161", "\u11a8", "ﾞ", "\u0938\u094d", "\u1c89",
    "\U000105d2\u0307", "\U0001611e\U0001611e", "\u32ff", "\u1e9b\u0323", "ſ", "Ω", "ñ", "n\u0303", "\u0d15\u0d4d\u200d", "Σ", "ς", "ΣΑΣ", "\u2126", "[x]", "tok", "en",
]


MARKS = [chr(c) for c in range(0x300, 0x1F000) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me")] + list("\u1acf\U00010d69\U00011f00\U0001e6e3")
COMPOSED = [chr(c) for c in range(0xA0, 0x30000) if unicodedata.decomposition(chr(c))]
ANY = [chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000]


def any_text():
    """Characters of all of Unicode, most of them with marks."""
    return "".join(random.choice(random.choice([MARKS, MARKS, COMPOSED, ANY, "aeiouAE ", "\u1100\u1161\u11a8\uac00\u30ab\u3099\u309a"])) for _ in range(random.randint(1, 20)))


def text():
    kind = random.random()
    if kind < 0.06:
        return any_text()
    if kind < 0.35:
        return "".join(random.choice(PIECES) for _ in range(random.randint(0, 16)))
    line = random.choice(LINES)
    if kind < 0.5:
        return line
    if kind < 0.75:
        a = random.randrange(len(line))
        return line[a : a + random.randint(1, 40)]
    words = " ".join(random.choice(LINES) for _ in range(2)).split(" ")
    random.shuffle(words)
    return random.choice([" ", "  ", "\n", ""]).join(words[: random.randint(1, 12)])


TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?+[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*+[\p{Ll}\p{Lm}\p{Lo}\p{M}]++(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{L}+|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n/]*+|\s++$|\s*[\r\n]++|\s+(?!\S)|\s")
DEEPSEEK = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def split(expression, behavior="isolated"):
    return pre_tokenizers.Split(Regex(expression), behavior)


def train(tokenizer, size=1200, alphabet=(), special=SPECIAL):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), initial_alphabet=list(alphabet), show_progress=False)
    tokenizer.train_from_iterator(LINES * 3, trainer)
    return tokenizer


def template(tokenizer, single="<s> $A", pair="<s> $A <s> $B:1"):
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("<s>", "</s>")])


def byte_level(pre, normalizer=None, ignore_merges=False, post=None, prefix=False):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer is not None:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    train(t, alphabet=pre_tokenizers.ByteLevel.alphabet())
    t.post_processor = post(t) if post else template(t)
    return t


def pieces(pre, normalizer=None, decoder=None, byte_fallback=True, fuse_unk=True):
    """SentencePiece-like: byte tokens, ▁ for spaces."""
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=byte_fallback, fuse_unk=fuse_unk))
    if normalizer is not None:
        t.normalizer = normalizer
    if pre is not None:
        t.pre_tokenizer = pre
    train(t, size=1500, special=SPECIAL + (BYTES if byte_fallback else []))
    if byte_fallback:  # byte tokens are no added tokens
        data = json.loads(t.to_str())
        data["added_tokens"] = [a for a in data["added_tokens"] if a["content"] not in BYTES]
        t = Tokenizer.from_str(json.dumps(data))
    t.decoder = decoder or decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = template(t)
    return t


def bytes_only(normalizer, pre=None):
    """Each character of the normalized text as its bytes: shows the spans that a normalizer gives."""
    t = Tokenizer(models.BPE(vocab={b: i for i, b in enumerate(BYTES)}, merges=[], byte_fallback=True))
    t.normalizer = normalizer
    if pre is not None:
        t.pre_tokenizer = pre
    t.decoder = decoders.ByteFallback()
    return t


def golden(name, added=()):
    t = Tokenizer.from_file(f"{folder}/{name}/tokenizer.json")
    t.add_tokens(list(added))
    return t


BL = pre_tokenizers.ByteLevel
SEQ = pre_tokenizers.Sequence
STYLES = {
    "mistral-v1": lambda: golden("mistral-v1"),
    "mistral-v1-prepend": lambda: golden("mistral-v1-prepend"),
    "mistral-v3": lambda: golden("mistral-v3"),
    "mistral-v1 with ChatML": lambda: golden("mistral-v1", [AddedToken("<|im_end|>", special=True), AddedToken("<|im_start|>", normalized=False),
                                                            AddedToken("user", single_word=True, normalized=True), AddedToken("tok", lstrip=True, rstrip=True, normalized=True)]),
    "nemo": lambda: byte_level(SEQ([split(TEKKEN), BL(add_prefix_space=False, use_regex=False)]), ignore_merges=True),
    "gpt-2": lambda: byte_level(BL(add_prefix_space=False), post=lambda t: processors.ByteLevel(trim_offsets=True)),
    "gpt-2 with a prefix": lambda: byte_level(BL(add_prefix_space=True), post=lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=True), template(t)])),
    "llama-3": lambda: byte_level(SEQ([split(LLAMA), BL(add_prefix_space=False, use_regex=False)]), ignore_merges=True,
                                  post=lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=False), template(t)])),
    "o200k, NFC": lambda: byte_level(SEQ([split(O200K), BL(add_prefix_space=False, use_regex=False)]), normalizer=normalizers.NFC()),
    "deepseek": lambda: byte_level(SEQ([split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK), BL(add_prefix_space=False, use_regex=False)])),
    "digits, punctuation": lambda: byte_level(SEQ([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("contiguous"), BL(add_prefix_space=False)])),
    "byte-level normalizer": lambda: byte_level(split("Ġ+", "merged_with_next"), normalizer=normalizers.ByteLevel()),
    "metaspace": lambda: pieces(pre_tokenizers.Metaspace(), decoder=decoders.Metaspace()),
    "metaspace first": lambda: pieces(pre_tokenizers.Metaspace(prepend_scheme="first", split=True)),
    "metaspace never, NFKC": lambda: pieces(pre_tokenizers.Metaspace(prepend_scheme="never", split=False), normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])),
    "prepend, strip, unknown": lambda: pieces(None, normalizer=normalizers.Sequence([normalizers.Strip(), normalizers.NFD(), normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), byte_fallback=False, fuse_unk=False),
    "lower, no accents": lambda: pieces(pre_tokenizers.Metaspace(), normalizer=normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]), byte_fallback=False),
    "whitespace": lambda: pieces(pre_tokenizers.Whitespace(), decoder=decoders.Fuse(), byte_fallback=False),
    "words": lambda: pieces(SEQ([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits()]), normalizer=normalizers.Replace(Regex(r"\s*(\d)"), "#"), byte_fallback=False, decoder=decoders.Sequence([decoders.Replace(Regex("[ab]+"), "_"), decoders.Strip("e", 1, 0), decoders.Fuse()])),
}

N = normalizers
for label, normalizer in {
    "NFC": N.NFC(), "NFD": N.NFD(), "NFKC": N.NFKC(), "NFKD": N.NFKD(), "Lowercase": N.Lowercase(), "StripAccents": N.StripAccents(), "Strip": N.Strip(),
    "Strip left": N.Strip(left=True, right=False), "Prepend": N.Prepend("x\u0301y"), "Replace one": N.Replace("a", "é😀"), "Replace many": N.Replace(Regex(r"\p{M}+|e"), "<>"),
    "Replace none": N.Replace(Regex(r"(?=e)"), "_"), "Replace away": N.Replace(Regex(r"\p{L}\p{M}"), ""), "Replace empty": N.Replace("", "x"),
    "NFD, StripAccents, NFC": N.Sequence([N.NFD(), N.StripAccents(), N.NFC()]), "Lowercase, NFKC, Prepend": N.Sequence([N.Lowercase(), N.NFKC(), N.Prepend("▁")]),
    "NFD, Replace, NFC": N.Sequence([N.NFD(), N.Replace(Regex(r"\p{Mn}{2}"), "\u0301"), N.NFC(), N.Strip()]),
}.items():
    STYLES[f"bytes, {label}"] = lambda normalizer=normalizer: bytes_only(normalizer)
STYLES["bytes, Strip, Metaspace"] = lambda: bytes_only(N.Strip(), pre_tokenizers.Metaspace(prepend_scheme="first"))
STYLES["bytes, Replace, Metaspace"] = lambda: bytes_only(N.Replace(Regex("^."), ""), pre_tokenizers.Metaspace(prepend_scheme="first"))
STYLES["bytes, Replace longer, Metaspace"] = lambda: bytes_only(N.Replace(Regex("^."), "xyz"), pre_tokenizers.Metaspace(prepend_scheme="first"))
STYLES["bytes, StripAccents, Metaspace"] = lambda: bytes_only(N.StripAccents(), pre_tokenizers.Metaspace(prepend_scheme="first"))
STYLES["bytes, Split empty, Metaspace"] = lambda: bytes_only(N.NFC(), SEQ([pre_tokenizers.Split("", "isolated"), pre_tokenizers.Metaspace(prepend_scheme="first", split=False)]))
STYLES["bytes, Split, Metaspace"] = lambda: bytes_only(N.NFC(), SEQ([split(r"\p{M}", "removed"), pre_tokenizers.Metaspace(prepend_scheme="first")]))
STYLES["bytes, CharDelimiterSplit"] = lambda: bytes_only(N.NFC(), pre_tokenizers.CharDelimiterSplit("e"))
for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
    STYLES[f"bytes, {behavior}"] = lambda behavior=behavior: bytes_only(N.NFD(), split(r"[ae]+|\b", behavior))
    STYLES[f"bytes, {behavior}, invert"] = lambda behavior=behavior: bytes_only(N.NFC(), pre_tokenizers.Split(Regex(r" ?\p{L}"), behavior, invert=True))
    STYLES[f"bytes, punctuation {behavior}"] = lambda behavior=behavior: bytes_only(N.NFC(), pre_tokenizers.Punctuation(behavior))

out = []
for name, make in STYLES.items():
    if wanted and name not in wanted:
        continue
    t = make()
    if name not in ("mistral-v1", "mistral-v1-prepend", "mistral-v3"):
        t.add_tokens([AddedToken("<|im_end|>", special=True), AddedToken("<|im_start|>", normalized=False), AddedToken("[x]", lstrip=True), AddedToken("en", single_word=True)])
    rows = []
    for i in range(count):
        given = any_text() if name.startswith("bytes") and i % 2 == 0 else text()
        pair = text() if i % 10 == 0 else None
        special = i % 3 != 0
        e = t.encode(given, pair, add_special_tokens=special)
        shuffled = e.ids[:]
        random.shuffle(shuffled)
        rows.append({"text": given, **({"pair": pair} if pair is not None else {}), "special": special, "ids": e.ids, "offsets": [n for o in e.offsets for n in o],
                     "words": [-1 if w is None else w for w in e.word_ids], "types": e.type_ids,
                     "decoded": [t.decode(e.ids, skip_special_tokens=False), t.decode(e.ids), t.decode(shuffled, skip_special_tokens=False)], "shuffled": shuffled})
    out.append({"name": name, "json": json.loads(t.to_str()), "rows": rows})
json.dump(out, sys.stdout, ensure_ascii=False)
