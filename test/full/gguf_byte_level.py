"""Writes test/text/gguf-byte-level.json: a small vocabulary in GPT-2's byte alphabet, and what Transformers makes of texts when a GGUF file
holds it under each name of a way to cut words. python gguf_byte_level.py OUTPUT"""
import json
import sys
import tempfile
import warnings
from pathlib import Path

import transformers
from gguf import GGUFWriter
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
warnings.simplefilter("ignore")

CORPUS = ["The quick brown fox's jump over 1234 lazy dogs\n\nHello   world, don't stop! 한국어 끝 👍 café"] * 3
TEXTS = [
    "The quick BROWN fox'S don't 1234 \n\n  stop!!  [INST]<tool> two <|특수|>끝👍 café<pad></s>",
    "a\r\n\r\nb  c\t d/\n//x",
    "HelloWORLD helloWorld Été été e\u0301t ﾔ 12345 ٣٤٥ ⅷ  \u00a0x",
    "I'll we'RE it'ſ 'S",
]
NAMES = [None, "default", "gpt-2", "tekken", "llama-bpe", "smaug-bpe", "qwen2", "qwen35", "gpt-4o"]


def vocabulary():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>", "[INST]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    # control tokens outside the alphabet are left out, plain ones are meant as their text
    types = [3] * len(special) + [1] * (len(tokens) - len(special)) + [3, 4, 1, 3]
    tokens += ["<|특수|>", "<tool>", " two", "<pad>"]
    return tokens, types, [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]


tokens, types, merges = vocabulary()
cases = []
with tempfile.TemporaryDirectory() as folder:
    for i, name in enumerate(NAMES):
        add_bos = i % 2 == 1
        writer = GGUFWriter(Path(folder) / f"{i}.gguf", "llama")
        writer.add_tokenizer_model("gpt2")
        if name is not None:
            writer.add_tokenizer_pre(name)
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_token_merges(merges)
        writer.add_unk_token_id(0)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_pad_token_id(len(tokens) - 1)
        writer.add_add_bos_token(add_bos)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        t = AutoTokenizer.from_pretrained(folder, gguf_file=f"{i}.gguf")
        rows = []
        for text in TEXTS:
            e = t(text, return_offsets_mapping=True)
            ids = e["input_ids"]
            rows.append({"text": text, "ids": ids, "offsets": e["offset_mapping"], "decoded": [t.decode(ids), t.decode(ids, skip_special_tokens=True)]})
        cases.append({"pre": name, "add_bos": add_bos, "names": t.special_tokens_map, "rows": rows})
output = {"tokens": tokens, "types": types, "merges": merges, "cases": cases}
Path(sys.argv[1]).write_text(json.dumps(output, ensure_ascii=False) + "\n")
