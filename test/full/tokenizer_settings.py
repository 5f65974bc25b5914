"""Folders of tokenizers with settings drawn at random, in the files that people publish, and what Transformers makes of each, as JSON
on stdout: the oracle of tokenizer-settings.test.ts.
python tokenizer_settings.py FOLDER_OF_TOKENIZERS SEED COUNT OUT"""
import json
import os
import random
import shutil
import sys
import warnings

import transformers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
warnings.simplefilter("ignore")
source, seed, count, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
rng = random.Random(seed)
TEXTS = ["Hello world", "  two  spaces ", "a<|im_start|>user\nHi<|im_end|>\n", "<s>[INST] x [/INST] y</s>", "é끝👍", "", "\n\n a",
         "x <sep> y <pad>z[PAD]", " <mask>Hello</s>  w", "<|end|> GPT4 User: hi<|end|>", "don't do . that !", "▁a ▁"]
EXTRA = ["<|im_start|>", "<|im_end|>", "<sep>", "<pad>", "[PAD]", "<mask>", "<|end|>", "GPT4", "don't"]
ROLES = ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "mask_token", "cls_token"]
TEMPLATE = ("{{bos_token}}|{{eos_token}}|{{unk_token}}|{{pad_token}}|{{sep_token}}|"
            "{% for m in messages %}{{m.role}}:{{m.content}}{{eos_token}}{% endfor %}{% if add_generation_prompt %}A{% endif %}")


def chance(p):
    return rng.random() < p


def flags(content):
    """A token as tokenizer.json and added_tokens_decoder write it."""
    return {"content": content, "lstrip": chance(0.1), "rstrip": chance(0.1), "single_word": False,
            "normalized": chance(0.3), "special": chance(0.6)}


def named(content):
    """A token as tokenizer_config.json names it."""
    if chance(0.6):
        return content
    special = {"special": True} if chance(0.3) else {}
    return {"__type": "AddedToken", "content": content, "lstrip": chance(0.15), "rstrip": chance(0.15), "normalized": chance(0.3),
            "single_word": False, **special}


def make(folder):
    base = rng.choice(["mistral-v1", "mistral-v1-prepend", "mistral-v3", "tiny"])
    config = json.load(open(f"{source}/{base}/tokenizer_config.json"))
    root = json.load(open(f"{source}/{base}/tokenizer.json"))
    files = {}
    first = max(max(root["model"]["vocab"].values()), *(token["id"] for token in root["added_tokens"])) + 1
    extra = rng.sample(EXTRA, rng.randint(0, 4))
    described = [flags(token) for token in extra]
    if chance(0.5):
        config.pop("added_tokens_decoder", None)
    if chance(0.5):
        config.pop("additional_special_tokens", None)
    if chance(0.3):
        root["added_tokens"] += [{"id": first + i, **token} for i, token in enumerate(described)]
    if chance(0.3):
        config.setdefault("added_tokens_decoder", {}).update({str(first + i): token for i, token in enumerate(described)})
    if chance(0.3):
        files["added_tokens.json"] = {token: first + i for i, token in enumerate(extra)}
    if chance(0.3):
        config["additional_special_tokens"] = rng.choice([[named(token) for token in extra], [], None])
    if chance(0.3):
        config["extra_special_tokens"] = rng.choice([{f"x{i}_token": token for i, token in enumerate(extra)}, extra, [], {}])
    for name, p, values in [
        ("pad_token", 0.3, [None, "</s>", "<unk>", named("<pad>"), named("[PAD]")]), ("eos_token", 0.2, [named("</s>"), "<|im_end|>"]),
        ("bos_token", 0.2, [None, named("<s>")]), ("unk_token", 0.15, [None, named("<unk>")]), ("sep_token", 0.2, [named("<sep>")]),
        ("mask_token", 0.15, [named("<mask>")]), ("image_token", 0.15, ["<sep>", "<img>"]), ("add_eos_token", 0.2, [True, False]),
        ("add_bos_token", 0.2, [True, False]), ("add_prefix_space", 0.2, [True, False, None]), ("legacy", 0.2, [True, False, None]),
        ("clean_up_tokenization_spaces", 0.2, [True, False]), ("padding_side", 0.2, ["left", "right"]),
        ("tokenizer_class", 0.3, ["LlamaTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"]),
        ("truncation_side", 0.2, ["left", "right"]), ("model_max_length", 0.2, [1e30, 2048, 5, None]),
        ("model_input_names", 0.15, [["input_ids"], ["input_ids", "token_type_ids", "attention_mask"]]),
        ("spaces_between_special_tokens", 0.1, [True, False]), ("split_special_tokens", 0.1, [True, False]),
    ]:
        if chance(p):
            config[name] = rng.choice(values)
    if chance(0.4):
        files["special_tokens_map.json"] = {"bos_token": "<s>", "eos_token": rng.choice(["</s>", "<|im_end|>"]), "unk_token": "<unk>",
                                            **rng.choice([{}, {"pad_token": "<pad>"}, {"additional_special_tokens": extra},
                                                          {"extra_special_tokens": extra}, {"image_token": "<|end|>"}])}
    if chance(0.15):
        root["padding"] = {"strategy": rng.choice(["BatchLongest", {"Fixed": 8}]), "direction": rng.choice(["Left", "Right"]),
                           "pad_to_multiple_of": rng.choice([None, 8]), "pad_id": 2, "pad_type_id": 0, "pad_token": "</s>"}
    if chance(0.15):
        root["truncation"] = {"direction": rng.choice(["Left", "Right"]), "max_length": 6, "strategy": "LongestFirst", "stride": 0}
    if chance(0.1):
        root["post_processor"] = None
    config["chat_template"] = rng.choice([TEMPLATE, [{"name": "default", "template": TEMPLATE}, {"name": "rag", "template": "R"}]])
    files |= {"tokenizer_config.json": config, "tokenizer.json": root, "config.json": {"model_type": "mistral"}}
    for name, value in files.items():
        json.dump(value, open(f"{folder}/{name}", "w"))
    if chance(0.2):
        open(f"{folder}/chat_template.jinja", "w").write("J" + TEMPLATE)


def ask(folder):
    t = AutoTokenizer.from_pretrained(folder)
    ids = [t(text).input_ids for text in TEXTS]
    return {
        "ids": ids, "plain": [t(text, add_special_tokens=False).input_ids for text in TEXTS],
        "decoded": [t.decode(row) for row in ids], "skipped": [t.decode(row, skip_special_tokens=True) for row in ids],
        "roles": [getattr(t, role) for role in ROLES], "role_ids": [getattr(t, f"{role}_id") for role in ROLES],
        "sides": [t.padding_side, t.truncation_side, min(t.model_max_length, 2**50)], "length": [len(t), t.vocab_size],
        "special": sorted(t.all_special_tokens), "keys": sorted(t("a").keys()), "pair": t("a b", "c").input_ids,
        "batch": t(["a", "b c d e f g h"], padding=True).input_ids if t.pad_token is not None else None,
        "cut": t("a b c d e f g h i", truncation=True, max_length=5).input_ids,
        "chat": t.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True),
    }


cases = []
for i in range(count):
    folder = f"{out}/{i}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    make(folder)
    try:
        cases.append({"folder": folder, "right": ask(folder)})
    except (TypeError, ValueError):
        pass  # Transformers refuses some combinations
json.dump({"texts": TEXTS, "roles": ROLES, "cases": cases}, sys.stdout)
