"""Random calls of Transformers' tokenizers, with what comes out, as JSON on stdout: the oracle of tokenizer.test.ts.
python tokenizer_calls.py FOLDER_OF_TOKENIZERS SEED COUNT"""
import json
import random
import sys
import warnings

import transformers
from transformers import AddedToken, TokenizersBackend

transformers.logging.set_verbosity_error()
warnings.simplefilter("ignore")
folder, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(seed)

PIECES = [
    " ", "  ", "▁", "a", "b", "the ", "Hello", " world", "\n", "\t", "한국", "中文", "😀", "👨‍👩‍👧", "é", "e\u0301", "</s>", "<s>",
    "<unk>", "[INST]", "[/INST]", "<0x0A>", "\u00a0", "\u3000", "123", "0", ".", ",", "!!", "'s", "def f(x):\n    return x",
    "ß", "İ", "\x00", "\u200b", "ﬁ", "𝒳", "\U0010ffff", "العربية", "new_token", "<ls>", "<rs>", "word", "[PAD]", "\r\n", "_", "-",
]
ADDED = [
    "new_token",
    {"content": "<ls>", "lstrip": True, "normalized": False},
    {"content": "<rs>", "rstrip": True, "normalized": False},
    {"content": "word", "single_word": True, "normalized": False},
    {"content": "<l>", "lstrip": True, "rstrip": True, "normalized": True},
]


def text(most):
    return "".join(random.choice(PIECES) for _ in range(random.randint(0, most)))


def load(name, added):
    tokenizer = TokenizersBackend.from_pretrained(f"{folder}/{name}")
    if added:
        tokenizer.add_special_tokens({"pad_token": "[PAD]"})
        tokenizer.add_tokens([t if isinstance(t, str) else AddedToken(**t) for t in ADDED])
    else:
        tokenizer.pad_token = "<unk>"
    return tokenizer


def options(words):
    chance = lambda p: random.random() < p
    kwargs = {"is_split_into_words": True} if words else {}
    if chance(0.5):
        kwargs["padding"] = random.choice([True, "longest", "max_length", False])
    if chance(0.5):
        kwargs["truncation"] = random.choice([True, "longest_first", "only_first", "only_second", False])
    if chance(0.6):
        kwargs["max_length"] = random.randint(2, 14)
    if chance(0.3):
        kwargs["stride"] = random.randint(0, 4)
    if chance(0.2):
        kwargs["pad_to_multiple_of"] = random.choice([2, 4, 8])
    if chance(0.3):
        kwargs["padding_side"] = random.choice(["left", "right"])
    for name, value, p in (("add_special_tokens", False, 0.3), ("split_special_tokens", True, 0.2), ("return_overflowing_tokens", True, 0.4),
                           ("return_special_tokens_mask", True, 0.5), ("return_offsets_mapping", True, 0.5), ("return_length", True, 0.5),
                           ("return_token_type_ids", True, 0.5)):
        if chance(p):
            kwargs[name] = value
    return kwargs


def inputs(kind):
    if kind == "one":
        return [text(20)]
    if kind == "pair":
        return [text(12), text(12)]
    if kind == "words":
        return [[text(3) for _ in range(random.randint(1, 5))]]
    n = random.randint(1, 4)
    return [[text(8) for _ in range(n)] for _ in range(1 if kind == "batch" else 2)]


def word_to_chars(encoding, row):
    try:
        span = encoding.word_to_chars(row, 1)
        return {"start": span.start, "end": span.end}
    except TypeError:  # its own way of saying that there is no such word
        return None


tokenizers = {(n, a): load(n, a) for n in ("mistral-v1", "mistral-v1-prepend", "mistral-v3", "tiny") for a in (False, True)}
calls = []
for _ in range(count):
    name, added = random.choice(list(tokenizers))
    tokenizer = tokenizers[name, added]
    kind = random.choice(["one", "one", "pair", "batch", "pairs", "words"])
    side = tokenizer.truncation_side = random.choice(["left", "right"])
    call = {"tokenizer": name, "added": added, "truncation_side": side, "inputs": inputs(kind), "kwargs": options(kind == "words")}
    try:
        e = tokenizer(*call["inputs"], **call["kwargs"])
        rows = range(len(e.encodings))
        ids = e.encodings[0].ids
        call["result"] = dict(e)
        call["rows"] = [{"words": e.word_ids(i), "sequences": e.sequence_ids(i), "tokens": e.tokens(i), "token": e.char_to_token(i, 3), "chars": word_to_chars(e, i)} for i in rows]
        call["decoded"] = [tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=True)]
        call["ids"] = ids
    except BaseException as error:  # panics of the Rust side are no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        call["error"] = repr(error)[:200]
    calls.append(call)
json.dump({"added": ADDED, "calls": calls}, sys.stdout)
